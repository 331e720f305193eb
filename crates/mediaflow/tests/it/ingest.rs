//! `mediaflow ingest` from the first byte to the last rendition.

use crate::given;
use crate::pictures;
use crate::server::{PATIENCE, Server, mediaflow, run, stderr, stdout};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::collections::HashSet;
use std::io::Write as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

const PROFILES: [&str; 6] = [
    "thumbnail",
    "small",
    "medium",
    "large",
    "retina",
    "original",
];

fn ingested(server: &Server, folder: &std::path::Path, args: &[&str]) -> (Option<i32>, Vec<Value>) {
    let all = [&["ingest", "--server", &server.base, "--json"], args].concat();
    let ended = run(folder, &all);
    let text = stdout(&ended);
    let array =
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}{}", stderr(&ended)));
    (ended.status.code(), array)
}

/// Every rendition is there, is what the API says of it, and can be read as what it claims to be.
pub(crate) async fn all_renditions_are_right(server: &Server, asset: &Value, baseline: &str) {
    let renditions = asset["renditions"].as_array().unwrap();
    for profile in PROFILES {
        for format in [baseline, "webp", "avif"] {
            let found = renditions
                .iter()
                .filter(|r| r["profile"] == profile && r["format"] == format);
            assert_eq!(found.count(), 1, "{profile}.{format} of {asset:#}");
        }
    }
    assert_eq!(renditions.len(), PROFILES.len() * 3);
    for rendition in renditions {
        let url = rendition["url"].as_str().unwrap();
        let url = if url.starts_with('/') {
            server.url(url)
        } else {
            url.to_owned()
        };
        let answer = server.http().get(&url).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{url}");
        let media_type = answer.headers()["content-type"]
            .to_str()
            .unwrap()
            .to_owned();
        assert_eq!(
            media_type,
            format!("image/{}", rendition["format"].as_str().unwrap())
        );
        let bytes = answer.bytes().await.unwrap();
        assert_eq!(bytes.len() as u64, rendition["bytes"].as_u64().unwrap());
        assert_eq!(
            hex::encode(Sha256::digest(&bytes)),
            rendition["sha256"].as_str().unwrap()
        );
    }
}

#[tokio::test]
async fn a_photo_and_a_logo_become_everything_a_page_needs() {
    let folder = given::config("");
    let server = Server::start(folder.path());
    given::write(
        folder.path(),
        "in/photo.jpg",
        &pictures::photo(1200, 800, 1),
    );
    given::write(folder.path(), "in/logo.png", &pictures::badge(300));
    let (code, mut assets) = ingested(
        &server,
        folder.path(),
        &["in", "--title", "T", "--tag", "a", "--tag", "b"],
    );
    assert_eq!(code, Some(0), "{assets:#?}");
    assets.sort_by_key(|a| a["file"].to_string());
    let [logo, photo] = assets.as_slice() else {
        panic!("{assets:#?}")
    };
    assert_eq!(
        (logo["file"].as_str(), photo["file"].as_str()),
        (Some("in/logo.png"), Some("in/photo.jpg"))
    );
    for asset in [logo, photo] {
        assert_eq!(asset["state"], "ready");
        assert_eq!(asset["title"], "T");
        assert_eq!(asset["tags"], serde_json::json!(["a", "b"]));
    }
    let thumbnail = photo["renditions"]
        .as_array()
        .unwrap()
        .iter()
        .find(|r| r["profile"] == "thumbnail")
        .unwrap();
    assert_eq!(
        (thumbnail["width"].as_u64(), thumbnail["height"].as_u64()),
        (Some(150), Some(150))
    );
    all_renditions_are_right(&server, photo, "jpeg").await;
    all_renditions_are_right(&server, logo, "png").await;
}

#[tokio::test]
async fn people_get_a_table_and_a_summary() {
    let folder = given::config("");
    let server = Server::start(folder.path());
    given::write(folder.path(), "a.jpg", &pictures::photo(400, 300, 1));
    let ended = run(
        folder.path(),
        &["ingest", "--server", &server.base, "a.jpg"],
    );
    let text = stdout(&ended);
    assert!(ended.status.success(), "{text}{}", stderr(&ended));
    assert!(text.contains("a.jpg: ready in"), "{text}");
    assert!(
        text.contains("thumbnail") && text.contains("150x150") && text.contains("/media/"),
        "{text}"
    );
    assert!(text.contains("1 file: 1 done; 18 renditions"), "{text}");
    assert_eq!(stderr(&ended), "", "no bars where there is no terminal");
}

