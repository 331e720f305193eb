//! `/v1/uploads`: bytes that clients bring to where they are kept, a folder behind the API or a bucket.

use crate::given::{Answer, Server, Wish};
use crate::imports::PATIENCE;
use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use mediaflow_core::Sha256;
use mediaflow_engine::store::{Advance, UploadState};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::time::{Duration, Instant};

macro_rules! everywhere {
    ($($name:ident)+) => {
        mod folder {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(super::server(false)).await;
            })+
        }
        mod bucket {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(super::server(true)).await;
            })+
        }
    };
}

everywhere! {
    a_file_in_one_request_becomes_an_asset
    a_large_file_in_parts_becomes_an_asset
    what_has_not_come_is_told_and_can_follow
    other_bytes_than_announced_are_refused
    what_is_not_taken_says_so_until_it_is_forgotten
    of_two_completions_at_once_one_makes_the_asset
    what_nobody_completes_is_collected
    whoever_stopped_looking_is_followed_by_another
}

const PART: usize = 5 << 20;

fn server(bucket: bool) -> Server {
    let mut wish = Wish {
        bucket,
        ..Wish::default()
    };
    wish.limits.part_bytes = PART as u64;
    wish.limits.bytes_max = 20 << 20;
    Server::with(wish)
}

fn photo(bytes: usize) -> Vec<u8> {
    (0..bytes as u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8 | 1)
        .collect()
}

async fn begin(server: &Server, wanted: &Value) -> Value {
    let answer = server.post("/v1/uploads", &wanted.to_string()).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(answer.header("cache-control"), "no-store");
    let upload = answer.json();
    assert_eq!(upload["state"], "open");
    assert_eq!(answer.header("location"), upload["links"]["self"]);
    upload
}

/// Sends one request as it was told, and answers its status and `ETag`.
async fn bring(request: &Value, server: &Server, bytes: &[u8]) -> (u16, String) {
    let url = request["url"].as_str().unwrap();
    assert_eq!(request["method"], "PUT");
    let headers = request["headers"].as_object().unwrap();
    let headers = headers
        .iter()
        .map(|(n, v)| format!("{n}: {}", v.as_str().unwrap()));
    let headers: Vec<String> = headers.collect();
    if let Some(path) = url.strip_prefix("http://127.0.0.1:8080") {
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        let answer = server.send("PUT", path, &headers, bytes.to_vec()).await;
        return (answer.status.as_u16(), answer.header("etag").to_owned());
    }
    let mut request = reqwest::Client::new().put(url).body(bytes.to_vec());
    for line in &headers {
        let (name, value) = line.split_once(": ").unwrap();
        if name != "content-length" {
            request = request.header(name, value);
        }
    }
    let answer = request.send().await.unwrap();
    let tag = answer.headers().get("etag");
    let tag = tag.map_or("", |tag| tag.to_str().unwrap()).to_owned();
    (answer.status().as_u16(), tag)
}

/// Sends everything, and answers what completes it.
async fn bring_all(upload: &Value, server: &Server, content: &[u8]) -> Value {
    let mut parts = Vec::new();
    for request in upload["requests"].as_array().unwrap() {
        let range = |name: &str| request["range"][name].as_u64().unwrap() as usize;
        let body = &content[range("start")..range("start") + range("bytes")];
        let (status, etag) = bring(request, server, body).await;
        assert_eq!(status, 200, "{request}");
        if let Some(part) = request["part"].as_u64() {
            parts.push(json!({ "part": part, "etag": etag }));
        }
    }
    // In whatever order.
    parts.reverse();
    json!({ "parts": parts })
}

async fn complete(server: &Server, upload: &Value, sent: &Value) -> Answer {
    let path = upload["links"]["complete"].as_str().unwrap();
    server.post(path, &sent.to_string()).await
}

async fn ask(server: &Server, upload: &Value) -> Answer {
    server.get(upload["links"]["self"].as_str().unwrap()).await
}

