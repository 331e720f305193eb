//! `POST /v1/assets` with the file as the body.

use crate::given::{Server, TENANT, Wish};
use axum::body::Body;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use mediaflow_core::Sha256;
use mediaflow_engine::UploadLimits;
use mediaflow_engine::store::Search;
use serde_json::json;

async fn assets(server: &Server) -> usize {
    let search = Search {
        limit: 200,
        ..Search::default()
    };
    server
        .store
        .search(TENANT, &search)
        .await
        .unwrap()
        .items
        .len()
}

#[tokio::test]
async fn a_body_is_accepted_before_any_processing() {
    let server = Server::new();
    let answer = server
        .send("POST", "/v1/assets?filename=a.jpg", &[], "photo")
        .await;
    assert_eq!(answer.status, 202);
    let json = answer.json();
    let id = json["id"].as_str().unwrap();
    assert_eq!(answer.header("location"), format!("/v1/assets/{id}"));
    assert_eq!(json["state"], "uploaded");
    assert_eq!(json["bytes"], 5);
    assert_eq!(json["media_type"], "image/jpeg");
    assert_eq!(json["sha256"], Sha256::of(b"photo").to_string());
    assert_eq!(json["correlation_id"], answer.header("x-correlation-id"));
    for (name, end) in [("self", ""), ("events", "/events"), ("tasks", "/tasks")] {
        assert_eq!(json["links"][name], format!("/v1/assets/{id}{end}"));
        let linked = server.get(json["links"][name].as_str().unwrap()).await;
        assert_eq!(linked.status, 200, "{name}");
    }
}

#[tokio::test]
async fn options_are_the_query() {
    let server = Server::new();
    let query = "filename=..%2F..%2Fetc%2Fsea.jpg&title=At%20the%20sea&tags=summer,%20sea&tags=2026\
        &metadata=%7B%22album%22%3A7%7D&visibility=private&watermark=true&focus=0.25,0.75&recipe=image";
    let id = server.upload("photo", query).await;
    let asset = server.asset(&id).await;
    assert_eq!(asset["original"]["filename"], "sea.jpg");
    assert_eq!(asset["title"], "At the sea");
    assert_eq!(asset["tags"], json!(["summer", "sea", "2026"]));
    assert_eq!(asset["metadata"], json!({ "album": 7 }));
    assert_eq!(asset["visibility"], "private");
    assert_eq!(asset["watermark"], true);
    assert_eq!(asset["focus"], json!({ "x": 0.25, "y": 0.75 }));
}

#[tokio::test]
async fn options_that_make_no_sense_are_named_and_nothing_is_kept() {
    let server = Server::new();
    for (query, name) in [
        ("colour=red", "colour"),
        ("title=a&title=b", "title"),
        ("metadata=7", "metadata"),
        ("metadata=%7B", "metadata"),
        ("visibility=secret", "visibility"),
        ("watermark=maybe", "watermark"),
        ("focus=1", "focus"),
        ("focus=0.5,1.5", "focus"),
        ("focus=NaN,0", "focus"),
        ("sha256=abc", "sha256"),
        ("tags=a,,b", "tag"),
    ] {
        let path = format!("/v1/assets?{query}");
        let answer = server.send("POST", &path, &[], "photo").await;
        let detail = answer.problem(400, "request.invalid");
        assert!(detail.contains(name), "{query}: {detail}");
    }
    assert_eq!(assets(&server).await, 0);
}

#[tokio::test]
async fn files_that_are_not_taken() {
    let server = Server::new();
    let post = async |query: &str, body: &str| {
        let path = format!("/v1/assets?{query}");
        server.send("POST", &path, &[], body.to_owned()).await
    };
    post("", "").await.problem(422, "input.empty");
    post("", "<svg/>").await.problem(415, "input.unsupported");
    let other = Sha256::of(b"other");
    let answer = post(&format!("sha256={other}"), "photo").await;
    assert!(
        answer
            .problem(422, "input.digest")
            .contains(&other.to_string())
    );
    let detail = post("recipe=none", "photo")
        .await
        .problem(422, "recipe.unknown");
    assert!(
        detail.contains("there are: audio, image, video"),
        "{detail}"
    );
    let long = "x".repeat(501);
    post(&format!("title={long}"), "photo")
        .await
        .problem(422, "limit.metadata");
    let right = Sha256::of(b"photo");
    assert_eq!(post(&format!("sha256={right}"), "photo").await.status, 202);
    assert_eq!(assets(&server).await, 1);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_by_its_length_or_on_the_way() {
    let server = Server::new();
    let long = ["content-length: 5000000"];
    let answer = server.send("POST", "/v1/assets", &long, "x").await;
    answer.problem(413, "limit.bytes");
    let pieces =
        stream::iter((0..5).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![1; 1 << 20]))));
    let answer = server
        .send("POST", "/v1/assets", &[], Body::from_stream(pieces))
        .await;
    answer.problem(413, "limit.bytes");
    assert_eq!(assets(&server).await, 0);
}

