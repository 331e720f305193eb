//! What is found out about films before anything is made of them.

use mediaflow_media::video::{Hdr, MediaInfo, MediaLimits, Ratio, inspect};

use crate::film::{Studio, look, media_type, numbered, tools};

#[test]
fn streams_are_described_and_counted() {
    let studio = Studio::new();
    let path = studio.make(
        "two.mp4",
        &[&numbered("30000/1001", 2), "sine=440:d=2:r=44100"],
        "-c:v libx264 -preset ultrafast -bf 2 -g 20 -pix_fmt yuv420p -color_primaries bt709 \
         -color_trc bt709 -colorspace bt709 -c:a aac -metadata:s:a:0 language=deu -metadata title=Two",
    );
    let info = look(&path).unwrap().info;
    let video = &info.video[0];
    assert_eq!(video.codec, "h264");
    assert_eq!((video.width, video.height, video.bit_depth), (320, 180, 8));
    assert_eq!(
        video.frame_rate,
        Ratio {
            num: 30_000,
            den: 1001
        }
    );
    assert!(video.timeline.constant_rate && !video.interlaced);
    assert_eq!(video.timeline.frames, 60);
    assert_eq!(video.timeline.key_pts.len(), 3);
    assert_eq!(video.color.matrix.as_deref(), Some("bt709"));
    let audio = &info.audio[0];
    assert_eq!((audio.channels, audio.sample_rate), (1, 44_100));
    assert_eq!(audio.timeline.packet_samples, Some(1024));
    assert_eq!(audio.language.as_deref(), Some("deu"));
    assert_eq!(info.tags["title"], "Two");
    assert!(
        (1_990_000..2_080_000).contains(&info.duration_us),
        "{}",
        info.duration_us
    );
    assert!(!info.ends_early);
}

const EMPTY_BOXES: usize = 10_001;

/// The same film in MP4, whose tables are read, and in one whose packets must be counted.
#[test]
fn tables_say_what_packets_say() {
    let studio = Studio::new();
    let sine = "sine=440:d=4:r=44100";
    for (name, args) in [
        ("a.mp4", "-c:v libx264 -bf 3 -g 25 -c:a aac"),
        (
            "b.mp4",
            "-vf select=mod(n\\,7)-3 -fps_mode vfr -c:v libx264 -c:a libmp3lame",
        ),
        ("c.mov", "-c:v mpeg4 -bf 2 -c:a pcm_s16le"),
        (
            "late.mp4",
            "-c:v libx264 -bf 2 -c:a aac -output_ts_offset 3.2",
        ),
        (
            "front.mp4",
            "-c:v libx265 -preset ultrafast -x265-params log-level=none -c:a aac -movflags +faststart",
        ),
    ] {
        let path = studio.make(name, &[&numbered("30", 4), sine], args);
        let mut tables = look(&path).unwrap().info;
        // Nobody looks for tables behind ten thousand empty boxes.
        let mut bytes = std::fs::read(&path).unwrap();
        let brand = usize::from(bytes[3]);
        bytes.splice(brand..brand, b"\0\0\0\x08free".repeat(EMPTY_BOXES));
        let shifted = studio.path("counted.mp4");
        std::fs::write(&shifted, relocated(bytes)).unwrap();
        let counted = mediaflow_media::video::inspect(
            &tools(),
            &shifted,
            "video/mp4",
            &MediaLimits::default(),
        );
        let Ok(counted) = counted else {
            panic!("{name}: {}", counted.unwrap_err())
        };
        let mut counted = counted.info;
        let heard = |info: &MediaInfo| info.audio[0].heard().start;
        assert_eq!(heard(&tables), heard(&counted), "{name}");
        for info in [&mut tables, &mut counted] {
            // Said twice by packets: before zero there is nothing to hear either way.
            info.audio[0].timeline.lead_samples = 0;
            info.bytes = 0;
            info.bit_rate = 0;
            info.audio[0].timeline.packets = 0;
            info.audio[0].bit_rate = 0;
            if name == "late.mp4" {
                // A table knows how much of the last block is heard, a packet does not.
                info.audio[0].timeline.end_pts = 0;
                info.duration_us = 0;
            }
            assert!(!info.ends_early, "{name}");
            if name == "c.mov" {
                // A table sees uncompressed sound as one piece.
                info.audio[0].timeline.packet_samples = None;
            }
        }
        assert_eq!(tables, counted, "{name}");
    }
}

/// Moves all sample offsets of an MP4 file by the bytes that were put in front of them.
fn relocated(mut bytes: Vec<u8>) -> Vec<u8> {
    let mut at = 0;
    while let Some(found) = bytes[at..].windows(4).position(|w| w == b"stco") {
        let start = at + found + 8;
        let word =
            |bytes: &[u8], at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
        let count = word(&bytes, start) as usize;
        if (1..10_000).contains(&count) && start + 4 + count * 4 <= bytes.len() {
            for n in 0..count {
                let at = start + 4 + n * 4;
                let moved = word(&bytes, at) + 8 * EMPTY_BOXES as u32;
                bytes[at..at + 4].copy_from_slice(&moved.to_be_bytes());
            }
        }
        at = start;
    }
    bytes
}

