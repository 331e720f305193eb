//! What an attempt leaves behind.

use super::task::{cost, cost_message, from_json, json, written};
use super::{Malformed, Result, blob, given, sha256, size, size_message};
use mediaflow_core::operation::{Format, Packaging};
use mediaflow_core::transition::Expansion;
use mediaflow_core::{ErrorCode, Failure, FailureKind, Verdict};
use mediaflow_engine::store::{
    MediaFacts, NewBlob, NewCaptions, NewRendition, NewSegment, NewTrack, Output, Quality,
    RenditionBlob, Report, TrackKind,
};
use mediaflow_proto::worker::v1 as proto;
use proto::report_request::Report as Said;

/// A report as a message. `new` seals what was written, `existing` finds the row of what was made before.
///
/// # Errors
/// When a row is not there.
pub fn report_message(
    report: &Report,
    new: impl Fn(&NewBlob) -> proto::NewBlob,
    existing: impl Fn(mediaflow_core::BlobId) -> Option<proto::Blob>,
) -> Result<Said> {
    match report {
        Report::Succeeded(output) => Ok(Said::Succeeded(output_message(output, new, existing)?)),
        Report::Failed(failure) => Ok(Said::Failed(failure_message(failure))),
        Report::HandedBack => Ok(Said::HandedBack(proto::HandedBack {})),
    }
}

/// A report.
///
/// # Errors
/// Names the field.
pub fn report(message: Said) -> Result<Report> {
    Ok(match message {
        Said::Succeeded(message) => Report::Succeeded(output(message)?),
        Said::Failed(message) => Report::Failed(failure(message)),
        Said::HandedBack(_) => Report::HandedBack,
    })
}

/// A failure; a code that this program does not know is `internal`.
pub fn failure(message: proto::Failure) -> Failure {
    let kind = match message.kind() {
        proto::failure::Kind::Transient => FailureKind::Transient,
        proto::failure::Kind::Permanent => FailureKind::Permanent,
        proto::failure::Kind::Crash => FailureKind::Crash,
        proto::failure::Kind::Deferred => FailureKind::Deferred,
    };
    Failure {
        code: ErrorCode::parse(&message.code).unwrap_or(ErrorCode::Internal),
        message: message.message,
        kind,
    }
}

fn failure_message(failure: &Failure) -> proto::Failure {
    let kind = match failure.kind {
        FailureKind::Transient | FailureKind::Lost => proto::failure::Kind::Transient,
        FailureKind::Permanent => proto::failure::Kind::Permanent,
        FailureKind::Crash => proto::failure::Kind::Crash,
        FailureKind::Deferred => proto::failure::Kind::Deferred,
    };
    proto::Failure {
        code: failure.code.as_str().to_owned(),
        message: failure.message.clone(),
        kind: kind.into(),
    }
}

fn output_message(
    output: &Output,
    new: impl Fn(&NewBlob) -> proto::NewBlob,
    existing: impl Fn(mediaflow_core::BlobId) -> Option<proto::Blob>,
) -> Result<proto::Output> {
    let rendition = |r: &NewRendition| {
        let source = match &r.blob {
            RenditionBlob::New(blob) => proto::new_rendition::Source::Written(new(blob)),
            RenditionBlob::Existing(id) => {
                proto::new_rendition::Source::Existing(given(existing(*id), "rendition.existing")?)
            }
        };
        Ok(proto::NewRendition {
            profile: r.profile.clone(),
            format: r.format.as_str().to_owned(),
            size: size_message(r.dimensions),
            animated: r.animated,
            derivation: r.derivation.0.to_vec(),
            source: Some(source),
        })
    };
    let track = |t: &NewTrack| proto::NewTrack {
        name: t.name.clone(),
        kind: t.kind.as_str().to_owned(),
        codecs: t.codecs.clone(),
        width: t.width,
        height: t.height,
        said: json(&t.said),
        timescale: t.timescale,
        segments: t.segments,
        packaging: t.packaging.as_str().to_owned(),
        init: Some(new(&t.init)),
    };
    let segment = |s: &NewSegment| proto::NewSegment {
        track: s.track.clone(),
        number: s.number,
        duration: s.duration,
        key_bytes: s.key_bytes,
        quality: s.quality.map(|q| proto::Quality {
            frames: q.frames,
            ssim_mean: q.ssim_mean,
            ssim_min: q.ssim_min,
        }),
        blob: Some(new(&s.blob)),
    };
    let captions = |c: &NewCaptions| proto::NewCaptions {
        name: c.name.clone(),
        language: c.language.clone(),
        label: c.label.clone(),
        blob: Some(new(&c.blob)),
    };
    let expansion = |e: &Expansion| proto::Expansion {
        step: u32::try_from(e.step).unwrap_or(u32::MAX),
        tasks: e.tasks,
        cost: Some(cost_message(e.cost)),
    };
    Ok(proto::Output {
        renditions: output
            .renditions
            .iter()
            .map(rendition)
            .collect::<Result<_>>()?,
        facts: json(&output.facts),
        verdict: output.verdict.map(|v| v.as_str().to_owned()),
        size: size_message(output.dimensions),
        media: output.media.as_deref().map(media_message),
        search_text: output.search_text.clone(),
        expansions: output.expansions.iter().map(expansion).collect(),
        tracks: output.tracks.iter().map(track).collect(),
        segments: output.segments.iter().map(segment).collect(),
        captions: output.captions.iter().map(captions).collect(),
        pieces: output.pieces.iter().map(new).collect(),
    })
}

