//! `/v1/tus`: uploads over several requests.

use crate::given::{Answer, Server, Wish};
use axum::body::Body;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http_body_util::{BodyExt as _, Full};
use mediaflow_core::Sha256;
use mediaflow_engine::UploadLimits;
use mediaflow_engine::store::Scope;
use serde_json::json;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::Notify;

const VERSION: &str = "tus-resumable: 1.0.0";
const BYTES: &str = "content-type: application/offset+octet-stream";

async fn send(
    server: &Server,
    method: &str,
    path: &str,
    headers: &[&str],
    body: impl Into<Body>,
) -> Answer {
    let all: Vec<&str> = [VERSION].iter().chain(headers).copied().collect();
    let answer = server.send(method, path, &all, body).await;
    assert_eq!(answer.header("tus-resumable"), "1.0.0", "{answer:?}");
    answer
}

/// Opens an upload and answers its address.
async fn open(server: &Server, headers: &[&str]) -> String {
    let answer = send(server, "POST", "/v1/tus", headers, "").await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let location = answer.header("location").to_owned();
    assert!(location.starts_with("/v1/tus/"), "{location}");
    location
}

async fn add(server: &Server, path: &str, start: usize, body: impl Into<Body>) -> Answer {
    let offset = format!("upload-offset: {start}");
    send(server, "PATCH", path, &[BYTES, &offset], body).await
}

async fn head(server: &Server, path: &str) -> Answer {
    send(server, "HEAD", path, &[], "").await
}

/// How much the server says that it has.
async fn offset(server: &Server, path: &str) -> usize {
    let answer = head(server, path).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("cache-control"), "no-store");
    answer.header("upload-offset").parse().unwrap()
}

fn metadata(pairs: &[(&str, &str)]) -> String {
    let pairs = pairs
        .iter()
        .map(|(name, value)| format!("{name} {}", BASE64_STANDARD.encode(value)));
    format!("upload-metadata: {}", pairs.collect::<Vec<_>>().join(","))
}

/// The asset that an answer names.
async fn became(server: &Server, answer: &Answer) -> serde_json::Value {
    let path = answer.header("mediaflow-asset");
    assert!(path.starts_with("/v1/assets/"), "{answer:?}");
    server.get(path).await.json()
}

/// Files of originals, whole or not.
fn files(server: &Server) -> BTreeSet<String> {
    let shards = std::fs::read_dir(server.folder.path().join("blobs/originals")).unwrap();
    let files = shards.flat_map(|shard| std::fs::read_dir(shard.unwrap().path()).unwrap());
    let names = files.map(|file| file.unwrap().file_name().to_string_lossy().into_owned());
    names.collect()
}

/// A body that ends with an error.
fn broken(bytes: &'static str) -> Body {
    let cut = Err(std::io::Error::other("cut"));
    Body::from_stream(stream::iter([Ok(Bytes::from(bytes)), cut]))
}

/// A body that never ends, and tells when its bytes were read.
fn endless(bytes: &'static str) -> (Body, Arc<Notify>) {
    let read = Arc::<Notify>::default();
    let tell = Arc::clone(&read);
    let silence = stream::poll_fn(move |_| {
        tell.notify_one();
        Poll::<Option<Result<Bytes, Infallible>>>::Pending
    });
    let first = stream::iter([Ok(Bytes::from(bytes))]);
    (Body::from_stream(first.chain(silence)), read)
}

#[tokio::test]
async fn the_server_tells_what_it_speaks() {
    let server = Server::with(Wish {
        is_open: false,
        ..Wish::default()
    });
    for path in ["/v1/tus", "/v1/tus/x"] {
        // Without a key and without a version: clients ask this first.
        let answer = server.send("OPTIONS", path, &[], "").await;
        assert_eq!(answer.status, 204);
        assert_eq!(answer.header("tus-resumable"), "1.0.0");
        assert_eq!(answer.header("tus-version"), "1.0.0");
        assert_eq!(answer.header("tus-max-size"), "4194304");
        assert_eq!(answer.header("tus-checksum-algorithm"), "sha256,sha1");
        let extensions = answer.header("tus-extension");
        for extension in ["creation-defer-length", "checksum-trailer", "concatenation"] {
            assert!(extensions.contains(extension), "{extensions}");
        }
    }
}

