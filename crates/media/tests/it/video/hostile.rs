//! Files that try to make ffmpeg read others, and runs that must end.

use std::io::ErrorKind::WouldBlock;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mediaflow_media::sniff::{Sniffed, sniff};
use mediaflow_media::video::plan::{PlanSettings, plan};
use mediaflow_media::video::{FfmpegLimits, MediaLimits, encode_chunk, inspect};

use crate::film::{Studio, look, tools};

const TYPES: [&str; 13] = [
    "video/mp4",
    "video/webm",
    "video/mp2t",
    "video/mpeg",
    "video/mpv",
    "video/x-msvideo",
    "video/x-flv",
    "video/ogg",
    "video/x-ms-asf",
    "audio/wav",
    "audio/mpeg",
    "audio/flac",
    "audio/aac",
];

#[test]
fn playlists_scripts_and_text_art_get_nothing() {
    let studio = Studio::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    // A film beside them that any of them would show if it could.
    let victim = studio.film("victim.mp4", "30", 1, "-c:v libx264");
    let victim = victim.to_str().unwrap();
    let playlist = |uri: &str| {
        format!(
            "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{uri}\n#EXT-X-ENDLIST\n"
        )
    };
    let art = [
        b"XBIN\x1a\x50\0\x19\0\x10\x04".to_vec(),
        playlist(victim).into_bytes(),
    ]
    .concat();
    let files: Vec<(&str, Vec<u8>)> = vec![
        ("relative.m3u8", playlist("victim.mp4").into_bytes()),
        (
            "absolute.m3u8",
            playlist(&format!("file://{victim}")).into_bytes(),
        ),
        (
            "network.m3u8",
            playlist(&format!("http://127.0.0.1:{port}/a.ts")).into_bytes(),
        ),
        (
            "concat.m3u8",
            playlist(&format!("concat:http://127.0.0.1:{port}/x|file://{victim}")).into_bytes(),
        ),
        (
            "script.ffconcat",
            b"ffconcat version 1.0\nfile victim.mp4\n".to_vec(),
        ),
        ("art.xb", art),
    ];
    for (name, bytes) in &files {
        assert_eq!(sniff(bytes), Sniffed::Unknown, "{name}");
        let path = studio.path(name);
        std::fs::write(&path, bytes).unwrap();
        for kind in TYPES {
            let found = inspect(&tools(), &path, kind, &MediaLimits::default());
            let error = found.map(|i| i.ffprobe).expect_err(name);
            assert!(
                error.code.starts_with("input."),
                "{name} as {kind}: {error}"
            );
            assert!(
                !error.message.contains(studio.path("").to_str().unwrap()),
                "{error}"
            );
        }
    }
    assert_eq!(listener.accept().unwrap_err().kind(), WouldBlock);
}

#[test]
fn a_playlist_in_the_subtitles_of_a_film_is_not_followed() {
    let studio = Studio::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let playlist = format!(
        "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:1,\nhttp://127.0.0.1:{port}/a\n#EXT-X-ENDLIST\n"
    );
    let path = studio.path("gab2.avi");
    std::fs::write(&path, avi_with_subtitles(playlist.as_bytes())).unwrap();
    let found = inspect(&tools(), &path, "video/x-msvideo", &MediaLimits::default()).unwrap();
    assert_eq!(found.info.video.len(), 1);
    assert!(
        !found.ffprobe.to_string().contains("hls"),
        "{}",
        found.ffprobe
    );
    assert_eq!(listener.accept().unwrap_err().kind(), WouldBlock);
}

/// An AVI of one raw picture, with a "GAB2" subtitle that holds `text`.
fn avi_with_subtitles(text: &[u8]) -> Vec<u8> {
    let chunk = |kind: &[u8], body: &[u8]| {
        let pad = vec![0; body.len() % 2];
        [kind, &(body.len() as u32).to_le_bytes(), body, &pad].concat()
    };
    let list = |kind: &[u8], body: &[u8]| chunk(b"LIST", &[kind, body].concat());
    let words = |words: &[u32]| {
        words
            .iter()
            .flat_map(|w| w.to_le_bytes())
            .collect::<Vec<_>>()
    };
    let main = chunk(
        b"avih",
        &words(&[40_000, 0, 0, 0x10, 1, 0, 2, 0, 16, 16, 0, 0, 0, 0]),
    );
    let stream = |kind: &[u8], handler: &[u8], format: &[u8]| {
        let header = [
            kind,
            handler,
            &words(&[0, 0, 0, 1, 25, 0, 1, 0, u32::MAX, 0, 0, 0])[..],
        ]
        .concat();
        list(
            b"strl",
            &[chunk(b"strh", &header), chunk(b"strf", format)].concat(),
        )
    };
    let bitmap = words(&[40, 16, 16, 1 | 24 << 16, 0, 768, 0, 0, 0, 0]);
    let header = [
        main,
        stream(b"vids", b"DIB ", &bitmap),
        stream(b"txts", b"DXSB", b""),
    ]
    .concat();
    let subtitle = [
        b"GAB2\0\x02\0\x02\0\0\0a\0\x04\0",
        &(text.len() as u32).to_le_bytes()[..],
        text,
    ]
    .concat();
    let movie = [chunk(b"00db", &[99; 768]), chunk(b"01tx", &subtitle)].concat();
    let body = [
        b"AVI ".to_vec(),
        list(b"hdrl", &header),
        list(b"movi", &movie),
    ]
    .concat();
    chunk(b"RIFF", &body)
}

#[test]
fn runs_end_in_time_and_when_they_are_told() {
    let studio = Studio::new();
    let path = studio.make(
        "a.mp4",
        &["testsrc2=s=1280x720:r=60:d=20"],
        "-c:v libx264 -preset ultrafast -threads 2",
    );
    let settings = PlanSettings {
        preset: "veryslow".into(),
        ..PlanSettings::default()
    };
    let mut plan = plan(&look(&path).unwrap().info, &settings, tools().version()).unwrap();
    plan.chunks[0].segments = plan.segments;
    let code = |ffmpeg| {
        let started = Instant::now();
        let error = encode_chunk(&ffmpeg, &path, &plan, &plan.chunks[0], &studio.scratch())
            .expect_err("it must be ended");
        assert!(
            started.elapsed() < Duration::from_secs(30),
            "{:?}",
            started.elapsed()
        );
        error.code
    };
    let limits = FfmpegLimits::default();
    let wall = Duration::from_millis(700);
    assert_eq!(
        code(tools().with_limits(FfmpegLimits { wall, ..limits })),
        "timeout"
    );
    let cpu_seconds = 1;
    assert_eq!(
        code(tools().with_limits(FfmpegLimits {
            cpu_seconds,
            ..limits
        })),
        "timeout"
    );

    let flag = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&flag);
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(500));
        told.store(true, Ordering::Relaxed);
    });
    assert_eq!(code(tools().cancelled_by(flag)), "cancelled");
    let left = std::fs::read_dir(studio.scratch()).unwrap().count();
    assert_eq!(left, 0, "nothing is left behind");

    // Far too little for pictures of this size.
    let memory_bytes = 400 << 20;
    let starved = code(tools().with_limits(FfmpegLimits {
        memory_bytes,
        ..limits
    }));
    assert!(
        ["limit.memory", "encoder.failed", "decoder.crashed"].contains(&starved),
        "{starved}"
    );
}
