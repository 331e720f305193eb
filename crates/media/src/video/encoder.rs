//! The encoder's arguments for one rung: the same for each chunk, so that all fit together.

use std::ops::Range;

use super::plan::{Plan, PlannedRung, VideoCodec};

/// Seconds of packets behind a chunk that are taken too: some are stored after ones shown later.
const BEHIND: f64 = 1.0;

/// Output options that take the source's own packets, from a key picture at or before the first
/// of `frames` to some behind the last; their times stay on the source's clock.
pub(super) fn copy(plan: &Plan, frames: &Range<u64>, name: &str) -> Vec<String> {
    let end = plan.source.start_seconds() + frames.end as f64 / plan.grid.rate.as_f64() + BEHIND;
    [
        "-map",
        &format!("0:{}", plan.source.stream),
        "-c",
        "copy",
        "-to",
        &format!("{end:.6}"),
        "-video_track_timescale",
        &plan.grid.timescale.to_string(),
        "-map_metadata",
        "-1",
        "-map_chapters",
        "-1",
        "-fflags",
        "+bitexact",
        // Without the last two a film would begin at zero wherever it was cut.
        "-movflags",
        "+frag_keyframe+empty_moov+default_base_moof+frag_discont+negative_cts_offsets",
        "-f",
        "mp4",
        name,
    ]
    .map(str::to_owned)
    .to_vec()
}

/// Output options for `rung`, from the map to the format, for a file of this `name`.
pub(super) fn args(
    plan: &Plan,
    rung: &PlannedRung,
    label: &str,
    threads: u32,
    name: &str,
) -> Vec<String> {
    let rate = plan.grid.rate;
    let (ticks, group) = (
        format!("{}/{}", rate.den * rung.every, rate.num),
        (plan.segment_frames / rung.every).to_string(),
    );
    let codec = match rung.codec {
        VideoCodec::H264 => "libx264",
    };
    [
        "-map",
        label,
        "-c:v",
        codec,
        "-preset",
        &plan.preset,
        "-profile:v",
        "high",
        "-crf",
        &plan.crf.to_string(),
        // One second of the rung's rate, half full at the start: a state that every chunk shares.
        "-maxrate",
        &rung.video_bit_rate.to_string(),
        "-bufsize",
        &rung.video_bit_rate.to_string(),
        "-x264-params",
        "vbv-init=0.5",
        "-g",
        &group,
        "-keyint_min",
        &group,
        "-sc_threshold",
        "0",
        "-forced-idr",
        "1",
        "-flags",
        "+cgop",
        "-threads",
        &threads.to_string(),
        "-color_primaries",
        "bt709",
        "-color_trc",
        "bt709",
        "-colorspace",
        "bt709",
        "-color_range",
        "tv",
        "-fps_mode",
        "passthrough",
        "-enc_time_base",
        &ticks,
        "-video_track_timescale",
        &plan.grid.timescale.to_string(),
        "-map_metadata",
        "-1",
        "-map_chapters",
        "-1",
        "-fflags",
        "+bitexact",
        "-movflags",
        "+frag_keyframe+empty_moov+default_base_moof",
        "-f",
        "mp4",
        name,
    ]
    .map(str::to_owned)
    .to_vec()
}