#[tokio::test]
async fn pieces_become_an_asset() {
    let server = Server::new();
    let said = metadata(&[
        ("filename", "../sea.jpg"),
        ("filetype", "image/jpeg"),
        ("title", "At the sea"),
        ("tags", "summer, sea"),
        ("public", "false"),
        ("album", "7"),
    ]);
    let path = open(&server, &["upload-length: 10", &said]).await;
    assert_eq!(offset(&server, &path).await, 0);
    let first = add(&server, &path, 0, "phot").await;
    assert_eq!(first.status, 204);
    assert_eq!(first.header("upload-offset"), "4");
    assert!(
        first.header("upload-expires").ends_with(" GMT"),
        "{first:?}"
    );
    assert_eq!(first.header("mediaflow-asset"), "");
    let between = head(&server, &path).await;
    assert_eq!(between.header("upload-offset"), "4");
    assert_eq!(between.header("upload-length"), "10");
    assert_eq!(
        format!("upload-metadata: {}", between.header("upload-metadata")),
        said
    );
    assert_eq!(
        add(&server, &path, 4, "o").await.header("upload-offset"),
        "5"
    );
    let last = add(&server, &path, 5, "graph").await;
    assert_eq!(last.status, 204);
    assert_eq!(last.header("upload-offset"), "10");
    assert_eq!(last.header("location"), last.header("mediaflow-asset"));
    let asset = became(&server, &last).await;
    assert_eq!(asset["original"]["filename"], "sea.jpg");
    assert_eq!(
        asset["original"]["sha256"],
        Sha256::of(b"photograph").to_string()
    );
    assert_eq!(asset["original"]["bytes"], 10);
    assert_eq!(asset["title"], "At the sea");
    assert_eq!(asset["tags"], json!(["summer", "sea"]));
    assert_eq!(asset["visibility"], "private");
    assert_eq!(asset["metadata"], json!({ "album": "7" }));
    let after = head(&server, &path).await;
    assert_eq!(after.header("upload-offset"), "10");
    assert_eq!(
        after.header("mediaflow-asset"),
        last.header("mediaflow-asset")
    );
    // The last request once more, because its answer was lost.
    let again = add(&server, &path, 10, "").await;
    assert_eq!(again.status, 204);
    assert_eq!(
        again.header("mediaflow-asset"),
        last.header("mediaflow-asset")
    );
    add(&server, &path, 10, "more")
        .await
        .problem(413, "limit.bytes");
    let original = format!("{}/original", last.header("mediaflow-asset"));
    assert_eq!(server.get(&original).await.text(), "photograph");
    assert_eq!(files(&server).len(), 1);
}

#[tokio::test]
async fn a_file_that_comes_with_the_first_request_is_an_asset_at_once() {
    let server = Server::new();
    let headers = ["upload-length: 5", "content-length: 5", BYTES];
    let answer = send(&server, "POST", "/v1/tus", &headers, "photo").await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.header("upload-offset"), "5");
    let asset = became(&server, &answer).await;
    assert_eq!(asset["id"], answer.json()["id"]);
    let path = answer.header("location");
    let after = head(&server, path).await;
    assert_eq!(after.header("upload-offset"), "5");
    assert_eq!(after.header("upload-length"), "5");
    assert_eq!(
        after.header("mediaflow-asset"),
        answer.header("mediaflow-asset")
    );

    // A part of it only, and then the rest.
    let headers = ["upload-length: 8", "content-length: 5", BYTES];
    let answer = send(&server, "POST", "/v1/tus", &headers, "photo").await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.header("upload-offset"), "5");
    let path = answer.header("location");
    let last = send(
        &server,
        "PATCH",
        path,
        &[BYTES, "upload-offset: 5", "prefer: return=representation"],
        "two",
    )
    .await;
    assert_eq!(last.status, 200);
    assert_eq!(last.json()["sha256"], Sha256::of(b"phototwo").to_string());

    // Without a length in front of it, as browsers stream.
    let headers = ["upload-length: 5", BYTES];
    let body = Body::from_stream(stream::iter([Ok::<_, Infallible>("film5")]));
    let answer = send(&server, "POST", "/v1/tus", &headers, body).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(answer.json()["bytes"], 5);

    let odd = [
        "upload-length: 5",
        "content-length: 5",
        "content-type: image/jpeg",
    ];
    let answer = send(&server, "POST", "/v1/tus", &odd, "photo").await;
    answer.problem(415, "upload.type");
}

