//! Sound: pieces that join without a click, in sync from the first sample to the last.

use std::path::{Path, PathBuf};
use std::process::Command;

use mediaflow_media::audio::{
    self, Download, DownloadFormat, Level, cover, encode_piece, even, init_segment, loudness,
    waveform,
};
use mediaflow_media::image::Format;
use mediaflow_media::mp4::codec_string;
use mediaflow_media::sniff::{Sniffed, sniff};
use mediaflow_media::video::plan::{AudioPiece, AudioPlan};
use mediaflow_media::video::{Ratio, encode_chunk, progressive, verify_sound};

use crate::film::{Studio, look, tools};

/// Two segments in each piece, whatever the plan wants.
fn in_small_pieces(plan: &mut AudioPlan) {
    let segments = plan.segments();
    plan.pieces = (0..segments)
        .step_by(2)
        .map(|first_segment| AudioPiece {
            first_segment,
            segments: (segments - first_segment).min(2),
        })
        .collect();
}

/// All segments of the first track's last rendition behind their initialisation segment.
fn encoded(studio: &Studio, path: &Path, plan: &AudioPlan, levels: &[Level]) -> PathBuf {
    let rendition = plan.tracks[0].renditions.len() - 1;
    let mut bytes = init_segment(plan, 0, rendition).unwrap();
    assert_eq!(codec_string(&bytes).unwrap(), "mp4a.40.2");
    let mut next = 0;
    for piece in &plan.pieces {
        encode_piece(
            &tools(),
            path,
            plan,
            piece,
            levels,
            &studio.scratch(),
            &mut |made| {
                if (made.track, made.rendition) == (0, rendition) {
                    assert_eq!(made.segment.start_ticks, next);
                    next += made.segment.duration_ticks;
                    bytes.extend_from_slice(&made.segment.bytes);
                }
                Ok(())
            },
        )
        .unwrap();
    }
    assert_eq!(next, plan.blocks * 1024);
    let joined = studio.path("joined.mp4");
    std::fs::write(&joined, bytes).unwrap();
    verify_sound(&tools(), &joined, plan.sample_rate, 0, plan.blocks).unwrap();
    joined
}

