//! Containers that point elsewhere, declare what they have not, or have far too much of something.

use std::io::ErrorKind::WouldBlock;
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use mediaflow_media::sandbox::SandboxMode;
use mediaflow_media::sniff::{Sniffed, sniff};
use mediaflow_media::video::plan::{PlanSettings, plan};
use mediaflow_media::video::{Ffmpeg, FfmpegLimits, MediaLimits, encode_chunk, inspect};

use crate::film::{Studio, look, tools};

/// Nobody may read it.
const CANARY: &str = "CANARY-that-nobody-may-read";

/// With the sandbox and without: the closed lists must do alone.
fn both() -> [Ffmpeg; 2] {
    let bare = Ffmpeg::find(None, SandboxMode::Off, FfmpegLimits::default()).unwrap();
    [tools(), bare]
}

fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32 + 8).to_be_bytes(), &kind[..], body].concat()
}

/// Puts `body` in place of the first data reference of an MP4 file whose `moov` is last.
fn with_reference(mut file: Vec<u8>, reference: &[u8]) -> Vec<u8> {
    let find = |bytes: &[u8], kind: &[u8], until: usize| {
        let found = bytes[..until].windows(4).rposition(|w| w == kind);
        found.unwrap_or_else(|| panic!("no {kind:?}")) - 4
    };
    let all = file.len();
    let url = find(&file, b"url ", all);
    let mut until = url;
    for parent in [b"dref", b"dinf", b"minf", b"mdia", b"trak", b"moov"] {
        let at = find(&file, parent, until);
        let size = u32::from_be_bytes(file[at..at + 4].try_into().unwrap());
        let grown = size + reference.len() as u32 - 12;
        file[at..at + 4].copy_from_slice(&grown.to_be_bytes());
        until = at + 4;
    }
    file.splice(url..url + 12, reference.iter().copied());
    file
}

/// An "alias" to the file `path`, as QuickTime wrote them.
fn alias(path: &Path) -> Vec<u8> {
    let text = path.to_str().unwrap();
    let name = |name: &str, room: usize| {
        let mut bytes = vec![name.len().min(room) as u8];
        bytes.extend(name.bytes().take(room));
        bytes.resize(room + 1, 0);
        bytes
    };
    let body = [
        vec![0; 4],
        vec![0; 10],
        name("disk", 27),
        vec![0; 12],
        name(path.file_name().unwrap().to_str().unwrap(), 63),
        vec![0; 16],
        1_u16.to_be_bytes().to_vec(),
        1_u16.to_be_bytes().to_vec(),
        vec![0; 16],
        2_u16.to_be_bytes().to_vec(),
        (text.len() as u16).to_be_bytes().to_vec(),
        text.replace('/', ":").into_bytes(),
        vec![0; text.len() % 2],
        u16::MAX.to_be_bytes().to_vec(),
        vec![0; 2],
    ]
    .concat();
    boxed(b"alis", &body)
}

#[test]
fn references_to_other_files_are_not_followed() {
    let studio = Studio::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let canary = studio.path("canary.srt");
    let words = format!("1\n00:00:00,000 --> 00:00:02,000\n{CANARY}\n");
    std::fs::write(&canary, words).unwrap();
    let other = studio.make(
        "other.mov",
        &["color=white:s=64x64:r=10:d=1"],
        "-c:v mjpeg -pix_fmt yuvj420p",
    );
    let film = studio.make(
        "a.mov",
        &["color=black:s=64x64:r=10:d=1"],
        "-c:v mjpeg -pix_fmt yuvj420p",
    );
    let film = std::fs::read(film).unwrap();
    let url = |address: &str| {
        let body = [&[0; 4], address.as_bytes(), &[0]].concat();
        boxed(b"url ", &body)
    };
    let canary = canary.to_str().unwrap();
    let files: Vec<(&str, Vec<u8>)> = vec![
        ("alias.mov", with_reference(film.clone(), &alias(&other))),
        (
            "url.mov",
            with_reference(film.clone(), &url(&format!("http://127.0.0.1:{port}/a"))),
        ),
        (
            "file.mov",
            with_reference(film.clone(), &url(&format!("file://{}", other.display()))),
        ),
        (
            "dash.mpd",
            format!(
                "<?xml version=\"1.0\"?><MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" type=\"static\" \
                 mediaPresentationDuration=\"PT1S\"><Period><AdaptationSet mimeType=\"video/mp4\"><Representation id=\"1\" \
                 bandwidth=\"1\"><BaseURL>http://127.0.0.1:{port}/a.mp4</BaseURL></Representation></AdaptationSet></Period></MPD>"
            )
            .into_bytes(),
        ),
        (
            "session.sdp",
            format!("v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {port} RTP/AVP 96\na=rtpmap:96 H264/90000\n")
                .into_bytes(),
        ),
        (
            "list.vqf.ssa",
            format!("# VobSub index file, v7\nid: en, index: 0\n{canary}\n").into_bytes(),
        ),
        (
            "words.mkv",
            std::fs::read(studio.make(
                "tagged.mkv",
                &["color=black:s=64x64:r=10:d=1"],
                &format!("-c:v mjpeg -metadata title=concat:{canary} -metadata comment=subfile,,start,0,end,99,,:{canary}"),
            ))
            .unwrap(),
        ),
    ];
    for (name, bytes) in &files {
        let path = studio.path(name);
        std::fs::write(&path, bytes).unwrap();
        let kinds = match sniff(bytes) {
            Sniffed::Video(kind) => vec![kind],
            _ => vec![
                "video/mp4",
                "video/webm",
                "video/mp2t",
                "video/mpeg",
                "audio/mpeg",
            ],
        };
        for (kind, ffmpeg) in kinds.iter().flat_map(|k| both().map(|f| (*k, f))) {
            match inspect(&ffmpeg, &path, kind, &MediaLimits::default()) {
                Err(error) => assert!(error.code.starts_with("input."), "{name}: {error}"),
                Ok(found) => {
                    assert!(!found.ffprobe.to_string().contains(CANARY), "{name}");
                    stays_black(&studio, &ffmpeg, &path, name);
                }
            }
        }
    }
    assert_eq!(listener.accept().unwrap_err().kind(), WouldBlock);
}