#[test]
fn every_container_is_taken() {
    let studio = Studio::new();
    for (name, args) in [
        ("a.mp4", "-c:v libx264"),
        ("a.mov", "-c:v mjpeg -pix_fmt yuvj420p"),
        ("a.mkv", "-c:v libx264"),
        ("a.webm", "-c:v libvpx -deadline realtime"),
        ("a.ts", "-c:v libx264"),
        ("a.avi", "-c:v mpeg4"),
        ("a.flv", "-c:v flv"),
        ("a.mpg", "-c:v mpeg2video"),
        ("a.m2v", "-c:v mpeg2video"),
        ("a.ogv", "-c:v libtheora"),
        ("a.wmv", "-c:v wmv2"),
        ("a.3gp", "-c:v h263 -s 352x288"),
    ] {
        let path = studio.film(name, "25", 1, args);
        let inspection = look(&path).unwrap_or_else(|e| panic!("{name}: {e}"));
        let video = &inspection.info.video[0];
        assert!(
            (23..=25).contains(&video.timeline.frames),
            "{name}: {:?}",
            video.timeline
        );
        assert_eq!(video.frame_rate, Ratio { num: 25, den: 1 }, "{name}");
        assert!(inspection.ffprobe["streams"][0]["codec_name"].is_string());
    }
    for (name, args) in [
        ("a.wav", "-c:a pcm_s16le"),
        ("a.mp3", "-c:a libmp3lame"),
        ("a.flac", "-c:a flac"),
        ("a.aac", "-c:a aac"),
        ("a.m4a", "-c:a aac"),
        ("a.opus", "-c:a libopus"),
        ("a.ogg", "-c:a libvorbis"),
        ("a.aiff", "-c:a pcm_s16be"),
        ("a.mka", "-c:a ac3"),
    ] {
        let path = studio.make(name, &["sine=440:d=2:r=48000"], args);
        let info = look(&path).unwrap_or_else(|e| panic!("{name}: {e}")).info;
        assert_eq!(info.audio.len(), 1, "{name}");
        assert!(
            (1_900_000..2_150_000).contains(&info.duration_us),
            "{name}: {}",
            info.duration_us
        );
    }
}

#[test]
fn variable_rate_turned_interlaced_and_bright_films_are_noticed() {
    let studio = Studio::new();
    let film = |name: &str, args: &str| {
        let path = studio.film(name, "30", 2, args);
        look(&path).unwrap().info.video.remove(0)
    };
    let variable = film(
        "vfr.mkv",
        "-vf select=mod(n\\,7)-3 -fps_mode vfr -c:v libx264",
    );
    assert!(!variable.timeline.constant_rate);
    assert_eq!(variable.frame_rate, Ratio { num: 30, den: 1 });

    let upright = film("up.mp4", "-c:v libx264");
    let turned = studio.make(
        "turned.mp4",
        &[studio.path("up.mp4").to_str().unwrap()],
        "-c copy -metadata:s:v:0 rotate=90",
    );
    let turned = look(&turned).unwrap().info.video.remove(0);
    assert_eq!(turned.orientation.degrees % 180, 90);
    assert_eq!((upright.display_width, upright.display_height), (320, 180));
    assert_eq!((turned.display_width, turned.display_height), (180, 320));

    let wide = film("wide.mp4", "-c:v libx264 -aspect 4:3");
    assert_eq!((wide.display_width, wide.display_height), (240, 180));

    let fields = film(
        "fields.mp4",
        "-vf interlace -c:v libx264 -flags +ilme+ildct",
    );
    assert!(fields.interlaced);

    let bright = film(
        "hdr.mp4",
        "-c:v libx265 -preset ultrafast -x265-params log-level=none -pix_fmt yuv420p10le \
         -color_primaries bt2020 -color_trc smpte2084 -colorspace bt2020nc",
    );
    assert_eq!((bright.hdr, bright.bit_depth), (Some(Hdr::Hdr10), 10));
}

#[test]
fn damaged_and_too_large_films_fail_with_the_true_code() {
    let studio = Studio::new();
    let path = studio.film("a.mp4", "30", 2, "-c:v libx264 -movflags +faststart");
    let bytes = std::fs::read(&path).unwrap();
    let code = |name: &str, bytes: &[u8]| {
        let path = studio.path(name);
        std::fs::write(&path, bytes).unwrap();
        inspect(&tools(), &path, "video/mp4", &MediaLimits::default())
            .map(|_| ())
            .map_err(|e| e.code)
    };
    assert_eq!(code("empty", b""), Err("input.empty"));
    assert_eq!(code("head", &bytes[..600]), Err("input.corrupt"));
    assert_eq!(code("noise", &[7; 9000]), Err("input.corrupt"));
    let cut = studio.path("cut.mp4");
    std::fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    assert!(look(&cut).unwrap().info.ends_early);

    let limited = |limits: MediaLimits| {
        inspect(&tools(), &path, media_type(&path), &limits)
            .map(|_| ())
            .map_err(|e| e.code)
    };
    let limits = MediaLimits::default();
    let duration_seconds_max = 1;
    assert_eq!(
        limited(MediaLimits {
            duration_seconds_max,
            ..limits
        }),
        Err("limit.duration")
    );
    assert_eq!(
        limited(MediaLimits {
            pixels_max: 10_000,
            ..limits
        }),
        Err("limit.pixels")
    );
    assert_eq!(
        limited(MediaLimits {
            frame_rate_max: 29,
            ..limits
        }),
        Err("limit.frame_rate")
    );
    assert_eq!(
        limited(MediaLimits {
            streams_max: 0,
            ..limits
        }),
        Err("limit.streams")
    );
}