#[tokio::test]
async fn the_beginning_of_what_is_not_taken_is_enough() {
    let server = Server::new();
    let beginning = Ok::<_, std::io::Error>(Bytes::from(format!("<{}", " ".repeat(200_000))));
    let pieces = stream::iter([beginning]).chain(stream::pending());
    let answer = server
        .send("POST", "/v1/assets", &[], Body::from_stream(pieces))
        .await;
    answer.problem(415, "input.unsupported");
    assert_eq!(server.writes_under_way(), 0);
}

#[tokio::test]
async fn a_body_that_breaks_off_leaves_nothing() {
    let server = Server::new();
    let pieces = [Ok(Bytes::from("half")), Err(std::io::Error::other("gone"))];
    let body = Body::from_stream(stream::iter(pieces));
    let answer = server.send("POST", "/v1/assets", &[], body).await;
    answer.problem(400, "input.interrupted");
    assert_eq!(assets(&server).await, 0);
    assert_eq!(server.writes_under_way(), 0);
}

#[tokio::test]
async fn a_body_that_stops_arriving_is_not_waited_for() {
    let limits = UploadLimits {
        idle_s_max: 1,
        free_bytes_min: 0,
        ..UploadLimits::default()
    };
    let server = Server::with(Wish {
        limits,
        ..Wish::default()
    });
    let body = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
    let answer = server.send("POST", "/v1/assets", &[], body).await;
    answer.problem(408, "request.timeout");
}

#[tokio::test]
async fn a_full_disk_refuses_uploads_and_nothing_else() {
    let limits = UploadLimits {
        free_bytes_min: u64::MAX,
        ..UploadLimits::default()
    };
    let server = Server::with(Wish {
        limits,
        ..Wish::default()
    });
    let answer = server.send("POST", "/v1/assets", &[], "photo").await;
    assert!(answer.problem(507, "limit.storage").contains("free"));
    assert_eq!(server.get("/v1/assets").await.status, 200);
}

#[tokio::test]
async fn a_repeat_with_the_same_key_is_answered_with_the_first_asset() {
    let server = Server::new();
    let send = async |body: &str| {
        let key = ["idempotency-key: order 7"];
        server
            .send("POST", "/v1/assets?title=a", &key, body.to_owned())
            .await
    };
    let first = send("photo").await;
    let second = send("photo").await;
    assert_eq!((first.status.as_u16(), second.status.as_u16()), (202, 202));
    assert_eq!(first.json()["id"], second.json()["id"]);
    assert_eq!(first.header("location"), second.header("location"));
    assert_eq!(first.header("idempotency-replayed"), "");
    assert_eq!(second.header("idempotency-replayed"), "true");
    send("other").await.problem(422, "idempotency.mismatch");
    assert_eq!(assets(&server).await, 1);
    let long = format!("idempotency-key: {}", "x".repeat(256));
    let answer = server.send("POST", "/v1/assets", &[&long], "photo").await;
    answer.problem(400, "request.invalid");
}

#[tokio::test]
async fn the_same_bytes_twice_are_two_assets() {
    let server = Server::new();
    let (a, b) = (
        server.upload("photo", "").await,
        server.upload("photo", "").await,
    );
    assert_ne!(a, b);
}

#[tokio::test]
async fn the_correlation_id_follows_the_asset() {
    let server = Server::new();
    let id = ["x-correlation-id: order-17/photo.3"];
    let answer = server.send("POST", "/v1/assets", &id, "photo").await;
    assert_eq!(answer.header("x-correlation-id"), "order-17/photo.3");
    let asset = server.asset(answer.json()["id"].as_str().unwrap()).await;
    assert_eq!(asset["correlation_id"], "order-17/photo.3");
    let trace = ["traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"];
    let answer = server.get_with("/healthz", &trace).await;
    assert_eq!(
        answer.header("x-correlation-id"),
        "4bf92f3577b34da6a3ce929d0e0e4736"
    );
    let unfit = ["x-correlation-id: a b"];
    let made = server.get_with("/healthz", &unfit).await;
    assert_eq!(made.header("x-correlation-id").len(), 32);
}
