//! The protocol's extensions, keys, and pages of other sites.

use super::{BYTES, VERSION, add, became, broken, files, head, held, metadata, offset, open, send};
use crate::given::{Server, Wish};
use crate::imports::PATIENCE;
use axum::body::Body;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures_util::stream;
use http_body_util::BodyExt as _;
use http_body_util::Full;
use mediaflow_core::Sha256;
use mediaflow_engine::UploadLimits;
use mediaflow_engine::store::Scope;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

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
    for (start, body) in [(10, ""), (10, "more"), (0, "photograph")] {
        let more = add(&server, path, start, body).await;
        more.problem(403, "upload.final");
    }
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
async fn an_upload_whose_address_nobody_heard_of_is_given_up() {
    let server = Arc::new(Server::new());
    for path in ["/v1/tus", "/v1/assets"] {
        let (body, is_read, end) = held("photo");
        let at = Arc::clone(&server);
        let sending = tokio::spawn(async move {
            let headers = [VERSION, BYTES, "upload-length: 10", "upload-complete: ?0"];
            at.send("POST", path, &headers, body).await
        });
        is_read.notified().await;
        let list = server.get("/v1/uploads").await.json();
        assert_eq!(list["items"].as_array().unwrap().len(), 1, "{path}");
        // The client goes away, and then the line breaks.
        sending.abort();
        assert!(sending.await.unwrap_err().is_cancelled());
        end.send(Err(std::io::Error::other("cut"))).unwrap();
        let began = Instant::now();
        while server.get("/v1/uploads").await.json()["items"] != serde_json::json!([]) {
            assert!(began.elapsed() < PATIENCE, "{path}: it stays open");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
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
