//! The protocol's core: asking, adding, and what is refused.

use super::{BYTES, add, became, broken, endless, files, head, metadata, offset, open, send};
use crate::given::{Server, TENANT, Wish};
use bytes::Bytes;
use mediaflow_core::{Sha256, UploadId};
use mediaflow_engine::store::{Advance, UploadState};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

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
        .problem(400, "upload.length");
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
async fn what_is_whole_becomes_an_asset_when_somebody_asks() {
    let server = Server::new();
    let path = open(&server, &["upload-length: 5"]).await;
    let id: UploadId = path.rsplit('/').next().unwrap().parse().unwrap();
    // As a process leaves it that is killed between its last two steps.
    let taken = server.store.take_upload(TENANT, id).await.unwrap();
    let mut growth = server.blobs.grow(id.0, taken.fence, None).await.unwrap();
    growth.write(Bytes::from("photo")).await.unwrap();
    let grown = growth.seal().await.unwrap();
    growth.close(true).await;
    let advance = Advance {
        state: UploadState::Open,
        bytes: 5,
        length: Some(5),
        progress: grown.to_text(),
        kept: Duration::from_secs(60),
    };
    let advanced = server.store.advance_upload(id, taken.fence, advance);
    advanced.await.unwrap();
    let asked = head(&server, &path).await;
    assert_eq!(asked.header("upload-offset"), "5");
    let asset = became(&server, &asked).await;
    assert_eq!(
        asset["original"]["sha256"],
        Sha256::of(b"photo").to_string()
    );
    let again = head(&server, &path).await;
    assert_eq!(
        again.header("mediaflow-asset"),
        asked.header("mediaflow-asset")
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