async fn a_file_in_one_request_becomes_an_asset(server: Server) {
    let content = photo(1000);
    let sha256 = Sha256::of(&content).to_string();
    let upload = begin(
        &server,
        &json!({
            "bytes": 1000, "filename": "a/b/sea.jpg", "type": "image/jpeg", "sha256": sha256,
            "title": "Sea", "tags": ["blue"], "metadata": { "shelf": 3 }, "visibility": "private",
            "focus": { "x": 0.5, "y": 0.25 },
        }),
    )
    .await;
    let requests = upload["requests"].as_array().unwrap();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0]["part"], Value::Null);
    assert_eq!(requests[0]["headers"]["content-type"], "image/jpeg");
    let sent = bring_all(&upload, &server, &content).await;
    assert_eq!(server.get("/v1/assets").await.json()["items"], json!([]));
    let done = complete(&server, &upload, &sent).await;
    assert_eq!(done.status, 202, "{done:?}");
    let asset = done.json();
    assert_eq!(
        (&asset["state"], &asset["sha256"]),
        (&json!("uploaded"), &json!(sha256))
    );
    let path = done.header("location").to_owned();
    assert_eq!(
        path,
        format!("/v1/assets/{}", asset["id"].as_str().unwrap())
    );
    let found = server.get(&path).await.json();
    assert_eq!(
        (&found["title"], &found["visibility"]),
        (&json!("Sea"), &json!("private"))
    );
    assert_eq!(found["original"]["filename"], "sea.jpg");
    assert_eq!(found["metadata"], json!({ "shelf": 3 }));

    let again = complete(&server, &upload, &sent).await;
    assert_eq!(
        (again.status.as_u16(), &again.json()["id"]),
        (202, &asset["id"])
    );
    assert_eq!(again.header("idempotency-replayed"), "true");
    let told = ask(&server, &upload).await.json();
    assert_eq!(
        (&told["state"], &told["links"]["asset"]),
        (&json!("done"), &json!(path))
    );
    assert_eq!(told["requests"], json!([]), "nothing more may come");
    assert_eq!(server.originals(), 1);
    // The same bytes are kept once.
    let upload = begin(&server, &json!({ "bytes": 1000 })).await;
    let sent = bring_all(&upload, &server, &content).await;
    let other = complete(&server, &upload, &sent).await;
    assert_ne!(other.json()["id"], asset["id"]);
    assert_eq!(server.originals(), 1);
}

async fn a_large_file_in_parts_becomes_an_asset(server: Server) {
    let content = photo(2 * PART + 77);
    let wanted = json!({ "bytes": content.len(), "sha256": Sha256::of(&content).to_string() });
    let upload = begin(&server, &wanted).await;
    let parts: Vec<_> = upload["requests"].as_array().unwrap().iter().collect();
    let parts: Vec<_> = parts.iter().map(|r| r["part"].as_u64().unwrap()).collect();
    assert_eq!(parts, [1, 2, 3]);
    // Signed anew for who comes back later; a part may come again.
    let later = ask(&server, &upload).await.json();
    bring_all(&upload, &server, &content).await;
    let sent = bring_all(&later, &server, &content).await;
    let done = complete(&server, &upload, &sent).await;
    assert_eq!(done.status, 202, "{done:?}");
    assert_eq!(done.json()["sha256"], wanted["sha256"]);
    assert_eq!(done.json()["bytes"], content.len());
    assert_eq!(server.originals(), 1);
}

async fn what_has_not_come_is_told_and_can_follow(server: Server) {
    let content = photo(PART + 9);
    let upload = begin(&server, &json!({ "bytes": content.len() })).await;
    let none = json!({ "parts": [] });
    complete(&server, &upload, &none)
        .await
        .problem(400, "request.invalid");
    let guessed = json!({ "parts": [
        { "part": 1, "etag": "0123456789abcdef0123456789abcdef" },
        { "part": 2, "etag": "0123456789abcdef0123456789abcdef" },
    ] });
    let early = complete(&server, &upload, &guessed).await;
    early.problem(409, "upload.incomplete");
    assert_eq!(ask(&server, &upload).await.json()["state"], "open");
    let sent = bring_all(&upload, &server, &content).await;
    assert_eq!(complete(&server, &upload, &sent).await.status, 202);

    let upload = begin(&server, &json!({ "bytes": 5 })).await;
    let early = complete(&server, &upload, &json!({})).await;
    early.problem(409, "upload.incomplete");
    bring_all(&upload, &server, b"photo").await;
    let path = upload["links"]["complete"].as_str().unwrap();
    let done = server.send("POST", path, &[], "").await;
    assert_eq!(done.status, 202, "without a body as well: {done:?}");
}