#[tokio::test]
async fn requests_that_make_no_sense() {
    let server = Server::new();
    let path = open(&server, &["upload-length: 10"]).await;
    let old = server
        .send("HEAD", &path, &["tus-resumable: 0.2.2"], "")
        .await;
    assert_eq!(
        (old.status.as_u16(), old.header("tus-version")),
        (412, "1.0.0")
    );
    let none = server
        .send("POST", "/v1/tus", &["upload-length: 1"], "")
        .await;
    none.problem(412, "upload.version");

    for (headers, status, code) in [
        (&[][..], 400, "request.invalid"),
        (&["upload-length: -1"], 400, "request.invalid"),
        (
            &["upload-length: 1", "upload-defer-length: 1"],
            400,
            "request.invalid",
        ),
        (&["upload-defer-length: 2"], 400, "request.invalid"),
        (&["upload-length: 0"], 422, "input.empty"),
        (&["upload-length: 4194305"], 413, "limit.bytes"),
        (&["upload-length: 18446744073709551616"], 413, "limit.bytes"),
        (
            &["upload-length: 1", "upload-metadata: a b c"],
            400,
            "request.invalid",
        ),
        (
            &["upload-length: 1", "upload-metadata: focus Nw=="],
            400,
            "request.invalid",
        ),
        (
            &["upload-length: 1", "upload-concat: whole"],
            400,
            "request.invalid",
        ),
    ] {
        let answer = send(&server, "POST", "/v1/tus", headers, "").await;
        answer.problem(status, code);
    }
    let long = metadata(&[("title", &"x".repeat(501))]);
    let answer = send(&server, "POST", "/v1/tus", &["upload-length: 1", &long], "").await;
    answer.problem(422, "limit.metadata");

    let patch = async |headers: &[&str]| send(&server, "PATCH", &path, headers, "abc").await;
    patch(&["upload-offset: 0"])
        .await
        .problem(415, "upload.type");
    patch(&[BYTES]).await.problem(400, "request.invalid");
    patch(&[BYTES, "upload-offset: 1"])
        .await
        .problem(409, "upload.offset");
    patch(&[BYTES, "upload-offset: 0", "upload-length: 9"])
        .await
        .problem(400, "request.invalid");
    add(&server, &path, 0, "more than ten")
        .await
        .problem(413, "limit.bytes");
    assert_eq!(offset(&server, &path).await, 0);

    let nowhere = "/v1/tus/01a1ff32-08bc-76b9-b9ec-aff489a61c28";
    for path in [nowhere, "/v1/tus/nothing"] {
        assert_eq!(head(&server, path).await.status, 404);
        add(&server, path, 0, "x")
            .await
            .problem(404, "upload.not_found");
        let gone = send(&server, "DELETE", path, &[], "").await;
        gone.problem(404, "upload.not_found");
    }
    let answer = send(&server, "GET", &path, &[], "").await;
    answer.problem(405, "route.method");
    assert_eq!(answer.header("allow"), "HEAD, PATCH, DELETE, OPTIONS");
    let put = send(&server, "PUT", "/v1/tus", &[], "").await;
    assert_eq!(
        (put.status.as_u16(), put.header("allow")),
        (405, "POST, OPTIONS")
    );
}