/// Whatever can be made of it shows nothing of the white film beside it.
fn stays_black(studio: &Studio, ffmpeg: &Ffmpeg, path: &Path, name: &str) {
    let info = look(path).unwrap().info;
    let plan = plan(&info, &PlanSettings::default(), ffmpeg.version()).unwrap();
    let chunk = &plan.chunks[0];
    let Ok(made) = encode_chunk(ffmpeg, path, &plan, chunk, &studio.scratch()) else {
        return;
    };
    let file = studio.path("shown.mp4");
    let bytes = [&made[0].init[..], &made[0].segments[0].bytes].concat();
    std::fs::write(&file, bytes).unwrap();
    let shown =
        mediaflow_media::video::frame_at(&tools(), &file, &look(&file).unwrap().info, 0.5, 64);
    let brightest = shown.unwrap().data().iter().copied().max();
    assert!(brightest < Some(40), "{name}: {brightest:?}");
}

#[test]
fn sizes_that_boxes_declare_are_not_believed() {
    let studio = Studio::new();
    let film = studio.film("a.mp4", "10", 1, "-c:v libx264 -preset ultrafast");
    let film = std::fs::read(film).unwrap();
    let declared = |kind: &[u8; 4], size: u32| {
        let mut bytes = film.clone();
        let at = bytes.windows(4).position(|w| w == kind).unwrap() - 4;
        bytes[at..at + 4].copy_from_slice(&size.to_be_bytes());
        bytes
    };
    // The number of rows of a table.
    let rows = |kind: &[u8; 4], count: u32, behind: usize| {
        let mut bytes = film.clone();
        let at = bytes.windows(4).position(|w| w == kind).unwrap() + 4 + behind;
        bytes[at..at + 4].copy_from_slice(&count.to_be_bytes());
        bytes
    };
    let long = |size: u64| {
        [
            &boxed(b"ftyp", b"isom\0\0\0\0isom")[..],
            &1_u32.to_be_bytes(),
            b"free",
            &size.to_be_bytes(),
            &[0; 64],
        ]
        .concat()
    };
    let cases = [
        ("moov", declared(b"moov", u32::MAX)),
        ("trak", declared(b"trak", u32::MAX - 7)),
        ("none", declared(b"moov", 4)),
        ("stsz", rows(b"stsz", u32::MAX, 8)),
        ("stts", rows(b"stts", u32::MAX, 4)),
        ("stsc", rows(b"stsc", u32::MAX / 12, 4)),
        ("stco", rows(b"stco", 1 << 30, 4)),
        ("largest", long(u64::MAX)),
        ("nearly", long(u64::MAX - 20)),
    ];
    for (name, bytes) in cases {
        let path = studio.path("declared.mp4");
        std::fs::write(&path, bytes).unwrap();
        let began = Instant::now();
        match look(&path) {
            Ok(found) => assert!(found.info.video[0].timeline.frames <= 10, "{name}"),
            Err(error) => assert!(
                error.code.starts_with("input.") || error.code.starts_with("limit."),
                "{name}: {error}"
            ),
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{name}");
    }
}

#[test]
fn thirty_hours_and_a_thousand_streams_are_refused() {
    let studio = Studio::new();
    // Two pictures, and the second is shown thirty hours after the first.
    for name in ["long.mp4", "long.mkv", "long.mov"] {
        let path = studio.make(
            name,
            &["color=black:s=64x64:r=1:d=2"],
            "-vf setpts=N*108000/TB -fps_mode passthrough -c:v mjpeg -pix_fmt yuvj420p",
        );
        let code = look(&path).map(|_| ()).map_err(|e| e.code);
        assert_eq!(code, Err("limit.duration"), "{name}");
    }
    // A header alone that says so is believed by nobody.
    let path = studio.film("short.mp4", "10", 1, "-c:v libx264 -preset ultrafast");
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(4).position(|w| w == b"mvhd").unwrap() + 4;
    bytes[at + 16..at + 20].copy_from_slice(&360_000_000_u32.to_be_bytes());
    std::fs::write(&path, bytes).unwrap();
    let info = look(&path).unwrap().info;
    assert_eq!(info.duration_us, 1_000_000);
    assert!(info.ends_early, "{:?}", info.declared_duration_us);

    let many = |name: &str, streams: usize| {
        let map = "-map 0:a ".repeat(streams);
        studio.make(
            name,
            &["anullsrc=r=8000:d=0.2"],
            &format!("{map} -c:a pcm_s16le"),
        )
    };
    for name in ["many.mov", "many.mkv"] {
        let code = look(&many(name, 1000)).map(|_| ()).map_err(|e| e.code);
        assert_eq!(code, Err("limit.streams"), "{name}");
    }
    let channels = MediaLimits {
        channels_max: 1,
        ..MediaLimits::default()
    };
    let stereo = studio.make("stereo.mov", &["anullsrc=d=1"], "-c:a pcm_s16le");
    let error = inspect(&tools(), &stereo, "video/quicktime", &channels).expect_err("too many");
    assert_eq!(error.code, "limit.channels");
}