async fn other_bytes_than_announced_are_refused(server: Server) {
    let wanted =
        json!({ "bytes": 5, "type": "image/jpeg", "sha256": Sha256::of(b"photo").to_string() });
    let upload = begin(&server, &wanted).await;
    let request = &upload["requests"][0];
    let status = async |change: &dyn Fn(&mut Value), body: &'static [u8]| {
        let mut request = request.clone();
        change(&mut request);
        bring(&request, &server, body).await.0
    };
    let same = |_: &mut Value| {};
    assert!(matches!(status(&same, b"pho").await, 400 | 403));
    assert!(matches!(status(&same, b"photos").await, 400 | 403));
    let other_type = |r: &mut Value| r["headers"]["content-type"] = json!("image/png");
    assert_eq!(status(&other_type, b"photo").await, 403);
    let other_place = |r: &mut Value| {
        let url = r["url"]
            .as_str()
            .unwrap()
            .replace("/v1/uploads/0", "/v1/uploads/1");
        r["url"] = json!(url.replace("Signature=", "Signature=0"));
    };
    assert!(matches!(status(&other_place, b"photo").await, 403 | 400));
    assert_eq!(status(&same, b"photo").await, 200);
    assert_eq!(status(&same, b"photo").await, 412, "not twice");
    assert_eq!(complete(&server, &upload, &json!({})).await.status, 202);
    let other = begin(&server, &wanted).await;
    let (refused, _) = bring(&other["requests"][0], &server, b"image").await;
    assert!(matches!(refused, 400 | 422), "{refused}");
    // The digest of the whole is not known of parts; it is found out at the end.
    let content = photo(PART + 1);
    let wanted = json!({ "bytes": content.len(), "sha256": "0".repeat(64) });
    let upload = begin(&server, &wanted).await;
    let sent = bring_all(&upload, &server, &content).await;
    let refused = complete(&server, &upload, &sent).await;
    refused.problem(422, "input.digest");
    complete(&server, &upload, &sent)
        .await
        .problem(422, "input.digest");
    let told = ask(&server, &upload).await.json();
    assert_eq!(
        (&told["state"], &told["error"]["code"]),
        (&json!("refused"), &json!("input.digest"))
    );
    for upload in [&upload, &other] {
        let path = upload["links"]["self"].as_str().unwrap();
        assert_eq!(server.send("DELETE", path, &[], "").await.status, 204);
    }
    assert_eq!(server.originals(), 1, "nothing of them was kept");
}

async fn what_is_not_taken_says_so_until_it_is_forgotten(server: Server) {
    for (wanted, status, code) in [
        (json!({ "bytes": 0 }), 422, "input.empty"),
        (json!({ "bytes": (20 << 20) + 1 }), 413, "limit.bytes"),
        (json!({ "bytes": u64::MAX }), 413, "limit.bytes"),
        (json!({ "bytes": -1 }), 400, "request.invalid"),
        (json!({}), 400, "request.invalid"),
        (
            json!({ "bytes": 5, "color": "red" }),
            400,
            "request.invalid",
        ),
        (
            json!({ "bytes": 5, "sha256": "abc" }),
            400,
            "request.invalid",
        ),
        (
            json!({ "bytes": 5, "type": "image/jpeg\r\nx: y" }),
            400,
            "request.invalid",
        ),
        (
            json!({ "bytes": 5, "title": "x".repeat(1000) }),
            422,
            "limit.metadata",
        ),
    ] {
        let answer = server.post("/v1/uploads", &wanted.to_string()).await;
        answer.problem(status, code);
    }
    let upload = begin(&server, &json!({ "bytes": 5 })).await;
    let sent = bring_all(&upload, &server, b"<svg>").await;
    let refused = complete(&server, &upload, &sent).await;
    refused.problem(415, "input.unsupported");
    assert_eq!(ask(&server, &upload).await.json()["state"], "refused");
    assert_eq!(server.originals(), 0);

    let upload = begin(&server, &json!({ "bytes": 5 })).await;
    let path = upload["links"]["self"].as_str().unwrap();
    bring_all(&upload, &server, b"photo").await;
    assert_eq!(server.send("DELETE", path, &[], "").await.status, 204);
    assert_eq!(server.originals(), 0);
    server.get(path).await.problem(404, "upload.not_found");
    let gone = complete(&server, &upload, &json!({})).await;
    gone.problem(404, "upload.not_found");
    // Each way has addresses of its own.
    let upload = begin(&server, &json!({ "bytes": 5 })).await;
    let id = upload["id"].as_str().unwrap();
    let tus = ["tus-resumable: 1.0.0"];
    let head = server
        .send("HEAD", &format!("/v1/tus/{id}"), &tus, "")
        .await;
    assert_eq!(head.status, 404);
    let ended = server
        .send("DELETE", &format!("/v1/tus/{id}"), &tus, "")
        .await;
    ended.problem(404, "upload.not_found");
    assert_eq!(ask(&server, &upload).await.json()["state"], "open");
}

