//! A film that is already what a rung should be is cut and not encoded; anything less is encoded.

use std::path::Path;
use std::process::Command;

use mediaflow_media::video::plan::{Chunk, Plan, PlanSettings, plan};
use mediaflow_media::video::{SsimRange, encode_chunk, verify_chunk};

use crate::film::{Studio, look, numbered, numbers, times, tools};

/// Complies with a rung of 180 lines whose segments last a second.
const COMPLIES: &str = "-c:v libx264 -preset veryfast -bf 2 -g 30 -keyint_min 30 -sc_threshold 0 \
     -flags +cgop -pix_fmt yuv420p -color_primaries bt709 -color_trc bt709 -colorspace bt709";

/// Two rungs, 90 and 180 lines, in chunks of two segments of a second.
fn planned(path: &Path) -> Plan {
    let mut settings = PlanSettings {
        segment_seconds: 1,
        ..PlanSettings::default()
    };
    settings.ladder.rungs.truncate(2);
    settings.ladder.rungs[0].height = 90;
    settings.ladder.rungs[1].height = 180;
    settings.ladder.rungs[1].video_bit_rate = 400_000;
    let mut made = plan(&look(path).unwrap().info, &settings, tools().version()).unwrap();
    let rungs: Vec<usize> = (0..made.rungs.len()).collect();
    made.chunks = (0..made.segments)
        .step_by(2)
        .map(|first_segment| Chunk {
            first_segment,
            segments: (made.segments - first_segment).min(2),
            rungs: rungs.clone(),
            cost_cpu_seconds: 1,
        })
        .collect();
    made
}

/// A digest of each decoded picture.
fn pictures(path: &Path) -> Vec<String> {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-i"])
        .arg(path)
        .args([
            "-map",
            "0:v:0",
            "-fps_mode",
            "passthrough",
            "-f",
            "framemd5",
            "-",
        ])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            line.rsplit(',')
                .next()
                .map(|digest| digest.trim().to_owned())
        })
        .collect()
}

#[test]
fn a_film_that_complies_is_cut_to_the_picture() {
    let studio = Studio::new();
    for (name, rate, args) in [
        ("plain", "30", String::new()),
        ("no-b", "30", "-bf 0".into()),
        (
            "pyramid",
            "30",
            "-bf 4 -x264-params b-pyramid=normal".into(),
        ),
        ("late", "30", "-output_ts_offset 3".into()),
        ("more-keys", "30", "-g 10 -keyint_min 10".into()),
        ("ntsc", "30000/1001", String::new()),
    ] {
        let path = studio.film(
            &format!("{name}.mp4"),
            rate,
            5,
            &format!("{COMPLIES} {args}"),
        );
        let plan = planned(&path);
        let passed: Vec<bool> = plan
            .rungs
            .iter()
            .map(|r| r.pass_through.is_some())
            .collect();
        assert_eq!(passed, [false, true], "{name}");
        let mut files: Vec<Vec<u8>> = vec![Vec::new(); 2];
        for chunk in &plan.chunks {
            let made = encode_chunk(&tools(), &path, &plan, chunk, &studio.scratch()).unwrap();
            let range = SsimRange::All;
            let quality = verify_chunk(
                &tools(),
                &path,
                &plan,
                chunk,
                &made,
                range,
                &studio.scratch(),
            );
            assert_eq!(quality.unwrap()[1].unwrap().ssim_min, 1.0, "{name}");
            for (file, rung) in files.iter_mut().zip(&made) {
                if file.is_empty() {
                    file.extend(&rung.init);
                }
                assert!(
                    file.starts_with(&rung.init),
                    "{name}: one header for all chunks"
                );
                rung.segments.iter().for_each(|s| file.extend(&s.bytes));
            }
        }
        let all: Vec<u32> = (0..plan.grid.total as u32).collect();
        let grid = all.iter().map(|n| i64::from(n * plan.grid.frame_ticks));
        let grid: Vec<i64> = grid.collect();
        for (n, file) in files.iter().enumerate() {
            let joined = studio.path(&format!("{name}-{n}.mp4"));
            std::fs::write(&joined, file).unwrap();
            assert_eq!(numbers(&joined), all, "{name}");
            assert_eq!(times(&joined), grid, "{name}");
        }
        let joined = studio.path(&format!("{name}-1.mp4"));
        assert_eq!(pictures(&joined), pictures(&path), "{name}");
    }
}

#[test]
fn a_film_that_misses_one_condition_is_encoded() {
    let studio = Studio::new();
    let source = numbered("30", 3);
    let complies = studio.make("complies.mp4", &[&source], COMPLIES);
    let turned = "-c copy -metadata:s:v:0 rotate=180";
    let turned = studio.make("turned.mp4", &[complies.to_str().unwrap()], turned);
    assert!(planned(&complies).rungs[1].pass_through.is_some());
    assert!(planned(&turned).rungs[1].pass_through.is_none());
    for (name, input, args) in [
        ("open.mp4", &*source, "-x264-params open-gop=1 -flags -cgop"),
        ("off-the-grid.mp4", &source, "-g 29 -keyint_min 29"),
        ("422.mp4", &source, "-pix_fmt yuv422p"),
        ("ten-bits.mp4", &source, "-pix_fmt yuv420p10le"),
        ("bt601.mp4", &source, "-colorspace smpte170m"),
        ("full-range.mp4", &source, "-color_range pc"),
        ("hdr.mp4", &source, "-color_trc arib-std-b67"),
        ("wide-pixels.mp4", &source, "-aspect 4:3"),
        (
            "interlaced.mp4",
            &source,
            "-flags +ilme+ildct+cgop -x264-params tff=1",
        ),
        ("matroska.mkv", &source, ""),
        ("mpeg4.mp4", &source, "-c:v mpeg4 -flags -cgop"),
        ("odd-size.mp4", &source, "-vf scale=324:180"),
        (
            "variable.mp4",
            &source,
            "-vf select='mod(n\\,7)' -fps_mode vfr",
        ),
        (
            "rich.mp4",
            "testsrc2=s=320x180:r=30:d=3,noise=alls=60:allf=t",
            "-qp 10",
        ),
    ] {
        let path = studio.make(name, &[input], &format!("{COMPLIES} {args}"));
        let plan = planned(&path);
        assert!(
            plan.rungs.iter().all(|r| r.pass_through.is_none()),
            "{name}"
        );
    }
}
