//! Uploads over several requests, to the real binary: killed, cut off, overtaken, and told lies. Afterwards the database and the
//! disk agree to the byte.

use crate::cluster::Cluster;
use crate::crowd::Random;
use crate::given;
use crate::kill::{files, rows};
use crate::pictures;
use crate::server::{PATIENCE, Server, mediaflow};
use futures_util::stream;
use reqwest::{Method, Response};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

const SEED: u64 = 0x7475_7375_706c_6f61;

/// A picture with so much behind it; what comes after its end is nothing to decoders.
pub(crate) fn large(bytes: usize, seed: u64) -> Vec<u8> {
    let mut random = Random(seed);
    let mut large = pictures::photo(64, 48, 1);
    while large.len() < bytes {
        large.extend(random.below(u64::MAX).to_be_bytes());
    }
    large.truncate(bytes);
    large
}

async fn ask(
    server: &Server,
    method: Method,
    path: &str,
    headers: &[(&'static str, String)],
    body: impl Into<reqwest::Body>,
) -> Option<Response> {
    let mut request = server.http().request(method, server.url(path));
    request = request.header("tus-resumable", "1.0.0");
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    request.body(body).send().await.ok()
}

async fn open(server: &Server, bytes: usize) -> String {
    let length = [("upload-length", bytes.to_string())];
    let answer = ask(server, Method::POST, "/v1/tus", &length, "")
        .await
        .unwrap();
    assert_eq!(answer.status(), 201);
    header(&answer, "location").to_owned()
}

async fn add(
    server: &Server,
    path: &str,
    start: usize,
    body: impl Into<reqwest::Body>,
) -> Option<Response> {
    let headers = [
        ("upload-offset", start.to_string()),
        ("content-type", "application/offset+octet-stream".into()),
    ];
    ask(server, Method::PATCH, path, &headers, body).await
}

async fn offset(server: &Server, path: &str) -> usize {
    let answer = ask(server, Method::HEAD, path, &[], "").await.unwrap();
    assert_eq!(answer.status(), 200);
    header(&answer, "upload-offset").parse().unwrap()
}

fn header<'a>(answer: &'a Response, name: &str) -> &'a str {
    let value = answer.headers().get(name);
    value.map_or("", |v| v.to_str().unwrap())
}

/// The asset at the end of an upload.
async fn became(server: &Server, path: &str) -> Value {
    let answer = ask(server, Method::HEAD, path, &[], "").await.unwrap();
    let asset = header(&answer, "mediaflow-asset").to_owned();
    assert!(!asset.is_empty(), "it is whole, and so it is an asset");
    server.get(&asset).await
}

pub(crate) async fn is_right(server: &Server, asset: &Value, content: &[u8]) {
    let sha256 = hex::encode(Sha256::digest(content));
    assert_eq!(asset["original"]["sha256"], sha256.as_str());
    assert_eq!(asset["original"]["bytes"], content.len());
    let url = server.url(&format!(
        "/v1/assets/{}/original",
        asset["id"].as_str().unwrap()
    ));
    let original = server.http().get(url).send().await.unwrap();
    assert!(original.bytes().await.unwrap() == content);
}

/// A body that arrives in steps, so that there are moments in between, and may never end.
fn slowly(bytes: &[u8], hangs: bool) -> reqwest::Body {
    let pieces: Vec<Vec<u8>> = bytes.chunks(1 << 20).map(<[u8]>::to_vec).collect();
    reqwest::Body::wrap_stream(stream::unfold(
        pieces.into_iter(),
        move |mut pieces| async move {
            tokio::time::sleep(Duration::from_millis(4)).await;
            match pieces.next() {
                Some(piece) => Some((Ok::<_, std::io::Error>(piece), pieces)),
                None if hangs => std::future::pending().await,
                None => None,
            }
        },
    ))
}

