//! `video.audio`: one piece of all sounds at all bit rates.

use super::film::{Film, ffmpeg, folder};
use crate::attempt::Attempt;
use crate::ops::failure::from_media;
use mediaflow_core::{ErrorCode, Failure};
use mediaflow_engine::store::{NewSegment, NewTrack, Output, TrackKind};
use mediaflow_media::audio::{AudioSegment, encode_piece, init_segment};
use mediaflow_media::mp4::codec_string;
use mediaflow_media::video::Plan;
use mediaflow_media::video::plan::AudioPlan;
use serde_json::json;
use std::collections::BTreeSet;

pub(super) fn run(attempt: &Attempt, film: &Film, plan: &Plan) -> Result<Output, Failure> {
    let none = || Failure::permanent(ErrorCode::Internal, "the plan has no such piece of sound");
    let audio = plan.audio.as_ref().ok_or_else(none)?;
    let number = attempt.task.number as usize;
    let piece = audio.pieces.get(number).ok_or_else(none)?;
    let ffmpeg = ffmpeg(attempt, 1)?;
    let folder = folder(attempt)?;
    let source = film.path(attempt, &ffmpeg)?;
    let mut made: Vec<AudioSegment> = Vec::new();
    encode_piece(
        &ffmpeg,
        &source,
        audio,
        piece,
        &[],
        folder.path(),
        &mut |segment| {
            made.push(segment);
            Ok(())
        },
    )
    .map_err(from_media)?;
    record(attempt, plan, audio, made)
}

/// `audio-128` of the first language, `audio-2-128` of the second.
fn name(audio: &AudioPlan, made: (usize, usize)) -> String {
    let kbps = audio.tracks[made.0].renditions[made.1].bit_rate / 1000;
    match made.0 {
        0 => format!("audio-{kbps}"),
        n => format!("audio-{}-{kbps}", n + 1),
    }
}

fn record(
    attempt: &Attempt,
    plan: &Plan,
    audio: &AudioPlan,
    mut made: Vec<AudioSegment>,
) -> Result<Output, Failure> {
    let mut output = Output::default();
    let which: BTreeSet<(usize, usize)> = made.iter().map(|s| (s.track, s.rendition)).collect();
    for &(number, rendition) in &which {
        let track = &audio.tracks[number];
        let init = init_segment(audio, number, rendition).map_err(from_media)?;
        let codecs = codec_string(&init).map_err(from_media)?;
        let init = attempt.write(&[init])?.remove(0);
        output.tracks.push(NewTrack {
            name: name(audio, (number, rendition)),
            kind: TrackKind::Audio,
            codecs,
            width: None,
            height: None,
            said: json!({
                "bit_rate": track.renditions[rendition].bit_rate,
                "name": track.name,
                "language": track.language,
                "default": track.is_default,
                "channels": track.channels,
                "target_duration": plan.target_duration(),
            }),
            timescale: audio.sample_rate,
            segments: audio.segments(),
            init,
        });
    }
    let bytes: Vec<Vec<u8>> = made
        .iter_mut()
        .map(|s| std::mem::take(&mut s.segment.bytes))
        .collect();
    let blobs = attempt.write(&bytes)?;
    for (segment, blob) in made.into_iter().zip(blobs) {
        output.segments.push(NewSegment {
            track: name(audio, (segment.track, segment.rendition)),
            number: segment.segment.index,
            duration: segment.segment.duration_ticks,
            key_bytes: 0,
            blob,
        });
    }
    Ok(output)
}