/// The first channel as it is heard, from -1 to 1.
fn heard(path: &Path) -> Vec<f32> {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-i"])
        .arg(path)
        .args(["-af", "pan=mono|c0=c0", "-f", "f32le", "-"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.is_empty(), "{said}");
    output
        .stdout
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        .collect()
}

fn planned(path: &Path) -> AudioPlan {
    audio::plan(&look(path).unwrap().info, &[96_000, 192_000], 1, 2).unwrap()
}

#[test]
fn pieces_join_without_a_click() {
    let studio = Studio::new();
    for (name, rate, args) in [
        ("a.mp4", 44_100, "-c:a aac -b:a 256k"),
        ("a.mkv", 48_000, "-c:a libopus -b:a 192k"),
        ("b.mkv", 44_100, "-c:a libmp3lame -b:a 256k"),
        ("a.wav", 48_000, "-c:a pcm_s16le"),
        ("a.flac", 96_000, "-c:a flac -sample_fmt s32"),
        ("a.webm", 44_100, "-c:a libvorbis -q:a 8"),
        ("a.mp3", 44_100, "-c:a libmp3lame -b:a 256k"),
    ] {
        let sine = format!("aevalsrc=0.5*sin(2*PI*1000*t)|0.5*sin(2*PI*1000*t):s={rate}:d=9.3");
        let path = studio.make(name, &[&sine], args);
        let mut plan = planned(&path);
        if plan.pieces.len() > 1 {
            in_small_pieces(&mut plan);
        } else {
            assert!(name.ends_with("webm") || name.ends_with("mp3"), "{name}");
        }
        let samples = heard(&encoded(&studio, &path, &plan, &[]));
        // A sine is its own prediction; a jump in it is not.
        let w = 2.0 * (std::f64::consts::TAU * 1000.0 / f64::from(plan.sample_rate)).cos() as f32;
        let end = samples.len() - plan.sample_rate as usize / 5;
        let worst = samples[4096..end]
            .windows(3)
            .map(|s| (s[2] - w * s[1] + s[0]).abs())
            .fold(0.0, f32::max);
        assert!(worst < 0.02, "{name}: {worst}");
    }
}

#[test]
fn sound_is_where_the_picture_is() {
    let studio = Studio::new();
    let beeps =
        "aevalsrc='if(between(t,1,1.2)+between(t,7.5,7.7),0.5*sin(2*PI*1000*t),0)':s=48000:d=8";
    for (name, args) in [
        ("a.mp4", "-c:v libx264 -bf 2 -c:a aac"),
        (
            "late.mkv",
            "-c:v libx264 -bf 2 -c:a libopus -output_ts_offset 5",
        ),
        ("b.mov", "-c:v mpeg4 -c:a pcm_s16le"),
    ] {
        let path = studio.make(name, &["testsrc2=s=64x64:r=30:d=8", beeps], args);
        let info = look(&path).unwrap().info;
        let settings = mediaflow_media::video::PlanSettings {
            segment_seconds: 1,
            ..Default::default()
        };
        let film = mediaflow_media::video::plan(&info, &settings, tools().version()).unwrap();
        let mut plan = film.audio.clone().unwrap();
        in_small_pieces(&mut plan);
        let rate = f64::from(plan.sample_rate);
        let samples = heard(&encoded(&studio, &path, &plan, &[]));
        let seconds = samples.len() as f64 / rate;
        assert!(
            (seconds - film.grid.seconds()).abs() < 0.033,
            "{name}: {seconds}"
        );
        let chunks = film.chunks.iter().flat_map(|chunk| {
            encode_chunk(&tools(), &path, &film, chunk, &studio.scratch()).unwrap()
        });
        let mut pictures = Vec::new();
        for made in chunks.filter(|made| made.rung == 0) {
            if pictures.is_empty() {
                pictures.extend_from_slice(&made.init);
            }
            made.segments
                .iter()
                .for_each(|s| pictures.extend_from_slice(&s.bytes));
        }
        let (video, audio) = (studio.path("video.mp4"), studio.path("joined.mp4"));
        std::fs::write(&video, pictures).unwrap();
        progressive(
            &tools(),
            &video,
            Some(&audio),
            &studio.scratch(),
            "take.mp4",
        )
        .unwrap();
        let whole = look(&studio.scratch().join("take.mp4")).unwrap().info;
        let start = |pts: i64, base: Ratio| (pts as f64 * base.as_f64() * 1000.0).round();
        let (v, a) = (&whole.video[0], &whole.audio[0]);
        assert_eq!(start(v.timeline.first_pts, v.time_base), 0.0, "{name}");
        assert_eq!(start(a.timeline.first_pts, a.time_base), 0.0, "{name}");
        for (from, at) in [(0.0, 1.0), (7.0, 7.5)] {
            let skipped = (from * rate) as usize;
            let onset = samples[skipped..]
                .iter()
                .position(|s| s.abs() > 0.2)
                .unwrap();
            let onset = from + onset as f64 / rate;
            assert!((onset - at).abs() < 0.01, "{name}: {onset} and not {at}");
        }
    }
}

#[test]
fn late_silent_and_surround_sound() {
    let studio = Studio::new();
    // Sound that begins a second after the pictures and ends two before them.
    let path = studio.make(
        "late.mkv",
        &["testsrc2=s=64x64:r=30:d=6", "sine=1000:d=3:r=48000"],
        "-af asetpts=PTS+1/TB -c:v libx264 -c:a aac -ac 2",
    );
    let settings = mediaflow_media::video::PlanSettings {
        segment_seconds: 1,
        ..Default::default()
    };
    let film =
        mediaflow_media::video::plan(&look(&path).unwrap().info, &settings, tools().version())
            .unwrap();
    let mut plan = film.audio.unwrap();
    in_small_pieces(&mut plan);
    let samples = heard(&encoded(&studio, &path, &plan, &[]));
    let loud = |from: f64, to: f64| {
        let at = |s: f64| (s * f64::from(plan.sample_rate)) as usize;
        samples[at(from)..at(to)]
            .iter()
            .fold(0.0_f32, |m, s| m.max(s.abs()))
    };
    assert!(loud(0.0, 0.9) < 0.01 && loud(1.1, 3.9) > 0.05 && loud(4.2, 5.9) < 0.01);

    for channels in [5, 6, 7, 12] {
        let tones = vec!["0.1*sin(2*PI*500*t)"; channels].join("|");
        let path = studio.make(
            "many.wav",
            &[&format!("aevalsrc={tones}:s=48000:d=2")],
            "-c:a pcm_s16le",
        );
        let plan = planned(&path);
        assert_eq!(plan.tracks[0].channels, 2);
        assert!(heard(&encoded(&studio, &path, &plan, &[])).len() > 90_000);
    }
    let six = audio::plan(
        &look(&studio.path("many.wav")).unwrap().info,
        &[192_000],
        6,
        6,
    )
    .unwrap();
    assert_eq!(six.tracks[0].channels, 6);
}

#[test]
fn loudness_is_measured_and_evened_out() {
    let studio = Studio::new();
    let path = studio.make(
        "a.wav",
        &["aevalsrc=0.1*sin(2*PI*997*t):s=48000:d=6"],
        "-c:a pcm_s16le",
    );
    let measured = measured(&path);
    let (loud, peak) = (
        measured.integrated_lufs.unwrap(),
        measured.true_peak_dbtp.unwrap(),
    );
    assert!((loud + 23.0).abs() < 0.2, "{loud}");
    assert!((peak + 20.0).abs() < 0.3, "{peak}");
    let level = Level::reaching(&measured, -16.0, -1.0);
    assert!((level.gain_db - 7.0).abs() < 0.3 && level.limit_dbtp.is_none());
    assert_eq!(Level::reaching(&measured, 0.0, -1.0).limit_dbtp, Some(-1.0));

    let level = Level {
        gain_db: 6.0,
        limit_dbtp: None,
    };
    let joined = encoded(&studio, &path, &planned(&path), &[level]);
    let again = self::measured(&joined);
    assert!(
        (again.integrated_lufs.unwrap() + 17.0).abs() < 0.5,
        "{again:?}"
    );

    let silent = studio.make("s.wav", &["anullsrc=r=48000:d=2"], "-c:a pcm_s16le -t 2");
    let measured = self::measured(&silent);
    assert_eq!(measured.integrated_lufs, None);
    let level = Level::reaching(&measured, -16.0, -1.0);
    assert_eq!(level, Level::default());
}

fn measured(path: &Path) -> audio::Loudness {
    let info = look(path).unwrap().info;
    let stream = &info.audio[0];
    let channels = audio::channels(stream, 2);
    loudness(
        &tools(),
        path,
        info.container,
        stream,
        channels,
        Level::default(),
    )
    .unwrap()
}

#[test]
fn peaks_are_held_back_and_all_pieces_are_as_loud() {
    let studio = Studio::new();
    // Quiet, with a loud knock every second: the gain alone would bring the knocks far above what there is.
    let knocks = "aevalsrc='(if(lt(mod(t,1),0.005),0.9,0.04))*sin(2*PI*500*t)':s=48000:d=12";
    let path = studio.make("a.wav", &[knocks], "-c:a pcm_s24le");
    let info = look(&path).unwrap().info;
    let target = (-20.0, -1.0);
    let evened = even(&tools(), &path, info.container, &info.audio[0], 1, target).unwrap();
    assert!(evened.level.limit_dbtp.is_some(), "{evened:?}");

    let mut plan = planned(&path);
    plan.tracks[0].renditions.truncate(2);
    let whole = heard(&encoded(&studio, &path, &plan, &[evened.level]));
    in_small_pieces(&mut plan);
    let joined = encoded(&studio, &path, &plan, &[evened.level]);
    let found = measured(&joined);
    assert!(
        (found.integrated_lufs.unwrap() + 20.0).abs() < 1.0,
        "{found:?}"
    );
    // AAC moves peaks a little.
    assert!(found.true_peak_dbtp.unwrap() < 0.0, "{found:?}");
    let pieces = heard(&joined);
    let off = whole.iter().zip(&pieces).map(|(a, b)| (a - b).abs());
    let off = off.fold(0.0, f32::max);
    assert!(off < 0.05, "a piece is {off} away from the whole");
}

#[test]
fn waves_covers_and_downloads() {
    let studio = Studio::new();
    let path = studio.make(
        "a.mp3",
        &[
            "aevalsrc='if(lt(t,2),0.9,0.1)*sin(2*PI*300*t)':s=44100:d=4",
            "color=red:s=300x200:r=1:d=1",
        ],
        "-map 0 -map 1 -c:a libmp3lame -c:v mjpeg -pix_fmt yuvj420p -disposition:v attached_pic",
    );
    let info = look(&path).unwrap().info;
    assert!(info.video.is_empty());
    let art = cover(&tools(), &path, &info).unwrap().unwrap();
    assert_eq!(sniff(&art), Sniffed::Image(Format::Jpeg));

    let wave = waveform(&tools(), &path, info.container, &info.audio[0], 100).unwrap();
    assert!((98..=102).contains(&wave.length), "{}", wave.length);
    let pair = |n: usize| (wave.data[n * 2], wave.data[n * 2 + 1]);
    assert!(pair(20).0 < -100 && pair(20).1 > 100, "{:?}", pair(20));
    assert!(pair(80).0 > -20 && pair(80).1 < 20, "{:?}", pair(80));
    let picture = wave.picture(200, 50, [1, 2, 3]);
    let alpha = |x: usize, y: usize| picture.data()[(y * 200 + x) * 4 + 3];
    assert_eq!((alpha(40, 8), alpha(160, 8), alpha(160, 25)), (255, 0, 255));

    for format in [
        DownloadFormat::Opus,
        DownloadFormat::Mp3,
        DownloadFormat::Aac,
    ] {
        let download = Download {
            format,
            bit_rate: 96_000,
            level: Level::default(),
        };
        let (scratch, name) = (studio.scratch(), format!("take.{}", format.extension()));
        let stream = &info.audio[0];
        audio::download(
            &tools(),
            &path,
            info.container,
            stream,
            &download,
            &scratch,
            &name,
        )
        .unwrap();
        let made = look(&scratch.join(name)).unwrap().info;
        assert!(
            (3_900_000..4_150_000).contains(&made.duration_us),
            "{}",
            made.duration_us
        );
    }
}