/// Every file of an original has a row, and every row its file, at the latest when the next process has looked.
pub(crate) async fn all_agree(server: Server, folder: &Path) {
    assert!(server.stop().success());
    let _server = Server::start(folder);
    let (database, blobs) = (folder.join("data/mediaflow.db"), folder.join("data/blobs"));
    let originals = |keys: BTreeSet<String>| -> BTreeSet<String> {
        let keys = keys.into_iter();
        keys.filter(|key| key.starts_with("originals/")).collect()
    };
    let began = Instant::now();
    loop {
        let (rows, files) = (originals(rows(&database)), originals(files(&blobs)));
        if rows == files {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{rows:#?} and {files:#?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn an_upload_survives_kills_of_the_server_at_any_moment() {
    let mut random = Random(SEED);
    let folder = given::config("[retention]\nunreferenced_s = 1\n[worker]\ncpu = 1\n");
    let content = large(40 << 20, random.below(u64::MAX));
    let mut server = Server::start(folder.path());
    let path = open(&server, content.len()).await;
    let (mut kills, mut last) = (0, 0);
    loop {
        let has = offset(&server, &path).await;
        assert!(
            has >= last,
            "what was told once is kept: {last} and now {has}"
        );
        last = has;
        if has == content.len() {
            break;
        }
        // Some requests end well. Others never end, and are killed before all has arrived, while it is written, or later.
        let part = &content[has..content
            .len()
            .min(has + (1 + random.below(16) as usize) * 200_001)];
        let hangs = kills < 8 && random.below(2) == 0;
        let (body, moment) = match hangs {
            true => (slowly(part, true), Duration::from_millis(random.below(150))),
            false => (slowly(part, false), PATIENCE),
        };
        let adding = add(&server, &path, has, body);
        let is_killed = tokio::time::timeout(moment, adding).await.is_err();
        if is_killed {
            kills += 1;
            server.kill();
            server = Server::start(folder.path());
        }
    }
    assert!(kills > 3, "it was killed {kills} times");
    let asset = became(&server, &path).await;
    is_right(&server, &asset, &content).await;
    let page = server.get("/v1/assets").await;
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
    all_agree(server, folder.path()).await;
}

/// Bytes of a request that no client would send.
fn raw(server: &Server, text: &str, body: &[u8]) -> TcpStream {
    let address = server.base.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!("{text}\r\nHost: {address}\r\nTus-Resumable: 1.0.0\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    stream
}

fn status(mut stream: TcpStream) -> String {
    let mut start = [0; 12];
    stream.read_exact(&mut start).unwrap();
    String::from_utf8_lossy(&start[9..]).into_owned()
}

#[tokio::test]
async fn cut_connections_and_lies_cost_only_what_had_not_arrived() {
    let mut random = Random(SEED + 1);
    let folder = given::config("[retention]\nunreferenced_s = 1\n[worker]\ncpu = 1\n");
    let server = Server::start(folder.path());
    let content = large(600_000, 7);
    let path = open(&server, content.len()).await;
    let kind = "Content-Type: application/offset+octet-stream";
    let mut cuts = 0;
    loop {
        let has = offset(&server, &path).await;
        if has == content.len() {
            break;
        }
        let rest = &content[has..];
        // Announced is all that is left; sent is less, and then the line is cut.
        let sent = &rest[..rest.len().min(random.below(120_000) as usize + 1)];
        let text = format!("PATCH {path} HTTP/1.1");
        let body = [
            format!(
                "{kind}\r\nUpload-Offset: {has}\r\nContent-Length: {}\r\n\r\n",
                rest.len()
            )
            .as_bytes(),
            sent,
        ]
        .concat();
        let line = raw(&server, &text, &body);
        if sent.len() == rest.len() {
            match &*status(line) {
                "204" => break,
                // What was cut off before came in only now.
                told => assert_eq!(told, "409"),
            }
            continue;
        }
        drop(line);
        cuts += 1;
        // What was cut off is kept some moments later; until then the next request overtakes the cut one.
        let began = Instant::now();
        while offset(&server, &path).await == has && began.elapsed() < Duration::from_secs(5) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    assert!(cuts > 2, "it was cut {cuts} times");
    let asset = became(&server, &path).await;
    is_right(&server, &asset, &content).await;

    // More than was announced, also in chunks that announce nothing; numbers beyond all numbers.
    let path = open(&server, 10).await;
    let patch = format!("PATCH {path} HTTP/1.1");
    for (head, body, expected) in [
        (
            "Upload-Offset: 0\r\nContent-Length: 11",
            "12345678901",
            "413",
        ),
        // Nothing is sent in vain by who asks before.
        (
            "Upload-Offset: 0\r\nExpect: 100-continue\r\nContent-Length: 11",
            "",
            "413",
        ),
        (
            "Upload-Offset: 0\r\nTransfer-Encoding: chunked",
            "b\r\n12345678901\r\n0\r\n\r\n",
            "413",
        ),
        (
            "Upload-Offset: 18446744073709551616\r\nContent-Length: 1",
            "1",
            "413",
        ),
        (
            "Upload-Offset: 9223372036854775807\r\nContent-Length: 1",
            "1",
            "409",
        ),
        ("Upload-Offset: -1\r\nContent-Length: 1", "1", "400"),
    ] {
        let request = format!("{kind}\r\n{head}\r\n\r\n{body}");
        let answered = status(raw(&server, &patch, request.as_bytes()));
        assert_eq!(answered, expected, "{head}");
    }
    assert_eq!(offset(&server, &path).await, 0);
    let trailing = "5\r\nphoto\r\n0\r\nUpload-Checksum: sha1 AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n";
    let request = format!(
        "{kind}\r\nUpload-Offset: 0\r\nTransfer-Encoding: chunked\r\nTrailer: Upload-Checksum\r\n\r\n{trailing}"
    );
    assert_eq!(status(raw(&server, &patch, request.as_bytes())), "460");
    assert_eq!(offset(&server, &path).await, 0);
    let ended = ask(&server, Method::DELETE, &path, &[], "").await.unwrap();
    assert_eq!(ended.status(), 204);
    all_agree(server, folder.path()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_clients_at_one_upload_what_counts_is_one_file() {
    let folder = given::config("[retention]\nunreferenced_s = 1\n[worker]\ncpu = 1\n");
    let server = Server::start(folder.path());
    let contents = [large(6 << 20, 1), large(6 << 20, 2)];
    let path = open(&server, 6 << 20).await;
    let client = async |content: &[u8]| {
        let mut taken = 0;
        loop {
            let has = offset(&server, &path).await;
            if has == content.len() {
                return taken;
            }
            let end = content.len().min(has + 1_500_000);
            match add(&server, &path, has, slowly(&content[has..end], false)).await {
                Some(answer) if answer.status() == 423 => taken += 1,
                _ => {}
            }
        }
    };
    let _ = tokio::join!(client(&contents[0]), client(&contents[1]));
    let asset = became(&server, &path).await;
    let url = server.url(&format!(
        "/v1/assets/{}/original",
        asset["id"].as_str().unwrap()
    ));
    let original = server
        .http()
        .get(url)
        .send()
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap();
    let sha256 = hex::encode(Sha256::digest(&original));
    assert_eq!(asset["original"]["sha256"], sha256.as_str());
    assert_eq!(original.len(), 6 << 20);
    // Each byte is one of theirs.
    let [one, two] = &contents;
    assert!(
        original
            .iter()
            .zip(one)
            .zip(two)
            .all(|((o, a), b)| o == a || o == b)
    );
    all_agree(server, folder.path()).await;
}

#[tokio::test]
async fn any_process_of_a_cluster_goes_on_with_an_upload() {
    let mut random = Random(SEED + 2);
    let cluster = Cluster::start();
    let api = || cluster.join_with("\"api\"", "", "");
    let (one, two) = (api(), api());
    // Several parts of a bucket, and sizes that fit none.
    let content = large(19_000_003, 3);
    let path = open(&one.server, content.len()).await;
    let mut has = 0;
    while has < content.len() {
        let size = 1 + random.below(6_000_000) as usize;
        let end = content.len().min(has + size);
        let server = [&one.server, &two.server][random.below(2) as usize];
        let answer = add(server, &path, has, content[has..end].to_vec())
            .await
            .unwrap();
        assert_eq!(answer.status(), 204);
        let other = [&one.server, &two.server][random.below(2) as usize];
        assert_eq!(offset(other, &path).await, end, "everybody knows");
        has = end;
    }
    let asset = became(&two.server, &path).await;
    is_right(&one.server, &asset, &content).await;
    // One that fits one part, and one that is given up.
    let path = open(&one.server, 200_000).await;
    let small = &content[..200_000];
    add(&one.server, &path, 0, small[..77].to_vec())
        .await
        .unwrap();
    add(&two.server, &path, 77, small[77..].to_vec())
        .await
        .unwrap();
    is_right(&two.server, &became(&one.server, &path).await, small).await;
    let path = open(&two.server, content.len()).await;
    add(&two.server, &path, 0, content[..12_000_000].to_vec())
        .await
        .unwrap();
    let ended = ask(&one.server, Method::DELETE, &path, &[], "")
        .await
        .unwrap();
    assert_eq!(ended.status(), 204);
    assert_eq!(cluster.stored_originals(), 2);
}

#[tokio::test]
async fn ingest_goes_on_after_kills_of_both_sides() {
    let mut random = Random(SEED + 3);
    let folder = given::config("[worker]\ncpu = 1\n");
    let content = large(60 << 20, 4);
    given::write(folder.path(), "large.jpg", &content);
    let mut server = Server::start_to_restart(folder.path());
    let listen = server.base.strip_prefix("http://").unwrap().to_owned();
    let ingest = || {
        let mut command = mediaflow();
        command
            .current_dir(folder.path())
            .env("XDG_STATE_HOME", folder.path().join("state"))
            .args([
                "ingest",
                "--server",
                &server_of(&listen),
                "--json",
                "--no-wait",
                "large.jpg",
            ])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    for kill in 0..6 {
        let mut client = ingest();
        tokio::time::sleep(Duration::from_millis(30 + random.below(120))).await;
        match kill % 2 {
            0 => {
                client.kill().unwrap();
                client.wait().unwrap();
            }
            _ => {
                server.kill();
                server = Server::start_at(folder.path(), &listen);
                tokio::time::sleep(Duration::from_millis(random.below(200))).await;
                client.kill().unwrap();
                client.wait().unwrap();
            }
        }
    }
    let (before, began) = (stored(folder.path()), Instant::now());
    let mut client = ingest();
    while stored(folder.path()) == before && client.try_wait().unwrap().is_none() {
        assert!(began.elapsed() < PATIENCE, "nothing arrives");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // The last one has found the server, and lives through its absence.
    server.kill();
    server = Server::start_at(folder.path(), &listen);
    let ended = client.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{said}");
    let receipt: Vec<Value> = serde_json::from_slice(&ended.stdout).unwrap();
    let id = receipt[0]["id"].as_str().unwrap();
    let asset = server.get(&format!("/v1/assets/{id}")).await;
    is_right(&server, &asset, &content).await;
    assert_eq!(asset["original"]["filename"], "large.jpg");
    let notes = std::fs::read_dir(folder.path().join("state/mediaflow/uploads")).unwrap();
    assert_eq!(notes.count(), 0, "what is done is not noted any more");
}

/// Bytes of originals, whole or not.
fn stored(folder: &Path) -> u64 {
    let blobs = folder.join("data/blobs");
    let originals = files(&blobs).into_iter();
    let originals = originals.filter(|key| key.starts_with("originals/"));
    let sizes = originals.map(|key| std::fs::metadata(blobs.join(key)).map_or(0, |m| m.len()));
    sizes.sum()
}

fn server_of(listen: &str) -> String {
    format!("http://{listen}")
}