#[tokio::test]
async fn a_length_may_come_later() {
    let server = Server::new();
    let path = open(&server, &["upload-defer-length: 1"]).await;
    assert_eq!(add(&server, &path, 0, "pho").await.status, 204);
    let between = head(&server, &path).await;
    assert_eq!(between.header("upload-defer-length"), "1");
    assert_eq!(between.header("upload-length"), "");
    let headers = [BYTES, "upload-offset: 3", "upload-length: 5"];
    let last = send(&server, "PATCH", &path, &headers, "to").await;
    assert_eq!(became(&server, &last).await["original"]["bytes"], 5);

    // Said when everything has arrived.
    let path = open(&server, &["upload-defer-length: 1"]).await;
    add(&server, &path, 0, "picture").await;
    let headers = [BYTES, "upload-offset: 7", "upload-length: 7"];
    let last = send(&server, "PATCH", &path, &headers, "").await;
    assert_eq!(became(&server, &last).await["original"]["bytes"], 7);
    // Nobody can send more than is allowed by saying nothing.
    let path = open(&server, &["upload-defer-length: 1"]).await;
    let huge = add(&server, &path, 0, vec![7; (4 << 20) + 1]).await;
    huge.problem(413, "limit.bytes");
}

#[tokio::test]
async fn checksums_are_of_one_request() {
    let server = Server::new();
    let path = open(&server, &["upload-length: 10"]).await;
    let sent = async |start: usize, checksum: &str, body: &'static str| {
        let offset = format!("upload-offset: {start}");
        let checksum = format!("upload-checksum: {checksum}");
        send(&server, "PATCH", &path, &[BYTES, &offset, &checksum], body).await
    };
    // Of "photo".
    let sha256 = format!("sha256 {}", BASE64_STANDARD.encode(Sha256::of(b"photo").0));
    sent(0, &sha256, "phota")
        .await
        .problem(460, "upload.checksum");
    assert_eq!(offset(&server, &path).await, 0);
    sent(0, "md5 1B2M2Y8AsgTpgAmY7PhCfg==", "photo")
        .await
        .problem(400, "request.invalid");
    assert_eq!(sent(0, &sha256, "photo").await.header("upload-offset"), "5");
    // Cut, it cannot be judged.
    let cut = sent(5, &sha256, "ph").await;
    cut.problem(460, "upload.checksum");
    let headers = [
        BYTES,
        "upload-offset: 5",
        "upload-checksum: sha1 qUqP5cyxm6YcTAhz05Hph5gvu9M=",
    ];
    let cut = send(&server, "PATCH", &path, &headers, broken("test")).await;
    cut.problem(400, "input.interrupted");
    assert_eq!(offset(&server, &path).await, 5);
    let right = send(&server, "PATCH", &path, &headers, "test").await;
    assert_eq!(right.header("upload-offset"), "9", "{right:?}");

    let behind = async |digest: [u8; 32]| {
        let text = format!("sha256 {}", BASE64_STANDARD.encode(digest));
        let mut trailers = axum::http::HeaderMap::new();
        trailers.insert("upload-checksum", text.parse().unwrap());
        let body = Full::new(Bytes::from("!"));
        let body = body.with_trailers(async { Some(Ok::<_, Infallible>(trailers)) });
        let headers = [BYTES, "upload-offset: 9", "trailer: Upload-Checksum"];
        send(&server, "PATCH", &path, &headers, Body::new(body)).await
    };
    behind([7; 32]).await.problem(460, "upload.checksum");
    let missing = [BYTES, "upload-offset: 9", "trailer: upload-checksum"];
    let missing = send(&server, "PATCH", &path, &missing, "!").await;
    missing.problem(400, "request.invalid");
    let last = behind(Sha256::of(b"!").0).await;
    let whole = became(&server, &last).await;
    assert_eq!(
        whole["original"]["sha256"],
        Sha256::of(b"phototest!").to_string()
    );
}

#[tokio::test]
async fn what_arrived_before_a_break_is_kept() {
    let server = Server::new();
    let path = open(&server, &["upload-length: 10"]).await;
    let cut = add(&server, &path, 0, broken("photo")).await;
    cut.problem(400, "input.interrupted");
    assert_eq!(offset(&server, &path).await, 5);
    let last = add(&server, &path, 5, "graph").await;
    let asset = became(&server, &last).await;
    assert_eq!(
        asset["original"]["sha256"],
        Sha256::of(b"photograph").to_string()
    );
}

