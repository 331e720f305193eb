//! Sources that something is odd about: each goes the whole way, or is refused with the true code.

use std::path::{Path, PathBuf};

use mediaflow_media::MediaError;
use mediaflow_media::audio::{encode_piece, has_cover, init_segment};
use mediaflow_media::video::plan::{AudioPlan, Plan, PlanSettings, plan};
use mediaflow_media::video::{
    SsimRange, encode_chunk, frames, needs_index, poster, remux, storyboard, verify_chunk,
    verify_sound,
};

use crate::film::{Studio, look, tools};

/// What a source became.
struct Made {
    plan: Plan,
    /// The worst picture of all rungs, compared with the source's.
    ssim_min: f64,
    /// Each track's last rendition as a file.
    sound: Vec<PathBuf>,
    /// The top rung as a file.
    film: PathBuf,
}

/// Goes the whole way: inspection, copy with an index, plan, chunks that are decoded again and compared from the
/// first to the last picture, sound, poster, storyboard, pictures for moderation.
fn made(studio: &Studio, path: &Path) -> Result<Made, MediaError> {
    let (ffmpeg, scratch) = (tools(), studio.scratch());
    let mut info = look(path)?.info;
    let mut path = path.to_owned();
    if needs_index(&info) {
        remux(&ffmpeg, &path, info.container, &scratch, "indexed.mkv")?;
        path = scratch.join("indexed.mkv");
        info = look(&path)?.info;
    }
    let settings = PlanSettings {
        segment_seconds: 1,
        chunk_cpu_seconds: 1,
        ..PlanSettings::default()
    };
    let plan = plan(&info, &settings, ffmpeg.version())?;
    let mut ssim_min: f64 = 1.0;
    let mut film = Vec::new();
    let top = plan.rungs.len() - 1;
    for chunk in &plan.chunks {
        let made = encode_chunk(&ffmpeg, &path, &plan, chunk, &scratch)?;
        let all = SsimRange::All;
        let found = verify_chunk(&ffmpeg, &path, &plan, chunk, &made, all, &scratch)?;
        let worst = found.into_iter().flatten().map(|q| q.ssim_min);
        ssim_min = worst.fold(ssim_min, f64::min);
        for rung in made.into_iter().filter(|made| made.rung == top) {
            if film.is_empty() {
                film.extend(&rung.init);
            }
            rung.segments.iter().for_each(|s| film.extend(&s.bytes));
        }
    }
    let sound = match &plan.audio {
        Some(audio) => sound(studio, &path, audio)?,
        None => Vec::new(),
    };
    poster(&ffmpeg, &path, &info, 640)?;
    storyboard(&ffmpeg, &path, &info, plan.storyboard_seconds)?;
    frames(&ffmpeg, &path, &info, 4, 256, &mut |_| Ok(()))?;
    let whole = studio.path("made.mp4");
    std::fs::write(&whole, film).unwrap();
    Ok(Made {
        plan,
        ssim_min,
        sound,
        film: whole,
    })
}

fn sound(studio: &Studio, path: &Path, plan: &AudioPlan) -> Result<Vec<PathBuf>, MediaError> {
    let renditions: Vec<usize> = plan.tracks.iter().map(|t| t.renditions.len() - 1).collect();
    let mut files: Vec<Vec<u8>> = renditions
        .iter()
        .enumerate()
        .map(|(track, &rendition)| init_segment(plan, track, rendition).unwrap())
        .collect();
    for piece in &plan.pieces {
        let scratch = studio.scratch();
        encode_piece(&tools(), path, plan, piece, &[], &scratch, &mut |made| {
            if made.rendition == renditions[made.track] {
                files[made.track].extend(&made.segment.bytes);
            }
            Ok(())
        })?;
    }
    let written = files.into_iter().enumerate().map(|(track, bytes)| {
        let file = studio.path(&format!("sound-{track}.mp4"));
        std::fs::write(&file, bytes).unwrap();
        verify_sound(&tools(), &file, plan.sample_rate, 0, plan.blocks)?;
        Ok(file)
    });
    written.collect()
}

