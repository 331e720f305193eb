//! Chunks made one by one fit together as if they had been made at once.

use std::path::{Path, PathBuf};

use mediaflow_media::MediaError;
use mediaflow_media::video::plan::{Chunk, Plan, PlanSettings, plan};
use mediaflow_media::video::{RungChunk, encode_chunk, needs_index, remux};

use crate::film::{Studio, look, numbers, times, tools};

/// Segments of one second, whatever the ladder says.
fn planned(path: &Path, rungs: usize) -> Plan {
    let mut settings = PlanSettings {
        segment_seconds: 1,
        ..PlanSettings::default()
    };
    for (rung, height) in settings.ladder.rungs.iter_mut().zip([90, 180, 1080]) {
        rung.height = height;
    }
    let mut made = plan(&look(path).unwrap().info, &settings, tools().version()).unwrap();
    assert!(made.rungs.len() >= rungs, "{:?}", made.rungs);
    // Two segments each; the last may have one.
    made.chunks = (0..made.segments)
        .step_by(2)
        .map(|first_segment| Chunk {
            first_segment,
            segments: (made.segments - first_segment).min(2),
            rungs: (0..made.rungs.len()).collect(),
            cost_cpu_seconds: 1,
        })
        .collect();
    made
}

pub(super) fn encoded(
    studio: &Studio,
    path: &Path,
    plan: &Plan,
) -> Result<Vec<Vec<RungChunk>>, MediaError> {
    plan.chunks
        .iter()
        .map(|chunk| encode_chunk(&tools(), path, plan, chunk, &studio.scratch()))
        .collect()
}

/// All segments of a rung behind its initialisation segment.
pub(super) fn joined(studio: &Studio, chunks: &[Vec<RungChunk>], rung: usize) -> PathBuf {
    let path = studio.path(&format!("joined-{rung}.mp4"));
    let mut bytes = chunks[0][rung].init.clone();
    for chunk in chunks {
        assert_eq!(
            chunk[rung].init, chunks[0][rung].init,
            "one header for all chunks"
        );
        chunk[rung]
            .segments
            .iter()
            .for_each(|s| bytes.extend_from_slice(&s.bytes));
    }
    std::fs::write(&path, bytes).unwrap();
    path
}

/// Encodes `path` in chunks and checks that picture n shows `expected(n)` in every rung, and that
/// times have no gap.
#[track_caller]
fn check(studio: &Studio, path: &Path, expected: impl Fn(u32) -> u32) -> Plan {
    let plan = planned(path, 2);
    let chunks = encoded(studio, path, &plan).unwrap();
    let wanted: Vec<u32> = (0..plan.grid.total as u32).map(expected).collect();
    for rung in 0..plan.rungs.len() {
        let file = joined(studio, &chunks, rung);
        assert_eq!(numbers(&file), wanted, "{}", path.display());
        let ticks = i64::from(plan.grid.frame_ticks);
        let grid: Vec<i64> = (0..plan.grid.total as i64).map(|n| n * ticks).collect();
        assert_eq!(times(&file), grid);
    }
    plan
}

#[test]
fn every_picture_is_there_once() {
    let studio = Studio::new();
    for (name, rate, args) in [
        (
            "open.mp4",
            "30",
            "-c:v libx264 -preset veryfast -bf 3 -g 250 -x264-params open-gop=1",
        ),
        (
            "ntsc.mkv",
            "30000/1001",
            "-c:v libx264 -preset veryfast -bf 2 -g 37 -x264-params open-gop=1",
        ),
        ("film.mov", "24000/1001", "-c:v mpeg4 -bf 2 -g 12"),
        ("pal.webm", "25", "-c:v libvpx -deadline realtime -g 400"),
        (
            "hevc.mp4",
            "30",
            "-c:v libx265 -preset ultrafast -x265-params log-level=none:open-gop=1:keyint=45:bframes=4",
        ),
    ] {
        let path = studio.film(name, rate, 5, args);
        let plan = check(&studio, &path, |n| n);
        assert!(
            plan.segments >= 5 && plan.chunks.len() == 3,
            "{name}: {}",
            plan.segments
        );
    }
}

#[test]
fn a_start_that_is_not_zero_and_containers_without_an_index() {
    let studio = Studio::new();
    let late = studio.film(
        "late.mp4",
        "30",
        5,
        "-c:v libx264 -bf 3 -g 100 -output_ts_offset 7.3",
    );
    check(&studio, &late, |n| n);
    for (name, args) in [
        ("a.ts", "-c:v libx264 -bf 3 -g 60 -x264-params open-gop=1"),
        ("a.avi", "-c:v mpeg4 -bf 2 -g 50"),
        ("a.flv", "-c:v flv -g 50"),
        ("a.mpg", "-c:v mpeg2video -bf 2 -g 18"),
    ] {
        let path = studio.film(name, "30", 5, args);
        let info = look(&path).unwrap().info;
        assert!(needs_index(&info));
        remux(
            &tools(),
            &path,
            info.container,
            &studio.scratch(),
            "remuxed.mkv",
        )
        .unwrap();
        check(&studio, &studio.scratch().join("remuxed.mkv"), |n| n);
    }
}

