//! The whole server with its bytes in an object store: delivered as they came, whole after a kill, and waited for while the
//! store is away.

use crate::given;
use crate::pictures;
use crate::server::{PATIENCE, Server};
use mediaflow_servers::S3;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::path::Path;
use std::process::Command;
use std::time::Instant;
use tempfile::TempDir;

fn folder(s3: &S3) -> TempDir {
    let bucket = s3.bucket("media");
    given::config(&format!(
        "blobs = \"{bucket}/here\"\n[object_store]\nendpoint = \"{}\"\naccess_key_id = \"{}\"\nsecret_access_key = \"{}\"\n",
        s3.endpoint(),
        S3::KEY_ID,
        S3::SECRET,
    ))
}

/// Two seconds, and larger than one part and one range of a store.
fn film(folder: &Path) -> Vec<u8> {
    let path = folder.join("film.mp4");
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-f", "lavfi"])
        .args(["-i", "testsrc2=s=320x180:r=10:d=2"])
        .args(["-f", "lavfi", "-i", "sine=440:d=2"])
        .args(["-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac"])
        .arg(&path)
        .status()
        .expect("ffmpeg is installed: apt-get install ffmpeg");
    assert!(made.success());
    let mut film = std::fs::read(path).unwrap();
    // A box that players skip.
    let skipped = 9_u32 << 20;
    film.extend(skipped.to_be_bytes());
    film.extend(b"free");
    film.resize(film.len() + skipped as usize - 8, 7);
    film
}

/// The film in a container without an index.
fn transport_stream(folder: &Path) -> Vec<u8> {
    let to = folder.join("film.ts");
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-i"])
        .arg(folder.join("film.mp4"))
        .args(["-c", "copy"])
        .arg(&to)
        .status();
    assert!(made.unwrap().success());
    std::fs::read(to).unwrap()
}

async fn bytes(server: &Server, url: &str, range: Option<&str>) -> Vec<u8> {
    let mut request = server.http().get(url);
    if let Some(range) = range {
        request = request.header("range", range);
    }
    let answer = request.send().await.unwrap();
    assert!(answer.status().is_success(), "{url}: {}", answer.status());
    answer.bytes().await.unwrap().to_vec()
}

/// The asset's original and all that was made of it.
async fn is_whole(server: &Server, id: &str, original: &[u8]) {
    let url = server.url(&format!("/v1/assets/{id}/original"));
    assert!(bytes(server, &url, None).await == original);
    let asset = server.asset_in(id, "ready").await;
    let made = asset["renditions"].as_array().unwrap();
    let urls = made.iter().map(|r| (r, r["url"].as_str().unwrap()));
    // Playlists are written when they are asked for.
    let files: Vec<_> = urls.filter(|(_, url)| !url.ends_with(".m3u8")).collect();
    assert!(!files.is_empty());
    for (rendition, url) in files {
        let url = server.url(&url[url.find("/media/").unwrap()..]);
        let sha256 = hex::encode(Sha256::digest(bytes(server, &url, None).await));
        assert_eq!(sha256, rendition["sha256"].as_str().unwrap(), "{url}");
    }
}

#[tokio::test]
async fn a_picture_and_films_come_back_as_they_were_also_after_a_kill() {
    let s3 = S3::start();
    let folder = folder(&s3);
    let (photo, film) = (pictures::photo(640, 480, 1), film(folder.path()));
    let stream = transport_stream(folder.path());
    let server = Server::start(folder.path());
    let picture = server.upload("?filename=a.jpg", photo.clone()).await;
    let video = server.upload("?filename=a.mp4", film.clone()).await;
    let without_index = server.upload("?filename=a.ts", stream.clone()).await;
    server
        .asset_when(&video, |a| a["state"] != "uploaded")
        .await;
    server.kill();

    let server = Server::start(folder.path());
    for (id, original) in [
        (&picture, &photo),
        (&video, &film),
        (&without_index, &stream),
    ] {
        is_whole(&server, id, original).await;
    }
    let url = server.url(&format!("/v1/assets/{video}/original"));
    let middle = bytes(&server, &url, Some("bytes=8000000-9000000")).await;
    assert!(middle == film[8_000_000..=9_000_000]);
    let asset = server.asset_in(&video, "ready").await;
    let hls = asset["playback"]["hls"].as_str().unwrap();
    let played = Command::new("ffprobe")
        .args(["-v", "error", "-count_frames", "-select_streams", "v:0"])
        .args(["-show_entries", "stream=nb_read_frames", "-of", "csv=p=0"])
        .arg(hls)
        .output()
        .unwrap();
    let counted = String::from_utf8(played.stdout).unwrap();
    assert!(counted.trim().starts_with("20"), "{counted}");
    assert!(!folder.path().join("data/blobs").exists());

    let scratch = std::fs::read_dir(folder.path().join("data/scratch")).unwrap();
    let own = scratch.filter_map(|p| std::fs::read_dir(p.unwrap().path()).ok());
    assert_eq!(
        own.flatten().count(),
        0,
        "what was fetched is gone with its film"
    );
}

#[tokio::test]
async fn while_the_store_is_away_work_waits_and_uploads_are_told() {
    let s3 = S3::start();
    let folder = folder(&s3);
    let server = Server::start(folder.path());
    let photo = pictures::photo(1600, 1200, 2);
    let id = server.upload("?filename=a.jpg", photo.clone()).await;
    s3.server().signal("KILL").unwrap();

    let began = Instant::now();
    loop {
        let waiting = server.get("/v1/tasks?state=waiting").await;
        if waiting["items"] != serde_json::json!([]) {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "nothing waits: {waiting:#}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let refused = server
        .http()
        .post(server.url("/v1/assets?filename=b.jpg"))
        .body(pictures::photo(64, 64, 3));
    let refused = refused.send().await.unwrap();
    assert_eq!(refused.status(), 503);
    let problem: Value = refused.json().await.unwrap();
    assert_eq!(problem["code"], "storage.unavailable");

    let _s3 = s3.restarted();
    is_whole(&server, &id, &photo).await;
    let dead = server.get("/v1/tasks?state=dead").await;
    assert_eq!(dead["items"], serde_json::json!([]));
}
