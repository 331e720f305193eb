//! The encoder's arguments for one rung: the same for each chunk, so that all fit together.

use std::ops::Range;

use super::plan::{Plan, PlannedRung, VideoCodec};

/// Seconds of packets behind a chunk that are taken too: some are stored after ones shown later.
const BEHIND: f64 = 1.0;

/// Output options that take the source's own packets, from a key picture at or before the first
/// of `frames` to some behind the last; their times stay on the source's clock.
pub(super) fn copy(plan: &Plan, frames: &Range<u64>, name: &str) -> Vec<String> {
    let end = plan.source.start_seconds() + frames.end as f64 / plan.grid.rate.as_f64() + BEHIND;
    let mut args = [
        "-map",
        &format!("0:{}", plan.source.stream),
        "-c",
        "copy",
        "-to",
        &format!("{end:.6}"),
    ]
    .map(str::to_owned)
    .to_vec();
    // Without these flags a film would begin at zero wherever it was cut.
    args.extend(fragments(plan, "+frag_discont+negative_cts_offsets", name));
    args
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
    let ticks = format!("{}/{}", rate.den * rung.every, rate.num);
    let mut args: Vec<String> = vec!["-map".into(), label.into()];
    args.extend(
        coding(plan, rung, threads)
            .split_whitespace()
            .map(str::to_owned),
    );
    let common = [
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
    ];
    args.extend(common.map(str::to_owned));
    args.extend(fragments(plan, "", name));
    args
}

/// A file of fragments, one for each key picture, that says nothing of who made it.
fn fragments(plan: &Plan, more_flags: &str, name: &str) -> [String; 13] {
    [
        "-video_track_timescale",
        &plan.grid.timescale.to_string(),
        "-map_metadata",
        "-1",
        "-map_chapters",
        "-1",
        "-fflags",
        "+bitexact",
        "-movflags",
        &format!("+frag_keyframe+empty_moov+default_base_moof{more_flags}"),
        "-f",
        "mp4",
        name,
    ]
    .map(str::to_owned)
}

/// The encoder, its quality, and where key pictures are: at each border of segments and nowhere
/// else, nothing referring to what lies behind one.
///
/// The peak holds over one second of the rung's rate. Where an encoder lets us say so, that second
/// is half full at the start: a state that all chunks share.
fn coding(plan: &Plan, rung: &PlannedRung, threads: u32) -> String {
    let (preset, crf) = (&plan.preset, plan.crf);
    let (peak, kbps) = (rung.video_bit_rate, rung.video_bit_rate / 1000);
    let group = plan.segment_frames / rung.every;
    match rung.codec {
        VideoCodec::H264 => format!(
            "-c:v libx264 -preset {preset} -profile:v high -crf {crf} -maxrate {peak} -bufsize {peak} \
             -x264-params vbv-init=0.5 -g {group} -keyint_min {group} -sc_threshold 0 -forced-idr 1 \
             -flags +cgop"
        ),
        // Two pictures are held back at most; a header that names its build would differ.
        VideoCodec::Hevc => format!(
            "-c:v libx265 -preset {preset} -tag:v hvc1 -crf {} -x265-params \
             keyint={group}:min-keyint={group}:scenecut=0:open-gop=0:bframes=3:b-pyramid=1:\
             vbv-maxrate={kbps}:vbv-bufsize={kbps}:vbv-init=0.5:info=0:repeat-headers=0:\
             pools={threads}:frame-threads=1:log-level=error",
            crf + 3
        ),
        VideoCodec::Vp9 => format!(
            "-c:v libvpx-vp9 -deadline good -cpu-used 4 -row-mt 1 -crf {} -b:v {peak} \
             -g {group} -keyint_min {group}",
            crf + 10
        ),
        VideoCodec::Av1 => format!(
            "-c:v libsvtav1 -preset 8 -crf {} -g {group} \
             -svtav1-params irefresh-type=2:scd=0:lp={threads}:mbr={kbps}",
            crf + 12
        ),
    }
}