async fn of_two_completions_at_once_one_makes_the_asset(server: Server) {
    let content = photo(300_000);
    let upload = begin(&server, &json!({ "bytes": content.len() })).await;
    let sent = bring_all(&upload, &server, &content).await;
    let answers = (0..4).map(|_| complete(&server, &upload, &sent));
    let answers = futures_util::future::join_all(answers).await;
    let made: Vec<_> = answers
        .iter()
        .map(|answer| answer.json()["id"].clone())
        .collect();
    assert!(
        answers.iter().all(|answer| answer.status == 202),
        "{answers:?}"
    );
    assert!(made.iter().all(|id| id == &made[0]), "{made:?}");
    let items = server.get("/v1/assets").await.json()["items"].clone();
    assert_eq!(items.as_array().unwrap().len(), 1);
    assert_eq!(server.originals(), 1);
}

async fn what_nobody_completes_is_collected(server: Server) {
    let content = photo(PART + 1);
    let begun = [5, content.len()];
    let mut uploads = Vec::new();
    for bytes in begun {
        let upload = begin(&server, &json!({ "bytes": bytes })).await;
        bring_all(&upload, &server, &content[..bytes]).await;
        uploads.push(upload);
    }
    server.world.pass(Duration::from_secs(25 * 3600));
    server.expire().await;
    for upload in &uploads {
        ask(&server, upload).await.problem(404, "upload.not_found");
    }
    assert_eq!(server.originals(), 0);
}

async fn whoever_stopped_looking_is_followed_by_another(server: Server) {
    let upload = begin(&server, &json!({ "bytes": 5 })).await;
    bring_all(&upload, &server, b"photo").await;
    let id = upload["id"].as_str().unwrap().parse().unwrap();
    let taken = server
        .store
        .take_upload(crate::given::TENANT, id)
        .await
        .unwrap();
    // Another process has begun, and died.
    let advance = Advance {
        bytes: 0,
        length: Some(5),
        progress: taken.progress.clone(),
        state: UploadState::Checking,
        kept: Duration::from_secs(60),
    };
    let noted = server.store.advance_upload(id, taken.fence, advance);
    noted.await.unwrap();
    let waiting = complete(&server, &upload, &json!({})).await;
    assert_eq!(
        (waiting.status.as_u16(), &waiting.json()["state"]),
        (202, &json!("checking"))
    );
    assert_eq!(waiting.header("location"), upload["links"]["self"]);
    // Its bytes have waited for longer than its lease.
    server.world.pass(Duration::from_secs(61));
    server.expire().await;
    let began = Instant::now();
    while ask(&server, &upload).await.json()["state"] != "done" {
        assert!(
            began.elapsed() < PATIENCE,
            "{:?}",
            ask(&server, &upload).await
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn what_has_come_is_not_sent_again_in_vain() {
    let server = server(false);
    let upload = begin(&server, &json!({ "bytes": 5 })).await;
    let request = &upload["requests"][0];
    assert_eq!(bring(request, &server, b"photo").await.0, 200);
    let url = request["url"].as_str().unwrap();
    let path = url.strip_prefix("http://127.0.0.1:8080").unwrap();
    let nothing_yet = stream::pending::<Result<Bytes, Infallible>>();
    let body = Body::from_stream(nothing_yet);
    let again = server.send("PUT", path, &["content-length: 5"], body).await;
    again.problem(412, "upload.exists");
}

#[tokio::test]
async fn pages_of_listed_sites_may_upload_here_as_well() {
    let mut wish = Wish {
        is_open: false,
        ..Wish::default()
    };
    wish.config.upload_origins = vec!["https://shop.example".into()];
    let server = Server::with(wish);
    let asks = [
        "origin: https://shop.example",
        "access-control-request-method: POST",
    ];
    for path in [
        "/v1/uploads",
        "/v1/uploads/x/complete",
        "/v1/uploads/x/bytes?y=z",
    ] {
        let answer = server.send("OPTIONS", path, &asks, "").await;
        assert_eq!(
            answer.header("access-control-allow-origin"),
            "https://shop.example"
        );
        assert!(
            answer
                .header("access-control-allow-methods")
                .contains("PUT")
        );
    }
    let answer = server.send("POST", "/v1/uploads", &[], "").await;
    answer.problem(401, "auth.missing");
}