#[test]
fn a_variable_rate_becomes_constant_by_time() {
    let studio = Studio::new();
    for name in ["vfr.mp4", "vfr.mkv"] {
        // Every seventh picture is missing, so the one before it is shown for twice as long.
        let path = studio.film(
            name,
            "30",
            5,
            "-vf select=mod(n\\,7)-3 -fps_mode vfr -c:v libx264 -bf 2 -g 200",
        );
        check(&studio, &path, |n| if n % 7 == 3 { n - 1 } else { n });
    }
    // A slide that stands for four seconds, over several borders.
    let slides = studio.film(
        "slides.mkv",
        "30",
        5,
        "-vf select='not(between(n\\,10\\,129))' -fps_mode vfr -c:v libx264 -g 500",
    );
    check(
        &studio,
        &slides,
        |n| if (10..130).contains(&n) { 9 } else { n },
    );
}

#[test]
fn segments_say_where_they_are() {
    let studio = Studio::new();
    let path = studio.film("a.mp4", "30000/1001", 3, "-c:v libx264 -bf 3");
    let plan = planned(&path, 2);
    let chunks = encoded(&studio, &path, &plan).unwrap();
    let mut next = 0;
    for segment in chunks.iter().flat_map(|chunk| &chunk[0].segments) {
        assert_eq!(segment.start_ticks, next);
        assert_eq!(&segment.bytes[4..8], b"moof");
        assert_eq!(segment.duration_ticks, u64::from(segment.frames) * 1001);
        assert!(segment.key_frame_bytes < segment.bytes.len());
        next += segment.duration_ticks;
    }
    assert_eq!(next, 90 * 1001);
}

#[test]
fn a_film_may_change_its_size_and_lie_about_its_length() {
    let studio = Studio::new();
    let one = studio.film("one.ts", "30", 2, "-c:v libx264 -g 30 -bf 0");
    let two = studio.film(
        "two.ts",
        "30",
        2,
        "-vf scale=640:360 -c:v libx264 -g 30 -bf 0 -output_ts_offset 2",
    );
    let bytes = [std::fs::read(one).unwrap(), std::fs::read(two).unwrap()].concat();
    let path = studio.path("changes.ts");
    std::fs::write(&path, bytes).unwrap();
    let info = look(&path).unwrap().info;
    remux(
        &tools(),
        &path,
        info.container,
        &studio.scratch(),
        "remuxed.mkv",
    )
    .unwrap();
    let remuxed = studio.scratch().join("remuxed.mkv");
    let shown = numbers(&remuxed);
    assert!(shown.len() >= 118);
    check(&studio, &remuxed, |n| shown[n as usize]);

    let whole = studio.film(
        "whole.mp4",
        "30",
        6,
        "-c:v libx264 -g 30 -movflags +faststart",
    );
    let mut bytes = std::fs::read(whole).unwrap();
    bytes.truncate(bytes.len() * 2 / 3);
    let path = studio.path("cut.mp4");
    std::fs::write(&path, bytes).unwrap();
    let plan = planned(&path, 2);
    assert!((90..150).contains(&plan.grid.total), "{}", plan.grid.total);
    encoded(&studio, &path, &plan).unwrap();
}

#[test]
fn odd_pictures_become_even_upright_ones() {
    let studio = Studio::new();
    let up = studio.film("up.mp4", "30", 1, "-c:v libx264");
    for (name, inputs, args, size) in [
        (
            "turned.mp4",
            up.to_str().unwrap(),
            "-c copy -metadata:s:v:0 rotate=90",
            (180, 320),
        ),
        (
            "dot.mkv",
            "color=red:s=16x16:r=30:d=1,format=yuv444p,crop=1:1",
            "-c:v ffv1",
            (2, 2),
        ),
        (
            "deep.mkv",
            "testsrc2=s=320x180:r=30:d=1",
            "-c:v libx264 -pix_fmt yuv422p10le",
            (320, 180),
        ),
        (
            "fields.mp4",
            "testsrc2=s=320x180:r=50:d=1",
            "-vf interlace -c:v libx264 -flags +ilme+ildct",
            (320, 180),
        ),
        (
            "odd.mkv",
            "testsrc2=s=321x181:r=30:d=1",
            "-c:v ffv1 -pix_fmt yuv444p",
            (320, 180),
        ),
        (
            "hlg.mp4",
            "testsrc2=s=320x180:r=30:d=1",
            "-c:v libx265 -preset ultrafast -x265-params log-level=none -pix_fmt yuv420p10le \
             -color_primaries bt2020 -color_trc arib-std-b67 -colorspace bt2020nc",
            (320, 180),
        ),
    ] {
        let path = studio.make(name, &[inputs], args);
        let plan = planned(&path, 1);
        let rung = plan.rungs.last().unwrap();
        assert_eq!((rung.width, rung.height), size, "{name}");
        let chunks = encoded(&studio, &path, &plan).unwrap_or_else(|e| panic!("{name}: {e}"));
        let file = joined(&studio, &chunks, plan.rungs.len() - 1);
        let video = look(&file).unwrap().info.video.remove(0);
        assert_eq!((video.width, video.height), size, "{name}");
        assert_eq!(video.pixel_format.as_deref(), Some("yuv420p"), "{name}");
        assert_eq!(video.color.transfer.as_deref(), Some("bt709"), "{name}");
        assert_eq!(video.timeline.frames, plan.grid.total, "{name}");
    }
}

#[test]
fn another_ffmpeg_does_not_go_on_with_a_plan() {
    let studio = Studio::new();
    let path = studio.film("a.mp4", "30", 1, "-c:v libx264");
    let mut plan = planned(&path, 1);
    plan.encoder = "4.0".into();
    assert_eq!(encoded(&studio, &path, &plan).unwrap_err().code, "internal");
}
