//! Uploads over several requests as the IETF's draft has them.

use crate::given::{Answer, Server, Wish};
use crate::tus::{broken, endless, files};
use axum::body::Body;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use mediaflow_core::Sha256;
use mediaflow_engine::store::Scope;
use serde_json::json;
use std::sync::Arc;

const BYTES: &str = "content-type: application/partial-upload";
const MORE: &str = "upload-complete: ?0";
const LAST: &str = "upload-complete: ?1";

/// Opens an upload without bytes and answers its address.
async fn open(server: &Server, query: &str, headers: &[&str]) -> String {
    let headers: Vec<&str> = [MORE].iter().chain(headers).copied().collect();
    let path = format!("/v1/assets?{query}");
    let answer = server.send("POST", &path, &headers, "").await;
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(answer.header("upload-complete"), "?0");
    assert_eq!(answer.header("upload-offset"), "0");
    answer.header("location").to_owned()
}

async fn add(
    server: &Server,
    path: &str,
    start: usize,
    complete: &str,
    body: impl Into<Body>,
) -> Answer {
    let offset = format!("upload-offset: {start}");
    let headers = [BYTES, &offset, complete];
    server.send("PATCH", path, &headers, body).await
}

async fn head(server: &Server, path: &str) -> Answer {
    server.send("HEAD", path, &[], "").await
}

/// A problem with a type of the draft's.
fn is_standard(answer: &Answer, status: u16, code: &str, name: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    let problem = answer.json();
    let uri = format!("https://iana.org/assignments/http-problem-types#{name}");
    assert_eq!(
        (&problem["code"], &problem["type"]),
        (&json!(code), &json!(uri))
    );
}

async fn is_photograph(server: &Server, answer: &Answer) -> serde_json::Value {
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(answer.header("upload-complete"), "?1");
    let asset = server.get(answer.header("location")).await.json();
    let sha256 = Sha256::of(b"photograph").to_string();
    assert_eq!(asset["original"]["sha256"], sha256);
    assert_eq!(answer.json()["id"], asset["id"]);
    asset
}

#[tokio::test]
async fn pieces_become_an_asset() {
    let server = Server::new();
    let name = "content-disposition: inline; filename=\"x\"; filename*=UTF-8''../s%C3%A9a.jpg";
    let path = open(
        &server,
        "title=Sea&tags=a,b",
        &[name, "upload-length: 10", "content-type: image/jpeg"],
    )
    .await;
    assert!(path.starts_with("/v1/resumable/"), "{path}");
    let first = add(&server, &path, 0, MORE, "phot").await;
    assert_eq!(first.status, 204, "{first:?}");
    assert_eq!(first.header("upload-offset"), "4");
    assert_eq!(first.header("upload-complete"), "?0");
    for method in ["HEAD", "GET"] {
        let between = server.send(method, &path, &[], "").await;
        assert_eq!(between.status, 204, "{between:?}");
        assert_eq!(between.header("upload-offset"), "4");
        assert_eq!(between.header("upload-complete"), "?0");
        assert_eq!(between.header("upload-length"), "10");
        assert_eq!(between.header("cache-control"), "no-store");
        let limit = between.header("upload-limit");
        assert!(limit.starts_with("max-size=4194304, max-age=86"), "{limit}");
    }
    let last = add(&server, &path, 4, LAST, "ograph").await;
    assert_eq!(last.header("upload-offset"), "10");
    let asset = is_photograph(&server, &last).await;
    assert_eq!(asset["original"]["filename"], "séa.jpg");
    assert_eq!(asset["title"], "Sea");
    assert_eq!(asset["tags"], json!(["a", "b"]));
    // The answer was lost: both ways to find out lead to the asset.
    let after = head(&server, &path).await;
    assert_eq!(after.header("upload-complete"), "?1");
    assert_eq!(after.header("mediaflow-asset"), last.header("location"));
    let again = add(&server, &path, 10, LAST, "").await;
    assert_eq!(again.status, 204, "{again:?}");
    assert_eq!(again.header("upload-complete"), "?1");
    assert_eq!(again.header("location"), last.header("location"));
    assert_eq!(files(&server).len(), 1);
}

