//! Playlists and manifests, read by ffmpeg as any player would, from a folder of our segments.

use std::path::Path;
use std::process::Command;

use mediaflow_media::mp4::codec_string;
use mediaflow_media::video::RungChunk;
use mediaflow_media::video::encode_chunk;
use mediaflow_media::video::plan::{Plan, PlanSettings, plan};
use mediaflow_playlist::dash::{Manifest, Picture, Representation};
use mediaflow_playlist::hls::{
    KeyFrameVariant, Master, MediaPlaylist, PlaylistKind, PlaylistSegment, Setup, VideoVariant,
    bandwidth, key_frame_playlist,
};

use crate::film::{Studio, look, numbers, tools};

struct Published {
    plan: Plan,
    codec: String,
    segments: Vec<PlaylistSegment>,
    ticks: Vec<u64>,
    bandwidth: (u64, u64),
}

/// Writes the segments of a film's only rung into `folder`.
fn published(studio: &Studio, folder: &Path) -> Published {
    let path = studio.film("a.mp4", "30", 5, "-c:v libx264 -bf 2");
    let settings = PlanSettings {
        segment_seconds: 2,
        ..PlanSettings::default()
    };
    let plan = plan(&look(&path).unwrap().info, &settings, tools().version()).unwrap();
    let chunks: Vec<RungChunk> = plan
        .chunks
        .iter()
        .flat_map(|chunk| encode_chunk(&tools(), &path, &plan, chunk, &studio.scratch()).unwrap())
        .collect();
    std::fs::write(folder.join("init.mp4"), &chunks[0].init).unwrap();
    let mut made = Published {
        codec: codec_string(&chunks[0].init).unwrap(),
        plan,
        segments: Vec::new(),
        ticks: Vec::new(),
        bandwidth: (0, 0),
    };
    let mut sizes = Vec::new();
    for segment in chunks.iter().flat_map(|chunk| &chunk.segments) {
        let uri = format!("{}.m4s", segment.index);
        std::fs::write(folder.join(&uri), &segment.bytes).unwrap();
        let seconds = segment.duration_ticks as f64 / f64::from(segment.timescale);
        sizes.push((segment.bytes.len() as u64, seconds));
        made.ticks.push(segment.duration_ticks);
        let key_frame_bytes = segment.key_frame_bytes as u64;
        made.segments.push(PlaylistSegment {
            uri,
            seconds,
            key_frame_bytes,
        });
    }
    made.bandwidth = bandwidth(&sizes);
    made
}

#[test]
fn hls_plays_from_the_master_on() {
    let studio = Studio::new();
    let folder = studio.path("out");
    std::fs::create_dir(&folder).unwrap();
    let made = published(&studio, &folder);
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();

    let mut playlist = MediaPlaylist {
        kind: PlaylistKind::Growing,
        target_duration: made.plan.target_duration(),
        setup: &Setup::Apart("init.mp4".into()),
        segments: &made.segments[..1],
    };
    let growing = playlist.write();
    assert_eq!(
        growing,
        "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:0\n\
         #EXT-X-PLAYLIST-TYPE:EVENT\n#EXT-X-START:TIME-OFFSET=0\n#EXT-X-INDEPENDENT-SEGMENTS\n\
         #EXT-X-MAP:URI=\"init.mp4\"\n#EXTINF:2.000000,\n0.m4s\n"
    );
    playlist.segments = &made.segments;
    playlist.kind = PlaylistKind::GrownToEnd;
    let grown = playlist.write();
    assert!(grown.starts_with(&growing) && grown.ends_with("#EXT-X-ENDLIST\n"));
    playlist.kind = PlaylistKind::Finished;
    write("video.m3u8", &playlist.write());
    write(
        "keys.m3u8",
        &key_frame_playlist(2, &Setup::Apart("init.mp4".into()), &made.segments),
    );

    let rung = &made.plan.rungs[0];
    let (width, height) = (rung.width, rung.height);
    let master = Master {
        video: vec![VideoVariant {
            uri: "video.m3u8".into(),
            bandwidth: made.bandwidth.0,
            average_bandwidth: made.bandwidth.1,
            codec: made.codec.clone(),
            width,
            height,
            frame_rate: mediaflow_playlist::FrameRate {
                num: made.plan.grid.rate.num,
                den: made.plan.grid.rate.den,
            },
            audio_group: None,
        }],
        audio: Vec::new(),
        key_frames: vec![KeyFrameVariant {
            uri: "keys.m3u8".into(),
            bandwidth: made.bandwidth.0,
            codec: made.codec.clone(),
            width,
            height,
        }],
        captions: Vec::new(),
        is_mpeg_ts: false,
    };
    let text = master.write();
    assert!(
        text.contains("CODECS=\"avc1.6400") && text.contains("FRAME-RATE=30.000"),
        "{text}"
    );
    assert!(made.bandwidth.0 >= made.bandwidth.1 && made.bandwidth.1 > 0);
    write("master.m3u8", &text);
    assert_eq!(
        numbers(&folder.join("master.m3u8")),
        (0..150).collect::<Vec<_>>()
    );

    // Each range ends after exactly one picture.
    for segment in &made.segments {
        let mut bytes = std::fs::read(folder.join("init.mp4")).unwrap();
        let whole = std::fs::read(folder.join(&segment.uri)).unwrap();
        bytes.extend_from_slice(&whole[..segment.key_frame_bytes as usize]);
        let path = studio.path("key.mp4");
        std::fs::write(&path, bytes).unwrap();
        let output = Command::new("ffmpeg")
            .args(["-v", "quiet", "-i", path.to_str().unwrap()])
            .args(["-f", "rawvideo", "-pix_fmt", "gray", "-"])
            .output()
            .unwrap();
        assert_eq!(output.stdout.len(), (width * height) as usize);
    }
}

#[test]
fn dash_plays_the_same_segments() {
    let studio = Studio::new();
    let folder = studio.path("out");
    std::fs::create_dir(&folder).unwrap();
    let made = published(&studio, &folder);
    let rung = &made.plan.rungs[0];
    let uris = made.segments.iter().map(|s| s.uri.clone());
    let manifest = Manifest {
        seconds: made.plan.grid.seconds(),
        video: vec![Representation {
            id: rung.name.clone(),
            codec: made.codec,
            bandwidth: made.bandwidth.0,
            picture: Some(Picture {
                width: rung.width,
                height: rung.height,
                frame_rate: mediaflow_playlist::FrameRate {
                    num: made.plan.grid.rate.num,
                    den: made.plan.grid.rate.den,
                },
            }),
            sample_rate: None,
            timescale: made.plan.grid.timescale,
            init_uri: "init.mp4".into(),
            segments: uris.zip(made.ticks).collect(),
        }],
        audio: Vec::new(),
        captions: Vec::new(),
    };
    let text = manifest.write();
    assert!(text.contains("<S t=\"0\" d=\"20040\" r=\"1\"/>"), "{text}");
    std::fs::write(folder.join("manifest.mpd"), text).unwrap();
    assert_eq!(
        numbers(&folder.join("manifest.mpd")),
        (0..150).collect::<Vec<_>>()
    );
}
