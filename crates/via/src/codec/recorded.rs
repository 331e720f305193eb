//! What earlier tasks have recorded, for the tasks that stand on it.

use super::task::{from_json, json};
use super::{Malformed, Result, blob, blob_message, given, sha256, size, size_message};
use mediaflow_core::Sha256;
use mediaflow_core::operation::{Format, Packaging};
use mediaflow_engine::store::{BlobRow, RenditionRecord, Reusable, Segment, Track, TrackKind};
use mediaflow_proto::worker::v1 as proto;

/// Segments of one message.
const SEGMENTS_MAX: usize = 1000;

/// A rendition that can be recorded again.
///
/// # Errors
/// Names the field.
pub fn reusable(message: &proto::Reusable) -> Result<(Sha256, Reusable)> {
    let found = Reusable {
        blob: blob(given(message.blob.as_ref(), "reusable.blob")?)?,
        dimensions: size(message.size),
        animated: message.animated,
        format: given(Format::parse(&message.format), "reusable.format")?,
    };
    Ok((sha256(&message.derivation, "reusable.derivation")?, found))
}

/// The same as a message, under the derivation that was asked for.
pub fn reusable_message(asked: Sha256, found: &Reusable, seal: String) -> proto::Reusable {
    proto::Reusable {
        derivation: asked.0.to_vec(),
        blob: Some(blob_message(&found.blob, seal)),
        size: size_message(found.dimensions),
        animated: found.animated,
        format: found.format.as_str().to_owned(),
    }
}

/// A recorded rendition of this generation.
///
/// # Errors
/// Names the field.
pub fn recorded(message: &proto::Rendition, generation: u32) -> Result<(RenditionRecord, BlobRow)> {
    let row = blob(given(message.blob.as_ref(), "rendition.blob")?)?;
    let record = RenditionRecord {
        generation,
        profile: message.profile.clone(),
        format: given(Format::parse(&message.format), "rendition.format")?,
        dimensions: size(message.size),
        animated: message.animated,
        derivation: sha256(&message.derivation, "rendition.derivation")?,
        bytes: row.bytes,
        sha256: row.sha256,
    };
    Ok((record, row))
}

/// The same as a message.
pub fn recorded_message(record: &RenditionRecord, row: &BlobRow, seal: String) -> proto::Rendition {
    proto::Rendition {
        profile: record.profile.clone(),
        format: record.format.as_str().to_owned(),
        size: size_message(record.dimensions),
        animated: record.animated,
        derivation: record.derivation.0.to_vec(),
        blob: Some(blob_message(row, seal)),
    }
}

/// Adds a part to the tracks that were told so far.
///
/// # Errors
/// Names the field.
pub fn made(
    message: &proto::MadeResponse,
    so_far: &mut Vec<(Track, BlobRow, Vec<BlobRow>)>,
) -> Result<()> {
    if let Some(track) = &message.track {
        let init = blob(given(track.init.as_ref(), "track.init")?)?;
        let begun = Track {
            name: track.name.clone(),
            kind: given(TrackKind::parse(&track.kind), "track.kind")?,
            codecs: track.codecs.clone(),
            width: track.width,
            height: track.height,
            said: from_json(&track.said, "track.said")?,
            timescale: track.timescale,
            packaging: given(Packaging::parse(&track.packaging), "track.packaging")?,
            init: init.sha256,
            segments: Vec::new(),
            whole: track.whole,
        };
        so_far.push((begun, init, Vec::new()));
    }
    let (track, _, rows) = so_far.last_mut().ok_or(Malformed("track"))?;
    for segment in &message.segments {
        let row = blob(given(segment.blob.as_ref(), "segment.blob")?)?;
        track.segments.push(Segment {
            duration: segment.duration,
            key_bytes: segment.key_bytes,
            sha256: row.sha256,
            bytes: row.bytes,
        });
        rows.push(row);
    }
    Ok(())
}

/// The same as messages, each of a bounded size.
pub fn made_messages(
    made: &[(Track, BlobRow, Vec<BlobRow>)],
    seal: impl Fn(&BlobRow) -> String,
) -> Vec<proto::MadeResponse> {
    let mut messages = Vec::new();
    for (track, init, rows) in made {
        messages.push(proto::MadeResponse {
            track: Some(proto::Track {
                name: track.name.clone(),
                kind: track.kind.as_str().to_owned(),
                codecs: track.codecs.clone(),
                width: track.width,
                height: track.height,
                said: json(&track.said),
                timescale: track.timescale,
                packaging: track.packaging.as_str().to_owned(),
                whole: track.whole,
                init: Some(blob_message(init, seal(init))),
            }),
            segments: Vec::new(),
        });
        let segments: Vec<_> = track.segments.iter().zip(rows).collect();
        for part in segments.chunks(SEGMENTS_MAX) {
            let part = part.iter().map(|(segment, row)| proto::Segment {
                duration: segment.duration,
                key_bytes: segment.key_bytes,
                blob: Some(blob_message(row, seal(row))),
            });
            messages.push(proto::MadeResponse {
                track: None,
                segments: part.collect(),
            });
        }
    }
    messages
}