#[tokio::test]
async fn the_newest_request_has_the_upload() {
    let server = Arc::new(Server::new());
    let path = open(&server, &["upload-length: 10"]).await;
    let (slow, at) = (Arc::clone(&server), path.clone());
    let (body, is_read) = endless("photo");
    let slow = tokio::spawn(async move { add(&slow, &at, 0, body).await });
    is_read.notified().await;
    let mut has = 0;
    let last = loop {
        // It asks how far the other is, which is nothing until that one stops.
        let answer = add(&server, &path, has, &"photograph"[has..]).await;
        if answer.status == 204 {
            break answer;
        }
        answer.problem(409, "upload.offset");
        has = offset(&server, &path).await;
    };
    slow.await.unwrap().problem(423, "upload.taken");
    let asset = became(&server, &last).await;
    assert_eq!(
        asset["original"]["sha256"],
        Sha256::of(b"photograph").to_string()
    );
    assert_eq!(files(&server).len(), 1);
}

#[tokio::test]
async fn parts_are_joined_in_the_order_that_is_said() {
    let server = Server::new();
    let mut parts = Vec::new();
    for text in ["photo", "graph"] {
        let path = open(&server, &["upload-length: 5", "upload-concat: partial"]).await;
        let done = add(&server, &path, 0, text).await;
        assert_eq!(done.header("mediaflow-asset"), "", "a part is no asset");
        assert_eq!(
            head(&server, &path).await.header("upload-concat"),
            "partial"
        );
        parts.push(path);
    }
    let concat = format!(
        "upload-concat: final;{} http://x.example{}",
        parts[0], parts[1]
    );
    let said = metadata(&[("filename", "whole.jpg")]);
    let joined = send(&server, "POST", "/v1/tus", &[&concat, &said], "").await;
    assert_eq!(joined.status, 201, "{joined:?}");
    let asset = became(&server, &joined).await;
    assert_eq!(
        asset["original"]["sha256"],
        Sha256::of(b"photograph").to_string()
    );
    assert_eq!(asset["original"]["filename"], "whole.jpg");
    let path = joined.header("location");
    let after = head(&server, path).await;
    assert_eq!(after.header("upload-length"), "10");
    assert!(
        after.header("upload-concat").starts_with("final;"),
        "{after:?}"
    );
    // Said again because the answer was lost.
    let again = send(&server, "POST", "/v1/tus", &[&concat, &said], "").await;
    assert_eq!(
        again.header("mediaflow-asset"),
        joined.header("mediaflow-asset")
    );
    // Soon the parts are gone, and only the asset's bytes are left.
    server.world.pass(Duration::from_secs(3601));
    assert_eq!(head(&server, &parts[0]).await.status, 404);

    let open_part = open(&server, &["upload-length: 5", "upload-concat: partial"]).await;
    let whole = open(&server, &["upload-length: 5"]).await;
    for (concat, status, code) in [
        (
            format!("upload-concat: final;{open_part}"),
            409,
            "conflict.state",
        ),
        (
            format!("upload-concat: final;{whole}"),
            400,
            "request.invalid",
        ),
        (
            format!("upload-concat: final;{}", parts[0]),
            404,
            "upload.not_found",
        ),
        (
            "upload-concat: final;/elsewhere".into(),
            400,
            "request.invalid",
        ),
    ] {
        let answer = send(&server, "POST", "/v1/tus", &[&concat], "").await;
        answer.problem(status, code);
    }
}

#[tokio::test]
async fn an_upload_is_given_up_with_its_bytes() {
    let server = Server::new();
    let path = open(&server, &["upload-length: 10"]).await;
    add(&server, &path, 0, "photo").await;
    assert_eq!(files(&server).len(), 1);
    let headers = ["x-http-method-override: DELETE"];
    let ended = send(&server, "POST", &path, &headers, "").await;
    assert_eq!(ended.status, 204);
    assert_eq!(head(&server, &path).await.status, 404);
    assert_eq!(files(&server).len(), 0);

    let path = open(&server, &["upload-length: 10"]).await;
    server.world.pass(Duration::from_secs(24 * 3600 - 60));
    add(&server, &path, 0, "photo").await;
    server.world.pass(Duration::from_secs(24 * 3600 - 60));
    assert_eq!(offset(&server, &path).await, 5, "progress gives it time");
    server.world.pass(Duration::from_secs(120));
    add(&server, &path, 5, "graph")
        .await
        .problem(404, "upload.not_found");
}

