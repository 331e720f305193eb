//! What the plans of films and recordings are made with: by the steps that make them, and by who wants to know beforehand.

use crate::config::processors;
use crate::ops::packaging;
use mediaflow_core::operation::{Ladder, Sounds, VideoCodec};
use mediaflow_media::MediaError;
use mediaflow_media::audio;
use mediaflow_media::video::plan::{self, AudioPlan, Rung};
use mediaflow_media::video::{MediaInfo, Plan, PlanSettings};

/// Length of a segment of a recording.
pub(crate) const SEGMENT_SECONDS: u32 = 6;

/// How the first film of `info` becomes streams. `encoder` is the build of ffmpeg that makes them.
///
/// # Errors
/// Those of [`plan::plan`].
pub fn film(
    info: &MediaInfo,
    ladder: &Ladder,
    pass_through: bool,
    encoder: &str,
) -> Result<Plan, MediaError> {
    let usual = PlanSettings::default();
    let settings = PlanSettings {
        chunk_cpu_seconds: ladder.chunk_cpu_s.unwrap_or(usual.chunk_cpu_seconds),
        ladder: plan::Ladder {
            rungs: ladder.rungs.iter().map(rung).collect(),
        },
        // A rung may ask for more pictures than are usual.
        frame_rate_max: ladder
            .rungs
            .iter()
            .filter_map(|rung| rung.frame_rate_max)
            .fold(usual.frame_rate_max, u32::max),
        audio_channels_max: ladder.channels_max,
        pass_through: ladder.pass_through && pass_through,
        packaging: packaging::planned(ladder.packaging),
        processors: processors(),
        ..usual
    };
    plan::plan(info, &settings, encoder)
}

/// How a recording becomes streams.
///
/// # Errors
/// Those of [`audio::plan`].
pub fn sound(info: &MediaInfo, wanted: &Sounds) -> Result<AudioPlan, MediaError> {
    let rates: Vec<u32> = wanted.kbps.iter().map(|kbps| kbps * 1000).collect();
    audio::plan(info, &rates, SEGMENT_SECONDS, wanted.channels)
}

fn rung(rung: &mediaflow_core::operation::Rung) -> Rung {
    Rung {
        name: rung.name.clone(),
        height: rung.height,
        video_bit_rate: rung.video_kbps * 1000,
        audio_bit_rate: rung.audio_kbps * 1000,
        frame_rate_max: rung.frame_rate_max.unwrap_or(60),
        codec: match rung.codec {
            VideoCodec::H264 => plan::VideoCodec::H264,
            VideoCodec::Hevc => plan::VideoCodec::Hevc,
            VideoCodec::Vp9 => plan::VideoCodec::Vp9,
            VideoCodec::Av1 => plan::VideoCodec::Av1,
        },
    }
}
