//! Files that mean harm: each ends with a code that is true, and the next upload is served as if nothing had happened.

use crate::server::Server;
use crate::{given, pictures};
use serde_json::Value;

/// `ready`, or the code with which the file was refused or failed.
async fn end(server: &Server, filename: &str, bytes: Vec<u8>) -> String {
    let url = server.url(&format!("/v1/assets?filename={filename}"));
    let answer = server.http().post(url).body(bytes).send().await.unwrap();
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap();
    if status != 202 {
        assert!((400..500).contains(&status), "{filename}: {status}: {body}");
        return body["code"].as_str().unwrap().to_owned();
    }
    let id = body["id"].as_str().unwrap();
    let asset = server
        .asset_when(id, |a| a["state"] == "ready" || a["state"] == "failed")
        .await;
    match asset["error"]["code"].as_str() {
        Some(code) => code.to_owned(),
        None => "ready".to_owned(),
    }
}

/// A GIF of one-pixel frames on a canvas of this size.
fn gif(width: u16, height: u16, frames: usize) -> Vec<u8> {
    let mut gif = b"GIF89a".to_vec();
    gif.extend(width.to_le_bytes());
    gif.extend(height.to_le_bytes());
    gif.extend(b"\x80\0\0\0\0\0\xff\xff\xff");
    for _ in 0..frames {
        gif.extend(b"\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0");
    }
    gif.push(b';');
    gif
}

fn huge_png() -> Vec<u8> {
    let mut png = pictures::badge(8);
    png[16..24].copy_from_slice(&[0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff]);
    png
}

fn huge_jpeg() -> Vec<u8> {
    let mut jpeg = pictures::photo(64, 64, 1);
    let frame = jpeg
        .windows(2)
        .position(|w| matches!(w, [0xff, 0xc0..=0xc2]));
    let size = frame.unwrap() + 5;
    jpeg[size..size + 4].copy_from_slice(&[0xff; 4]);
    jpeg
}

fn huge_bmp() -> Vec<u8> {
    let mut bmp = b"BM\x40\0\0\0\0\0\0\0\x3e\0\0\0\x28\0\0\0".to_vec();
    bmp.extend(65_535_i32.to_le_bytes());
    bmp.extend(65_535_i32.to_le_bytes());
    bmp.extend(b"\x01\0\x01\0");
    bmp.extend([0; 24 + 8 + 2]);
    bmp
}

fn huge_tiff() -> Vec<u8> {
    let mut tiff = b"II*\0\x08\0\0\0\x04\0".to_vec();
    for (tag, value) in [(256_u16, 65_535_u32), (257, 65_535), (273, 8), (279, 1)] {
        tiff.extend(tag.to_le_bytes());
        tiff.extend(4_u16.to_le_bytes());
        tiff.extend(1_u32.to_le_bytes());
        tiff.extend(value.to_le_bytes());
    }
    tiff.extend([0; 4]);
    tiff
}

fn followed_by(mut file: Vec<u8>, rest: &[u8]) -> Vec<u8> {
    file.extend_from_slice(rest);
    file
}

#[tokio::test]
async fn every_one_ends_with_a_true_code_and_the_next_is_served() {
    let folder = given::config("");
    let server = Server::start(folder.path());
    let photo = || pictures::photo(320, 240, 1);
    let script = b"<script>alert(1)</script>";
    let cases: &[(&str, Vec<u8>, &[&str])] = &[
        ("empty.jpg", Vec::new(), &["input.empty"]),
        ("bomb.png", huge_png(), &["limit.pixels"]),
        ("bomb.jpg", huge_jpeg(), &["limit.pixels"]),
        ("bomb.bmp", huge_bmp(), &["limit.pixels"]),
        ("bomb.tif", huge_tiff(), &["limit.pixels"]),
        ("bomb.gif", gif(65_535, 65_535, 1), &["limit.pixels"]),
        ("long.gif", gif(1, 1, 100_000), &["limit.frames"]),
        ("cut.jpg", photo()[..2000].to_vec(), &["input.corrupt"]),
        (
            "head.png",
            pictures::badge(64)[..40].to_vec(),
            &["input.corrupt"],
        ),
        ("noise.jpg", vec![0xa5; 4096], &["input.unsupported"]),
        (
            "page.jpg",
            b"<html><body>no picture".to_vec(),
            &["input.unsupported"],
        ),
        (
            "drawing.svg",
            b"<svg xmlns='http://www.w3.org/2000/svg'/>".to_vec(),
            &["input.unsupported"],
        ),
        (
            "script.gif",
            followed_by(b"GIF89a/*".to_vec(), script),
            &["input.corrupt", "limit.pixels"],
        ),
        ("wrong.gif", pictures::badge(32), &["ready"]),
        ("both.jpg", followed_by(photo(), script), &["ready"]),
        (
            "zip.jpg",
            followed_by(photo(), b"PK\x03\x04 and so on PK\x05\x06"),
            &["ready"],
        ),
        ("last.jpg", photo(), &["ready"]),
    ];
    for (name, bytes, expected) in cases {
        let end = end(&server, name, bytes.clone()).await;
        assert!(expected.contains(&&*end), "{name}: {end}");
    }
}

#[tokio::test]
async fn what_is_hidden_behind_a_picture_is_not_delivered() {
    let folder = given::config("");
    let server = Server::start(folder.path());
    let script = b"<script>alert(1)</script>";
    let both = followed_by(pictures::photo(320, 240, 1), script);
    let id = server.upload("?filename=photo.html", both).await;
    let asset = server.asset_in(&id, "ready").await;
    assert_eq!(asset["original"]["media_type"], "image/jpeg");
    for rendition in asset["renditions"].as_array().unwrap() {
        let url = rendition["url"].as_str().unwrap();
        let answer = server.http().get(url).send().await.unwrap();
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
        let type_ = answer.headers()["content-type"]
            .to_str()
            .unwrap()
            .to_owned();
        assert!(type_.starts_with("image/"), "{type_}");
        let bytes = answer.bytes().await.unwrap();
        let has_script = bytes.windows(script.len()).any(|w| w == script);
        assert!(!has_script, "{url}");
    }
}

#[tokio::test]
async fn without_room_uploads_are_refused_and_everything_else_goes_on() {
    let folder = given::config("");
    let server = Server::start(folder.path());
    let id = server.upload("", pictures::photo(320, 240, 1)).await;
    server.asset_in(&id, "ready").await;
    server.stop();
    let full = b"[limits.upload]\nfree_bytes_min = 1000000000000000\n";
    given::write(folder.path(), "mediaflow.toml", full);
    let server = Server::start(folder.path());
    let photo = pictures::photo(320, 240, 2);
    let (status, problem) = server.post("/v1/assets", photo).await;
    assert_eq!((status, &problem["code"]), (507, &"limit.storage".into()));
    let asset = server.get(&format!("/v1/assets/{id}")).await;
    let url = asset["renditions"][0]["url"].as_str().unwrap();
    assert_eq!(server.http().get(url).send().await.unwrap().status(), 200);
    let gone = server
        .http()
        .delete(server.url(&format!("/v1/assets/{id}")));
    assert_eq!(gone.send().await.unwrap().status(), 204);
    assert_eq!(server.http().get(url).send().await.unwrap().status(), 404);
}
