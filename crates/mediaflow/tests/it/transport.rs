//! A video in MPEG-TS, by the recipe that the documentation shows.

use crate::films::{RATE, film};
use crate::given;
use crate::server::Server;
use serde_json::Value;
use std::process::Command;

const SECONDS: u32 = 14;

/// The example of the documentation.
fn recipe() -> String {
    let page = include_str!("../../../../docs/recipes.md");
    let mut examples = page.split("```toml\n").skip(1);
    let example = examples.find(|e| e.starts_with("name = \"old-players\""));
    let (recipe, _) = example.unwrap().split_once("```").unwrap();
    recipe.to_owned()
}

async fn text(server: &Server, url: &str) -> String {
    let answer = server.http().get(url).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{url}");
    answer.text().await.unwrap()
}

/// How many pictures and blocks of sound ffmpeg decodes; it may not say a word.
fn decoded(hls: &str) -> (usize, usize) {
    let count = |kind: &str| {
        let map = format!("0:{kind}:0");
        let out = Command::new("ffmpeg")
            .args(["-nostdin", "-v", "warning", "-i", hls, "-map", &map])
            .args(["-fps_mode", "passthrough", "-f", "framemd5", "-"])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success() && said.is_empty(), "{said}");
        let lines = String::from_utf8(out.stdout).unwrap();
        lines.lines().filter(|l| !l.starts_with('#')).count()
    };
    (count("v"), count("a"))
}

#[tokio::test]
async fn a_video_for_old_players() {
    let folder = given::config("[recipes]\nfolder = \"recipes\"\n");
    given::write(folder.path(), "recipes/old.toml", recipe().as_bytes());
    let film = film(folder.path(), "a.mp4", "426x240", &["-t", "14"]);
    let server = Server::start(folder.path());
    let id = server.upload("?recipe=old-players", film).await;
    let early = server.asset_when(&id, |a| a["viewable"] == true).await;
    let hls = early["playback"]["hls"].as_str().unwrap().to_owned();
    let url = |name: &str| hls.replace("hls.m3u8", name);
    let growing = text(&server, &url("240p.m3u8")).await;
    let begins = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:6\n#EXT-X-MEDIA-SEQUENCE:0\n";
    assert!(growing.starts_with(begins), "{growing}");

    let asset = server.asset_in(&id, "ready").await;
    assert_eq!(asset["playback"]["dash"], Value::Null);
    let dash = server.http().get(url("dash.mpd")).send().await.unwrap();
    assert_eq!(dash.status(), 404);
    let hls = asset["playback"]["hls"].as_str().unwrap();
    let master = text(&server, hls).await;
    assert!(master.contains("#EXT-X-VERSION:4\n"), "{master}");
    assert!(master.contains("mp4a.40.2") && master.contains("avc1."));
    let streams = master.lines().find(|l| l.ends_with("/240p.m3u8")).unwrap();
    let (edition, _) = streams.trim_start_matches("../").split_once('/').unwrap();
    let whole = text(&server, &url(&format!("{edition}/240p.m3u8"))).await;
    assert!(whole.starts_with(begins) && whole.ends_with("#EXT-X-ENDLIST\n"));
    assert!(!whole.contains("EXT-X-MAP"), "{whole}");
    let listed: Vec<&str> = whole
        .lines()
        .filter_map(|l| l.strip_prefix("../"))
        .collect();
    assert_eq!(listed.len(), 3);
    for line in growing.lines().filter(|l| !l.starts_with('#')) {
        assert!(listed.contains(&line), "what was listed stays");
    }

    let keys = text(&server, &url(&format!("{edition}/240p-key.m3u8"))).await;
    for (segment, range) in listed.iter().zip(ranges(&keys)) {
        let answer = server.http().get(url(segment)).send().await.unwrap();
        assert_eq!(answer.headers()["content-type"], "video/mp2t");
        let bytes = answer.bytes().await.unwrap();
        // Tables, and then the first picture's packets to the last of them.
        assert_eq!(range.0, 376);
        let starts = bytes.chunks(188).enumerate();
        let starts = starts.filter(|(_, p)| p[1] & 0x40 != 0).map(|(n, _)| n);
        let starts: Vec<usize> = starts.collect();
        assert_eq!(starts[..3], [0, 1, 2]);
        assert_eq!(range.0 + range.1, starts[3] * 188);
        let other = url(&segment.replace(".ts", ".m4s"));
        let other = server.http().get(other).send().await.unwrap();
        assert_eq!(other.status(), 404);
    }

    let still = url("thumbnail.jpg?time=7.5");
    let still = server.http().get(still).send().await.unwrap();
    assert_eq!(still.headers()["content-type"], "image/jpeg");

    let (pictures, sound) = decoded(hls);
    assert_eq!(pictures, (SECONDS * RATE) as usize);
    let blocks = (SECONDS * 44_100 / 1024) as usize;
    assert!(sound.abs_diff(blocks) <= 2, "{sound} of {blocks} blocks");

    let put = server
        .http()
        .put(server.url(&format!("/v1/assets/{id}/captions/en")));
    let put = put.body("WEBVTT\n\n00:01.000 --> 00:02.000\nHello\n");
    assert!(put.send().await.unwrap().status().is_success());
    let asset = server.asset_in(&id, "ready").await;
    let hls = asset["playback"]["hls"].as_str().unwrap();
    let master = text(&server, hls).await;
    let line = master
        .lines()
        .find(|l| l.contains("TYPE=SUBTITLES"))
        .unwrap();
    let (_, uri) = line.split_once("URI=\"../").unwrap();
    let captions = text(&server, &url(uri.trim_end_matches('"'))).await;
    let vtt = captions
        .lines()
        .find_map(|l| l.strip_prefix("../"))
        .unwrap();
    let vtt = text(&server, &url(vtt)).await;
    let map = "WEBVTT\nX-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:900000\n";
    assert!(vtt.starts_with(map), "{vtt}");
}

/// Offsets and lengths in a playlist of first pictures.
fn ranges(playlist: &str) -> Vec<(usize, usize)> {
    let lines = playlist.lines();
    let ranges = lines.filter_map(|l| l.strip_prefix("#EXT-X-BYTERANGE:"));
    ranges
        .map(|range| {
            let (length, offset) = range.split_once('@').unwrap();
            (offset.parse().unwrap(), length.parse().unwrap())
        })
        .collect()
}
