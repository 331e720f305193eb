//! `POST /v1/assets` as a form.

use crate::given::{Answer, Server};
use axum::body::Body;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use serde_json::json;

const TYPE: &str = "content-type: multipart/form-data; boundary=XX";

/// A part of a form; the name may be followed by a file name.
fn part(name: &str, body: &str) -> String {
    let name = match name.split_once('=') {
        Some((name, file)) => format!("name=\"{name}\"; filename=\"{file}\""),
        None => format!("name=\"{name}\""),
    };
    format!("--XX\r\nContent-Disposition: form-data; {name}\r\n\r\n{body}\r\n")
}

fn form(parts: &[(&str, &str)]) -> String {
    let parts: String = parts.iter().map(|(name, body)| part(name, body)).collect();
    format!("{parts}--XX--\r\n")
}

async fn post(server: &Server, parts: &[(&str, &str)]) -> Answer {
    server
        .send("POST", "/v1/assets", &[TYPE], form(parts))
        .await
}

/// Sends it as a connection does: piece by piece, with time between them.
async fn arriving(server: &Server, form: &str) -> Answer {
    let pieces: Vec<Bytes> = form
        .as_bytes()
        .chunks(64 << 10)
        .map(Bytes::copy_from_slice)
        .collect();
    let pieces = stream::iter(pieces).then(async |piece| {
        tokio::task::yield_now().await;
        Ok::<_, std::io::Error>(piece)
    });
    let body = Body::from_stream(pieces);
    server.send("POST", "/v1/assets", &[TYPE], body).await
}

#[tokio::test]
async fn fields_may_stand_before_and_after_the_file() {
    let server = Server::new();
    let answer = post(
        &server,
        &[
            ("title", "At the sea"),
            ("tags", "summer"),
            ("file=sea.jpg", "photo"),
            ("tags", "sea"),
            ("metadata", "{\"album\": 7}"),
            ("visibility", ""),
            ("watermark", "true"),
        ],
    )
    .await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(answer.json()["bytes"], 5);
    let asset = server.asset(answer.json()["id"].as_str().unwrap()).await;
    assert_eq!(asset["title"], "At the sea");
    assert_eq!(asset["tags"], json!(["summer", "sea"]));
    assert_eq!(asset["metadata"], json!({ "album": 7 }));
    assert_eq!(asset["visibility"], "public");
    assert_eq!(asset["watermark"], true);
    assert_eq!(asset["original"]["filename"], "sea.jpg");
}

#[tokio::test]
async fn a_form_in_small_pieces_is_the_same() {
    let server = Server::new();
    let bytes = form(&[("file=a.jpg", "photo"), ("title", "late")]).into_bytes();
    let pieces: Vec<_> = bytes
        .chunks(3)
        .map(|c| Ok::<_, std::io::Error>(Bytes::copy_from_slice(c)))
        .collect();
    let body = Body::from_stream(stream::iter(pieces));
    let answer = server.send("POST", "/v1/assets", &[TYPE], body).await;
    assert_eq!(answer.status, 202);
    let asset = server.asset(answer.json()["id"].as_str().unwrap()).await;
    assert_eq!(
        (&asset["title"], &asset["original"]["bytes"]),
        (&json!("late"), &json!(5))
    );
}

#[tokio::test]
async fn forms_that_make_no_sense() {
    let server = Server::new();
    let nonsense: [(&[(&str, &str)], &str); 8] = [
        (&[], "file"),
        (&[("title", "a")], "file"),
        (&[("file=a", "x"), ("file=b", "y")], "more than one"),
        (&[("file=a", "x"), ("colour", "red")], "colour"),
        (&[("colour", "red"), ("file=a", "x")], "colour"),
        (&[("title", "a"), ("file=a", "x"), ("title", "b")], "title"),
        (&[("file=a", "x"), ("metadata", "[]")], "metadata"),
        (&[("file=a", "x"), ("focus", "here")], "focus"),
    ];
    for (parts, name) in nonsense {
        let detail = post(&server, parts).await.problem(400, "request.invalid");
        assert!(detail.contains(name), "{parts:?}: {detail}");
    }
    let headers = ["content-type: multipart/form-data"];
    let answer = server.send("POST", "/v1/assets", &headers, "x").await;
    assert!(answer.problem(400, "request.invalid").contains("boundary"));
    assert_eq!(server.get("/v1/assets").await.json()["items"], json!([]));
    assert_eq!(server.writes_under_way(), 0);
}

#[tokio::test]
async fn forms_that_are_too_large_or_end_early() {
    let server = Server::new();
    let long = "x".repeat(300 << 10);
    post(&server, &[("title", &long), ("file=a", "x")])
        .await
        .problem(422, "limit.metadata");
    let huge = "x".repeat(5 << 20);
    let answer = arriving(&server, &form(&[("file=a", &huge)])).await;
    answer.problem(413, "limit.bytes");
    // Neither headers nor what stands before the first part may fill memory.
    let headers = format!("--XX\r\nContent-Disposition: {huge}");
    arriving(&server, &headers)
        .await
        .problem(422, "limit.metadata");
    arriving(&server, &huge)
        .await
        .problem(422, "limit.metadata");
    let whole = form(&[("file=a.jpg", "photo")]);
    for end in [10, whole.len() - 20] {
        let answer = server
            .send("POST", "/v1/assets", &[TYPE], whole[..end].to_owned())
            .await;
        answer.problem(400, "input.interrupted");
    }
    post(&server, &[("file=a", "")])
        .await
        .problem(422, "input.empty");
}