fn output(message: proto::Output) -> Result<Output> {
    let verdict = message.verdict.as_deref();
    let verdict = verdict.map(|v| given(Verdict::parse(v), "output.verdict"));
    let media = message.media.map(|m| Box::new(media(m)));
    Ok(Output {
        facts: from_json(&message.facts, "output.facts")?,
        verdict: verdict.transpose()?,
        dimensions: size(message.size),
        media,
        search_text: message.search_text,
        renditions: all(message.renditions, rendition)?,
        expansions: all(message.expansions, expansion)?,
        tracks: all(message.tracks, track)?,
        segments: all(message.segments, segment)?,
        captions: all(message.captions, captions)?,
        pieces: all(message.pieces, |new| written(&new))?,
    })
}

fn all<M, T>(messages: Vec<M>, read: impl Fn(M) -> Result<T>) -> Result<Vec<T>> {
    messages.into_iter().map(read).collect()
}

fn new_blob(message: Option<proto::NewBlob>, field: &'static str) -> Result<NewBlob> {
    written(&given(message, field)?)
}

fn rendition(message: proto::NewRendition) -> Result<NewRendition> {
    use proto::new_rendition::Source;
    let source = match given(message.source, "rendition.source")? {
        Source::Written(new) => RenditionBlob::New(written(&new)?),
        Source::Existing(row) => RenditionBlob::Existing(blob(&row)?.id),
    };
    Ok(NewRendition {
        format: given(Format::parse(&message.format), "rendition.format")?,
        derivation: sha256(&message.derivation, "rendition.derivation")?,
        profile: message.profile,
        dimensions: size(message.size),
        animated: message.animated,
        blob: source,
    })
}

fn expansion(message: proto::Expansion) -> Result<Expansion> {
    Ok(Expansion {
        step: message.step as usize,
        tasks: message.tasks,
        cost: cost(given(message.cost, "expansion.cost")?),
    })
}

fn track(message: proto::NewTrack) -> Result<NewTrack> {
    Ok(NewTrack {
        kind: given(TrackKind::parse(&message.kind), "track.kind")?,
        said: from_json(&message.said, "track.said")?,
        packaging: given(Packaging::parse(&message.packaging), "track.packaging")?,
        init: new_blob(message.init, "track.init")?,
        name: message.name,
        codecs: message.codecs,
        width: message.width,
        height: message.height,
        timescale: message.timescale,
        segments: message.segments,
    })
}

fn segment(message: proto::NewSegment) -> Result<NewSegment> {
    let quality = message.quality.map(|q| Quality {
        frames: q.frames,
        ssim_mean: q.ssim_mean,
        ssim_min: q.ssim_min,
    });
    let is_number = |q: &Quality| q.ssim_mean.is_finite() && q.ssim_min.is_finite();
    if !quality.as_ref().is_none_or(is_number) {
        return Err(Malformed("segment.quality"));
    }
    Ok(NewSegment {
        blob: new_blob(message.blob, "segment.blob")?,
        track: message.track,
        number: message.number,
        duration: message.duration,
        key_bytes: message.key_bytes,
        quality,
    })
}

fn captions(message: proto::NewCaptions) -> Result<NewCaptions> {
    Ok(NewCaptions {
        blob: new_blob(message.blob, "captions.blob")?,
        name: message.name,
        language: message.language,
        label: message.label,
    })
}

fn media_message(media: &MediaFacts) -> proto::MediaFacts {
    proto::MediaFacts {
        duration_ms: media.duration_ms,
        container: media.container.clone(),
        codec: media.codec.clone(),
        frame_rate: media.frame_rate,
        has_sound: media.has_sound,
        hdr: media.hdr.clone(),
    }
}

fn media(message: proto::MediaFacts) -> MediaFacts {
    MediaFacts {
        duration_ms: message.duration_ms,
        container: message.container,
        codec: message.codec,
        frame_rate: message.frame_rate,
        has_sound: message.has_sound,
        hdr: message.hdr,
    }
}