#[tokio::test]
async fn the_end_is_where_the_client_says() {
    let server = Server::new();
    // The first bytes come with the request that opens it, and nobody has told how many there will be.
    let begun = server
        .send(
            "POST",
            "/v1/assets",
            &[MORE, "upload-metadata: title U2Vh"],
            "photo",
        )
        .await;
    assert_eq!(begun.status, 201, "{begun:?}");
    assert_eq!(begun.header("upload-offset"), "5");
    let path = begun.header("location").to_owned();
    assert_eq!(head(&server, &path).await.header("upload-length"), "");
    assert_eq!(
        add(&server, &path, 5, MORE, "graph")
            .await
            .header("upload-complete"),
        "?0"
    );
    let last = add(&server, &path, 10, LAST, "").await;
    assert_eq!(is_photograph(&server, &last).await["title"], "Sea");
    // With a body whose length is not told before.
    let path = open(&server, "", &[]).await;
    add(&server, &path, 0, MORE, "photo").await;
    let streamed = Body::from_stream(futures_util::stream::iter([Ok::<_, std::io::Error>(
        bytes::Bytes::from("graph"),
    )]));
    let last = add(&server, &path, 5, LAST, streamed).await;
    is_photograph(&server, &last).await;
    // All bytes that were announced are there; the server does not wait for more.
    let path = open(&server, "", &["upload-length: 10"]).await;
    let last = add(&server, &path, 0, MORE, "photograph").await;
    is_photograph(&server, &last).await;
    // Nothing is no file.
    let path = open(&server, "", &[]).await;
    let empty = add(&server, &path, 0, LAST, "").await;
    empty.problem(422, "input.empty");
    assert_eq!(empty.header("upload-complete"), "?1");
    assert_eq!(head(&server, &path).await.status, 404);
}

#[tokio::test]
async fn a_whole_file_in_one_request_is_what_it_always_was() {
    let server = Server::new();
    let digest = format!(
        "repr-digest: sha-256=:{}:",
        BASE64_STANDARD.encode(Sha256::of(b"photograph").0)
    );
    let headers = [LAST, "upload-length: 10", "content-length: 10", &digest];
    let answer = server
        .send("POST", "/v1/assets", &headers, "photograph")
        .await;
    is_photograph(&server, &answer).await;
    assert_eq!(answer.header("upload-offset"), "10");
    let headers = ["repr-digest: sha-256=:YQ==:"];
    let odd = server
        .send("POST", "/v1/assets", &headers, "photograph")
        .await;
    odd.problem(400, "request.invalid");
    let other = server
        .send("POST", "/v1/assets", &[&*digest, LAST], "other")
        .await;
    other.problem(422, "input.digest");
    assert_eq!(other.header("upload-complete"), "?1");
    let headers = [LAST, "upload-length: 9", "content-length: 10"];
    let lie = server
        .send("POST", "/v1/assets", &headers, "photograph")
        .await;
    is_standard(&lie, 400, "upload.length", "inconsistent-upload-length");
    // What is no boolean counts as if it were not there.
    let headers = ["upload-complete: yes"];
    let plain = server
        .send("POST", "/v1/assets", &headers, "photograph")
        .await;
    assert_eq!(
        (plain.status.as_u16(), plain.header("upload-complete")),
        (202, "")
    );
}

#[tokio::test]
async fn what_arrived_before_a_break_is_kept() {
    let server = Server::new();
    let path = open(&server, "", &["upload-length: 10"]).await;
    let cut = add(&server, &path, 0, LAST, broken("photo")).await;
    cut.problem(400, "input.interrupted");
    assert_eq!(cut.header("upload-complete"), "?0");
    let now = head(&server, &path).await;
    assert_eq!(now.header("upload-offset"), "5");
    assert_eq!(now.header("upload-complete"), "?0");
    let last = add(&server, &path, 5, LAST, "graph").await;
    is_photograph(&server, &last).await;
}

#[tokio::test]
async fn whoever_asks_how_far_it_is_stops_who_sends() {
    let server = Arc::new(Server::new());
    let path = open(&server, "", &["upload-length: 10"]).await;
    let (slow, at) = (Arc::clone(&server), path.clone());
    let (body, is_read) = endless("photo");
    let slow = tokio::spawn(async move { add(&slow, &at, 0, LAST, body).await });
    is_read.notified().await;
    // So what it is told holds: these bytes are taken.
    let now = head(&server, &path).await;
    assert_eq!(now.header("upload-offset"), "5");
    let taken = slow.await.unwrap();
    taken.problem(423, "upload.taken");
    assert_eq!(taken.header("upload-complete"), "?0");
    let last = add(&server, &path, 5, LAST, "graph").await;
    is_photograph(&server, &last).await;
}

