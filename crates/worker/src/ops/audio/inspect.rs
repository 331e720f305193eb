//! `audio.inspect`: what the container says, and what its packets say.

use crate::attempt::Attempt;
use crate::ops::failure::from_media;
use crate::ops::video::film::{ffmpeg, indexed, inspected};
use crate::ops::video::{essentials, search_text};
use mediaflow_core::transition::Expansion;
use mediaflow_core::{Failure, Operation};
use mediaflow_engine::store::Output;
use mediaflow_media::audio;
use mediaflow_media::video::{self, MediaInfo};
use serde_json::json;

pub(super) fn run(attempt: &Attempt) -> Result<Output, Failure> {
    let ffmpeg = ffmpeg(attempt, 0)?;
    let limits = &attempt.toolbox.video_limits;
    let found = inspected(attempt, &ffmpeg)?;
    let info = &found.info;
    let heard = super::main_stream(info)?.heard();
    let again = match audio::needs_index(info) {
        true => {
            let copy = indexed(attempt, &ffmpeg, info.container)?;
            let inspected = video::inspect(&ffmpeg, &copy, video::REMUXED_MEDIA_TYPE, limits);
            Some(told(inspected.map_err(from_media)?.info, info))
        }
        false => None,
    };
    let steps = &attempt.task.recipe.steps;
    let cover = steps
        .iter()
        .position(|s| s.operation == Operation::AudioCover);
    Ok(Output {
        media: Some(Box::new(essentials(info))),
        search_text: Some(search_text(&found.ffprobe)),
        expansions: cover
            .into_iter()
            .map(|step| Expansion {
                step,
                tasks: u32::from(audio::has_cover(info)),
                cost: attempt.task.cost,
            })
            .collect(),
        facts: json!({
            "duration_ms": ((heard.end - heard.start) * 1000.0).round() as u64,
            "info": info, "indexed": again, "ffprobe": found.ffprobe,
        }),
        ..Output::default()
    })
}

/// What the copy does not know any more: which samples at its ends are there for decoders alone.
fn told(mut copy: MediaInfo, original: &MediaInfo) -> MediaInfo {
    for (copied, stream) in copy.audio.iter_mut().zip(&original.audio) {
        let (copied, line) = (&mut copied.timeline, &stream.timeline);
        if copied.lead_samples == 0 && copied.first_pts >= 0 {
            copied.lead_samples = line.lead_samples;
        }
        copied.tail_samples = copied.tail_samples.max(line.tail_samples);
    }
    copy
}