/// Pictures a few pixels wide have no room for detail; nothing else does worse than this.
const SSIM_MIN: f64 = 0.8;

#[track_caller]
fn whole(studio: &Studio, path: &Path) -> Made {
    let made = made(studio, path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert!(
        made.ssim_min > SSIM_MIN,
        "{}: {}",
        path.display(),
        made.ssim_min
    );
    made
}

#[test]
fn tiny_and_narrow_pictures() {
    let studio = Studio::new();
    for (width, height, rung) in [
        (1, 1, (2, 2)),
        (2, 2, (2, 2)),
        (3, 5, (4, 6)),
        (1, 1000, (2, 640)),
        (1000, 1, (640, 2)),
    ] {
        let source = format!(
            "gradients=s=1024x1024:r=10:d=2:c0=red:c1=blue,format=yuv444p,crop={width}:{height}"
        );
        let path = studio.make("tiny.mkv", &[&source], "-c:v ffv1");
        let made = made(&studio, &path).unwrap_or_else(|e| panic!("{width}x{height}: {e}"));
        let top = made.plan.rungs.last().unwrap();
        assert_eq!((top.width, top.height), rung, "{width}x{height}");
        assert_eq!(made.plan.grid.total, 20);
    }
}

#[test]
fn ten_bits_and_finer_colours() {
    let studio = Studio::new();
    for (name, args) in [
        ("a.mov", "-c:v prores_ks -profile:v 3 -pix_fmt yuv422p10le"),
        (
            "b.mkv",
            "-c:v libx264 -preset ultrafast -crf 10 -pix_fmt yuv422p10le",
        ),
        ("c.mkv", "-c:v ffv1 -pix_fmt yuv444p12le"),
        ("d.mov", "-c:v mjpeg -q:v 2 -pix_fmt yuvj444p"),
        ("e.mkv", "-c:v ffv1 -pix_fmt bgra"),
        ("f.mkv", "-c:v ffv1 -pix_fmt gray16le"),
    ] {
        let path = studio.make(name, &["testsrc2=s=320x180:r=25:d=1"], args);
        whole(&studio, &path);
    }
}

#[test]
fn odd_channel_layouts() {
    let studio = Studio::new();
    for (name, layout, args) in [
        ("mono.mkv", "mono", "-c:a flac"),
        ("2.1.mkv", "2.1", "-c:a pcm_s16le"),
        ("5.1side.mkv", "5.1(side)", "-c:a ac3"),
        ("7.1.mkv", "7.1", "-c:a flac"),
        ("hexagonal.mkv", "hexagonal", "-c:a pcm_s16le"),
        ("22.2.mkv", "22.2", "-c:a pcm_s16le"),
        ("16.wav.mkv", "hexadecagonal", "-c:a pcm_s24le"),
    ] {
        let sine = format!("sine=440:d=2:r=48000,volume=3,aformat=channel_layouts={layout}");
        let args = format!("-c:v libx264 -preset ultrafast {args}");
        let path = studio.make(name, &["testsrc2=s=64x64:r=10:d=2", &sine], &args);
        let made = whole(&studio, &path);
        let channels = made.plan.audio.as_ref().unwrap().tracks[0].channels;
        assert_eq!(channels, if layout == "mono" { 1 } else { 2 }, "{name}");
        let peak = loudest(&made.sound[0]);
        assert!(peak > 0.05, "{name}: nothing is heard: {peak}");
    }
}

/// The highest sample of the first channel.
fn loudest(path: &Path) -> f32 {
    heard(path).into_iter().fold(0.0, |a, b| b.abs().max(a))
}

fn heard(path: &Path) -> Vec<f32> {
    let output = std::process::Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-i"])
        .arg(path)
        .args(["-af", "pan=mono|c0=c0", "-f", "f32le", "-"])
        .output()
        .unwrap();
    let bytes = output.stdout.chunks_exact(4);
    bytes
        .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
        .collect()
}

#[test]
fn slow_and_fast_sampling() {
    let studio = Studio::new();
    for (name, rate, args, expected) in [
        ("8.mov", 8_000, "-c:a pcm_s16le", 48_000),
        ("11.mov", 11_025, "-c:a pcm_s16le", 44_100),
        ("192.mkv", 192_000, "-c:a flac", 48_000),
        ("88.mkv", 88_200, "-c:a flac", 44_100),
    ] {
        let sine = format!("sine=440:d=3:r={rate}");
        let args = format!("-c:v libx264 -preset ultrafast {args}");
        let path = studio.make(name, &["testsrc2=s=64x64:r=10:d=3", &sine], &args);
        let made = whole(&studio, &path);
        let audio = made.plan.audio.as_ref().unwrap();
        assert_eq!(audio.sample_rate, expected, "{name}");
        let samples = heard(&made.sound[0]);
        // A tone of 440 Hz crosses zero 880 times a second, however it is sampled.
        let middle = &samples[expected as usize..2 * expected as usize];
        let crossings = middle.windows(2).filter(|w| w[0] < 0.0 && w[1] >= 0.0);
        assert!(crossings.count().abs_diff(440) <= 2, "{name}");
    }
}

#[test]
fn sound_that_is_longer_shorter_late_or_many() {
    let studio = Studio::new();
    let pictures = "testsrc2=s=64x64:r=10:d=4";
    let video = "-map 0:v -map 1:a -c:v libx264 -preset ultrafast -c:a aac";
    for (name, sine, args) in [
        ("longer.mp4", "sine=440:d=9", ""),
        ("shorter.mp4", "sine=440:d=1", ""),
        ("shorter.mkv", "sine=440:d=1", ""),
    ] {
        let path = studio.make(name, &[pictures, sine], &format!("{video} {args}"));
        let made = whole(&studio, &path);
        assert_eq!(made.plan.grid.total, 40, "{name}");
        let audio = made.plan.audio.as_ref().unwrap();
        let seconds = audio.blocks as f64 * 1024.0 / f64::from(audio.sample_rate);
        assert!((seconds - 4.0).abs() < 0.03, "{name}: {seconds}");
    }
    for name in ["late.mp4", "late.mkv"] {
        let sine = studio.make("tone.wav", &["sine=440:d=2:r=48000"], "");
        let path = studio.path(name);
        let status = std::process::Command::new("ffmpeg")
            .args([
                "-nostdin", "-v", "error", "-y", "-f", "lavfi", "-i", pictures,
            ])
            .args(["-itsoffset", "1.5", "-i"])
            .arg(sine)
            .args(["-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac"])
            .arg(&path)
            .status()
            .unwrap();
        assert!(status.success());
        let made = whole(&studio, &path);
        let rate = made.plan.audio.as_ref().unwrap().sample_rate as usize;
        let samples = heard(&made.sound[0]);
        let first = samples.iter().position(|s| s.abs() > 0.05).unwrap();
        let at = first as f64 / rate as f64;
        assert!((at - 1.5).abs() < 0.05, "{name} begins at {at}");
    }
    let path = studio.make(
        "many.mkv",
        &[pictures, "sine=440:d=4:r=48000", "sine=880:d=4:r=44100"],
        "-map 0:v -map 1:a -map 2:a -c:v libx264 -preset ultrafast -c:a:0 aac -c:a:1 flac \
         -metadata:s:a:0 language=deu -metadata:s:a:1 language=fra",
    );
    let made = whole(&studio, &path);
    let tracks = &made.plan.audio.as_ref().unwrap().tracks;
    let languages: Vec<_> = tracks.iter().map(|t| t.language.as_deref()).collect();
    assert_eq!(languages, [Some("deu"), Some("fra")]);
    for (file, tone) in made.sound.iter().zip([440_usize, 880]) {
        let samples = heard(file);
        let middle = &samples[48_000..96_000];
        let crossings = middle.windows(2).filter(|w| w[0] < 0.0 && w[1] >= 0.0);
        assert!(crossings.count().abs_diff(tone) <= 2, "{}", file.display());
    }
}

#[test]
fn negative_times_and_late_starts() {
    let studio = Studio::new();
    for (name, args) in [
        (
            "negative.mp4",
            "-c:v libx264 -preset ultrafast -bf 2 -output_ts_offset -0.7 -avoid_negative_ts disabled",
        ),
        (
            "late.ts",
            "-c:v libx264 -preset ultrafast -bf 2 -output_ts_offset 90000",
        ),
        (
            "wrap.ts",
            // 33 bits of a 90 kHz clock end at 95443.7 seconds.
            "-c:v libx264 -preset ultrafast -bf 2 -g 10 -output_ts_offset 95441.5",
        ),
    ] {
        let path = studio.film(name, "10", 4, args);
        let made = whole(&studio, &path);
        let shown = crate::film::numbers(&made.film);
        let wanted: Vec<u32> = (0..40).collect();
        assert!(
            shown == wanted || name == "negative.mp4" && wanted.ends_with(&shown),
            "{name}: {shown:?}"
        );
    }
}

#[test]
fn no_film_but_cover_art_is_said_so() {
    let studio = Studio::new();
    let art = studio.make("art.png", &["testsrc2=s=64x64:r=1:d=1"], "-frames:v 1");
    for (name, args) in [
        ("a.mp3", "-c:a libmp3lame -c:v copy -id3v2_version 3"),
        ("a.m4a", "-c:a aac -c:v copy"),
        ("a.flac", "-c:a flac -c:v copy"),
    ] {
        let path = studio.make(
            name,
            &["sine=440:d=2", art.to_str().unwrap()],
            &format!("-map 0 -map 1 -disposition:v attached_pic {args}"),
        );
        let info = look(&path).unwrap().info;
        assert!(has_cover(&info) && info.video.is_empty(), "{name}");
        let refused = plan(&info, &PlanSettings::default(), tools().version());
        let error = refused.err().map(|e| e.code);
        assert!(
            matches!(error, Some("input.unsupported")) || needs_index(&info),
            "{name}: {error:?}"
        );
    }
}

#[test]
fn sizes_and_rates_of_sound_that_change_on_the_way() {
    let studio = Studio::new();
    // Two recordings of a broadcast, one behind the other.
    let part = |name: &str, size: &str, rate: u32, at: u32| {
        let path = studio.make(
            name,
            &[
                &format!("testsrc2=s={size}:r=25:d=2"),
                &format!("sine=440:d=2:r={rate}"),
            ],
            &format!("-c:v libx264 -preset ultrafast -g 25 -bf 0 -c:a mp2 -output_ts_offset {at}"),
        );
        std::fs::read(path).unwrap()
    };
    let bytes = [
        part("one.ts", "320x180", 48_000, 0),
        part("two.ts", "640x360", 32_000, 2),
    ]
    .concat();
    let path = studio.path("changes.ts");
    std::fs::write(&path, bytes).unwrap();
    let made = whole(&studio, &path);
    assert!(
        made.plan.grid.total.abs_diff(100) <= 2,
        "{:?}",
        made.plan.grid
    );
    let audio = made.plan.audio.as_ref().unwrap();
    let samples = heard(&made.sound[0]);
    let rate = audio.sample_rate as usize;
    for second in [0.5, 2.7] {
        let start = (second * rate as f64) as usize;
        let part = &samples[start..start + rate / 2];
        let crossings = part.windows(2).filter(|w| w[0] < 0.0 && w[1] >= 0.0);
        assert!(crossings.count().abs_diff(220) <= 4, "at {second} s");
    }
}