#[tokio::test]
async fn problems_have_the_types_of_the_draft() {
    let server = Server::new();
    let path = open(&server, "", &["upload-length: 10"]).await;
    add(&server, &path, 0, MORE, "photo").await;
    let wrong = add(&server, &path, 7, MORE, "graph").await;
    is_standard(&wrong, 409, "upload.offset", "mismatching-upload-offset");
    assert_eq!(wrong.header("upload-offset"), "5");
    assert_eq!(wrong.header("upload-complete"), "?0");
    let problem = wrong.json();
    assert_eq!(problem["expected-offset"], 5);
    assert_eq!(problem["provided-offset"], 7);
    for headers in [
        &[BYTES, "upload-offset: 5", MORE, "upload-length: 11"][..],
        &[BYTES, "upload-offset: 5", LAST, "content-length: 4"],
    ] {
        let wrong = server.send("PATCH", &path, headers, "grap").await;
        is_standard(&wrong, 400, "upload.length", "inconsistent-upload-length");
        assert_eq!(wrong.header("upload-complete"), "?0");
    }
    let short = Body::from_stream(futures_util::stream::iter([Ok::<_, std::io::Error>(
        bytes::Bytes::from("gra"),
    )]));
    let short = add(&server, &path, 5, LAST, short).await;
    is_standard(&short, 400, "upload.length", "inconsistent-upload-length");
    assert_eq!(head(&server, &path).await.header("upload-offset"), "8");
    for headers in [
        &[BYTES, MORE][..],
        &[BYTES, "upload-offset: 8"],
        &[BYTES, "upload-offset: -8", MORE],
    ] {
        let missing = server.send("PATCH", &path, headers, "ph").await;
        missing.problem(400, "request.invalid");
    }
    let tus = [
        "content-type: application/offset+octet-stream",
        "upload-offset: 8",
        LAST,
    ];
    let other = server.send("PATCH", &path, &tus, "ph").await;
    other.problem(415, "upload.type");
    assert_eq!(other.header("accept-patch"), "application/partial-upload");
    // Too long for what was announced: nothing more is to be done with it.
    let long = add(&server, &path, 8, MORE, "phs").await;
    long.problem(413, "limit.bytes");
    assert_eq!(long.header("upload-complete"), "?1");
    assert!(long.header("upload-limit").starts_with("max-size=4194304"));
    assert_eq!(head(&server, &path).await.status, 404);
    let headers = [MORE, "upload-length: 4194305"];
    let huge = server.send("POST", "/v1/assets", &headers, "").await;
    huge.problem(413, "limit.bytes");
    assert!(huge.header("upload-limit").starts_with("max-size=4194304"));
    assert!(files(&server).is_empty());
}

#[tokio::test]
async fn refused_files_and_those_given_up_are_gone() {
    let server = Server::new();
    let path = open(&server, "", &[]).await;
    let refused = add(&server, &path, 0, LAST, "<svg/>").await;
    refused.problem(415, "input.unsupported");
    assert_eq!(refused.header("upload-complete"), "?1");
    assert_eq!(head(&server, &path).await.status, 404);
    let path = open(&server, "", &[]).await;
    add(&server, &path, 0, MORE, "photo").await;
    assert_eq!(server.send("DELETE", &path, &[], "").await.status, 204);
    assert_eq!(head(&server, &path).await.status, 404);
    // Nothing stays of what breaks off before anybody could be told its address.
    let cut = server
        .send("POST", "/v1/assets", &[MORE], broken("photo"))
        .await;
    cut.problem(400, "input.interrupted");
    assert!(files(&server).is_empty());
    let items = server.get("/v1/uploads").await.json();
    assert_eq!(items["items"], json!([]));
}

#[tokio::test]
async fn bytes_with_a_digest_count_as_a_whole_or_not_at_all() {
    let server = Server::new();
    let path = open(&server, "", &[]).await;
    let digest = |bytes: &[u8]| {
        let digest = BASE64_STANDARD.encode(Sha256::of(bytes).0);
        format!("content-digest: sha-256=:{digest}:")
    };
    let (wrong, right) = (digest(b"phota"), digest(b"photo"));
    let headers = [BYTES, "upload-offset: 0", MORE, &wrong];
    let answer = server.send("PATCH", &path, &headers, "photo").await;
    answer.problem(460, "upload.checksum");
    assert_eq!(head(&server, &path).await.header("upload-offset"), "0");
    let headers = [BYTES, "upload-offset: 0", MORE, &right];
    let answer = server.send("PATCH", &path, &headers, "photo").await;
    assert_eq!(answer.header("upload-offset"), "5");
    let last = add(&server, &path, 5, LAST, "graph").await;
    is_photograph(&server, &last).await;
}

#[tokio::test]
async fn limits_are_told_before_and_keys_are_needed_as_everywhere() {
    let server = Server::with(Wish {
        is_open: false,
        ..Wish::default()
    });
    let options = server.send("OPTIONS", "/v1/assets", &[], "").await;
    assert_eq!(options.status, 204, "{options:?}");
    assert_eq!(
        options.header("upload-limit"),
        "max-size=4194304, max-age=86400"
    );
    let bare = server.send("POST", "/v1/assets", &[MORE], "").await;
    bare.problem(401, "auth.missing");
    let key = format!(
        "authorization: Bearer {}",
        server.key(&[Scope::Ingest]).await
    );
    let path = open(&server, "", &[&key]).await;
    assert_eq!(head(&server, &path).await.status, 401);
    let now = server.send("HEAD", &path, &[&key], "").await;
    assert_eq!(now.status, 204);
    let now = server
        .send("GET", "/v1/resumable/nothing", &[&key], "")
        .await;
    now.problem(404, "upload.not_found");
}