#[tokio::test]
async fn what_is_not_taken_is_gone() {
    let server = Server::new();
    let path = open(&server, &["upload-length: 6"]).await;
    add(&server, &path, 0, "<svg/>")
        .await
        .problem(415, "input.unsupported");
    assert_eq!(head(&server, &path).await.status, 404);
    // Of a large file the beginning is enough.
    let path = open(&server, &["upload-length: 3000000"]).await;
    let start = format!("<{}", " ".repeat(200_000));
    add(&server, &path, 0, start)
        .await
        .problem(415, "input.unsupported");
    assert_eq!(head(&server, &path).await.status, 404);
    let other = Sha256::of(b"other").to_string();
    let path = open(
        &server,
        &["upload-length: 5", &metadata(&[("sha256", &other)])],
    )
    .await;
    add(&server, &path, 0, "photo")
        .await
        .problem(422, "input.digest");
    let path = open(
        &server,
        &["upload-length: 5", &metadata(&[("recipe", "none")])],
    )
    .await;
    add(&server, &path, 0, "photo")
        .await
        .problem(422, "recipe.unknown");
    assert_eq!(files(&server).len(), 0);
}

#[tokio::test]
async fn a_key_has_its_own_uploads_and_not_too_many() {
    let server = Server::with(Wish {
        is_open: false,
        limits: UploadLimits {
            open_max: 2,
            ..Wish::default().limits
        },
        ..Wish::default()
    });
    let key = async |scope| format!("authorization: Bearer {}", server.key(&[scope]).await);
    let (one, two, reader) = (
        key(Scope::Ingest).await,
        key(Scope::Ingest).await,
        key(Scope::Read).await,
    );
    let open =
        async |key: &str| send(&server, "POST", "/v1/tus", &[key, "upload-length: 5"], "").await;
    open("x-none: 1").await.problem(401, "auth.missing");
    open(&reader).await.problem(403, "auth.scope");
    assert_eq!(open(&one).await.status, 201);
    let second = open(&one).await;
    assert_eq!(second.status, 201);
    let refused = open(&one).await;
    refused.problem(429, "limit.rate");
    assert_ne!(refused.header("retry-after"), "");
    assert_eq!(open(&two).await.status, 201);
    // Finished ones do not count.
    let path = second.header("location");
    let headers = [&one, BYTES, "upload-offset: 0"];
    let done = send(&server, "PATCH", path, &headers, "photo").await;
    assert_eq!(done.status, 204, "{done:?}");
    assert_eq!(open(&one).await.status, 201);
}

#[tokio::test]
async fn pages_of_listed_sites_may_upload() {
    let mut wish = Wish::default();
    wish.config.upload_origins = vec!["https://example.com".into()];
    wish.is_open = false;
    let server = Server::with(wish);
    let asks = |origin: &'static str| {
        let headers = [origin, "access-control-request-method: PATCH"];
        let server = &server;
        async move { server.send("OPTIONS", "/v1/tus/x", &headers, "").await }
    };
    let own = asks("origin: https://example.com").await;
    assert_eq!(
        own.header("access-control-allow-origin"),
        "https://example.com"
    );
    assert!(own.header("access-control-allow-methods").contains("PATCH"));
    assert!(
        own.header("access-control-allow-headers")
            .contains("Upload-Offset")
    );
    let other = asks("origin: https://evil.example").await;
    assert_eq!(other.header("access-control-allow-origin"), "");
    let key = format!(
        "authorization: Bearer {}",
        server.key(&[Scope::Ingest]).await
    );
    let headers = [&key, "upload-length: 5", "origin: https://example.com"];
    let opened = send(&server, "POST", "/v1/tus", &headers, "").await;
    assert_eq!(opened.status, 201);
    assert!(
        opened
            .header("access-control-expose-headers")
            .contains("Location")
    );
}