#[tokio::test]
async fn what_fails_is_told_apart_and_ends_with_one() {
    let folder = given::config("");
    let server = Server::start(folder.path());
    let mut torn = pictures::photo(640, 480, 3);
    torn.truncate(300);
    for (name, bytes) in [
        ("good.jpg", pictures::photo(300, 200, 1)),
        ("notes.txt", b"hello".to_vec()),
        ("torn.jpg", torn),
        ("zero.jpg", Vec::new()),
    ] {
        given::write(folder.path(), &format!("in/{name}"), &bytes);
    }
    let (code, mut assets) = ingested(&server, folder.path(), &["in", "absent.jpg"]);
    assert_eq!(code, Some(1));
    assets.sort_by_key(|a| a["file"].to_string());
    let codes: Vec<_> = assets
        .iter()
        .map(|a| (a["file"].as_str().unwrap(), a["error"]["code"].as_str()))
        .collect();
    assert_eq!(
        codes,
        [
            ("absent.jpg", Some("client.unreadable")),
            ("in/good.jpg", None),
            ("in/notes.txt", Some("input.unsupported")),
            ("in/torn.jpg", Some("input.corrupt")),
            ("in/zero.jpg", Some("input.empty")),
        ]
    );
}

#[tokio::test]
async fn standard_input_is_a_file_too() {
    let folder = given::config("");
    let server = Server::start(folder.path());
    let mut child = mediaflow()
        .args(["ingest", "--server", &server.base, "--json", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(&pictures::photo(320, 200, 5))
        .unwrap();
    let ended = child.wait_with_output().unwrap();
    let assets: Vec<Value> = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!(
        (assets[0]["file"].as_str(), assets[0]["state"].as_str()),
        (Some("-"), Some("ready"))
    );
}

#[tokio::test]
async fn a_run_of_small_files_lives_through_a_restart_of_the_server() {
    const FILES: usize = 150;
    let folder = given::config("[worker]\ncpu = 1\n");
    for n in 0..FILES {
        let photo = pictures::photo(32, 24, n as u32);
        given::write(folder.path(), &format!("in/{n}.jpg"), &photo);
    }
    let server = Server::start(folder.path());
    let listen = server.base.strip_prefix("http://").unwrap().to_owned();
    let args = ["ingest", "--server", &server.base, "--json", "--no-wait"];
    let mut ingest = mediaflow();
    ingest.current_dir(folder.path()).args(args).arg("in");
    let child = ingest.stdout(Stdio::piped()).spawn().unwrap();
    let stored = async |server: &Server| {
        let page = server.get("/v1/assets?limit=200").await;
        page["items"].as_array().unwrap().len()
    };
    let began = Instant::now();
    while stored(&server).await == 0 {
        assert!(began.elapsed() < PATIENCE, "nothing arrives");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    server.kill();
    let server = Server::start_at(folder.path(), &listen);
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success(), "{ended:?}");
    let assets: Vec<Value> = serde_json::from_slice(&ended.stdout).unwrap();
    let ids: HashSet<_> = assets.iter().map(|a| a["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), FILES);
    assert_eq!(stored(&server).await, FILES, "none is there twice");
}

#[test]
fn nobody_there_is_one_sentence() {
    let folder = given::config("");
    given::write(folder.path(), "a.jpg", b"x");
    let ended = run(
        folder.path(),
        &["ingest", "--server", "http://127.0.0.1:1", "a.jpg"],
    );
    assert_eq!(ended.status.code(), Some(2));
    let said = stderr(&ended);
    assert!(
        said.contains("no MediaFlow answers at http://127.0.0.1:1")
            && said.contains("`mediaflow serve`"),
        "{said}"
    );
    assert_eq!(said.trim_end().lines().count(), 1, "{said}");
}

#[tokio::test]
async fn every_file_of_the_corpus_ends_well_or_says_why_not() {
    let Some(corpus) = std::env::var_os("MEDIAFLOW_CORPUS") else {
        return;
    };
    let folder = given::config("");
    let server = Server::start(folder.path());
    let images = std::path::Path::new(&corpus).join("images");
    let (_, assets) = ingested(&server, folder.path(), &[images.to_str().unwrap()]);
    assert!(!assets.is_empty());
    for asset in &assets {
        match asset["state"].as_str() {
            Some("ready") => assert!(
                asset["renditions"].as_array().unwrap().len() >= 18,
                "{asset:#}"
            ),
            _ => assert!(asset["error"]["code"].is_string(), "{asset:#}"),
        }
    }
    let (code, again) = {
        given::write(folder.path(), "after.jpg", &pictures::photo(300, 200, 9));
        ingested(&server, folder.path(), &["after.jpg"])
    };
    assert_eq!((code, again[0]["state"].as_str()), (Some(0), Some("ready")));
}
