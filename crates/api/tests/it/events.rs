//! Histories as pages and as streams.

use crate::given::{Server, Wish};
use axum::body::{Body, BodyDataStream};
use axum::http::Request;
use futures_util::StreamExt as _;
use mediaflow_api::ApiConfig;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::timeout;

/// A stream of events under way.
struct Stream {
    body: BodyDataStream,
    text: String,
}

impl Stream {
    async fn open(server: &Server, path: &str, headers: &[(&str, &str)]) -> Self {
        let mut request = Request::get(path).header("accept", "text/event-stream");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = server.open(request.body(Body::empty()).unwrap()).await;
        assert_eq!(response.status(), 200);
        for (name, value) in [
            ("content-type", "text/event-stream"),
            ("cache-control", "no-cache, no-transform"),
            ("x-accel-buffering", "no"),
        ] {
            assert_eq!(response.headers()[name], value);
        }
        Self {
            body: response.into_body().into_data_stream(),
            text: String::new(),
        }
    }

    /// The next block that is not a comment: its id and its event.
    async fn next(&mut self) -> Option<(u64, Value)> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                let field = |name: &str| {
                    block
                        .lines()
                        .find_map(|l| l.strip_prefix(name).map(str::to_owned))
                };
                let Some(data) = field("data: ") else {
                    continue;
                };
                let id = field("id: ").unwrap().parse().unwrap();
                return Some((id, serde_json::from_str(&data).unwrap()));
            }
            let piece = timeout(Duration::from_secs(20), self.body.next())
                .await
                .unwrap()?;
            self.text
                .push_str(std::str::from_utf8(&piece.unwrap()).unwrap());
        }
    }

    async fn until(&mut self, kind: &str) -> Vec<u64> {
        let mut ids = Vec::new();
        loop {
            let (id, event) = self.next().await.unwrap();
            ids.push(id);
            if event["type"] == kind {
                return ids;
            }
        }
    }
}

#[tokio::test]
async fn a_history_is_pages_of_cloud_events() {
    let server = Server::new();
    let id = server.ready("photo", "").await;
    let path = format!("/v1/assets/{id}/events");
    let page = server.get(&format!("{path}?limit=200")).await.json();
    let items = page["items"].as_array().unwrap();
    let types: Vec<&str> = items.iter().map(|e| e["type"].as_str().unwrap()).collect();
    assert_eq!(types[0], "asset.accepted");
    for kind in [
        "task.succeeded",
        "task.skipped",
        "moderation.decided",
        "asset.viewable",
        "asset.ready",
    ] {
        assert!(types.contains(&kind), "{kind} of {types:?}");
    }
    let asset = server.asset(&id).await;
    for (i, event) in items.iter().enumerate() {
        assert_eq!(event["specversion"], "1.0");
        assert_eq!(event["source"], "/mediaflow");
        assert_eq!(event["subject"], *id);
        assert_eq!(event["datacontenttype"], "application/json");
        assert_eq!(event["sequence"], (i + 1).to_string());
        assert_eq!(event["correlationid"], asset["correlation_id"]);
        assert!(event["data"].is_object());
        let time = event["time"].as_str().unwrap();
        assert!(mediaflow_core::Timestamp::parse_rfc3339(time).is_some());
    }
    assert_eq!(page["next_cursor"], items.len().to_string());
    let rest = server.get(&format!("{path}?after=3&limit=1")).await.json();
    assert_eq!(
        (&rest["items"][0]["sequence"], &rest["next_cursor"]),
        (&json!("4"), &json!("4"))
    );
    let end = server
        .get(&format!("{path}?after={}", items.len()))
        .await
        .json();
    assert_eq!(
        (&end["items"], &end["next_cursor"]),
        (&json!([]), &json!(items.len().to_string()))
    );
}

#[tokio::test]
async fn the_feed_of_all_is_resumed_by_position() {
    let server = Server::new();
    let (a, b) = (server.upload("a", "").await, server.upload("b", "").await);
    let page = server.get("/v1/events?limit=1").await.json();
    assert_eq!(page["items"][0]["subject"], *a);
    assert_eq!(page["next_cursor"], page["items"][0]["position"]);
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = server
        .get(&format!("/v1/events?after={cursor}"))
        .await
        .json();
    let rest = rest["items"].as_array().unwrap();
    assert!(rest.iter().all(|e| e["id"] != page["items"][0]["id"]));
    assert!(
        rest.iter()
            .any(|e| e["subject"] == *b && e["type"] == "asset.accepted")
    );
    let latest = server.get("/v1/events?after=latest").await.json();
    assert_eq!(latest["items"], json!([]));
}

#[tokio::test]
async fn who_was_away_for_longer_than_events_are_kept_is_told() {
    let server = Server::new();
    let id = server.ready("photo", "").await;
    let end = server.store.feed_end().await.unwrap();
    let pruned = server.store.prune_events(Duration::ZERO, &[]).await;
    assert!(!pruned.unwrap());
    let wanted = ["accept: text/event-stream"];
    for path in [
        "/v1/events?after=1",
        &format!("/v1/assets/{id}/events?after=1"),
    ] {
        server.get(path).await.problem(410, "events.pruned");
        let stream = server.get_with(path, &wanted).await;
        stream.problem(410, "events.pruned");
    }
    let rest = server.get("/v1/events").await.json();
    assert_eq!(rest["items"].as_array().unwrap().len(), 1, "the newest");
    assert_eq!(rest["next_cursor"], end.to_string());
    server
        .get(&format!("/v1/events?after={}", end - 1))
        .await
        .json();
}

#[tokio::test]
async fn a_stream_tells_what_was_and_then_what_happens() {
    let server = Server::new();
    let id = server.upload("photo", "").await;
    let mut stream = Stream::open(&server, &format!("/v1/assets/{id}/events"), &[]).await;
    let (first, event) = stream.next().await.unwrap();
    assert_eq!((first, &event["type"]), (1, &json!("asset.accepted")));
    server.upload("somebody else's", "").await;
    let (ids, ()) = tokio::join!(stream.until("asset.ready"), server.work());
    let expected: Vec<u64> = (2..=ids.len() as u64 + 1).collect();
    assert_eq!(ids, expected);
}

#[tokio::test]
async fn a_stream_goes_on_where_its_client_was() {
    let server = Server::new();
    let id = server.ready("photo", "").await;
    let path = format!("/v1/assets/{id}/events");
    let mut by_header = Stream::open(
        &server,
        &format!("{path}?after=1"),
        &[("last-event-id", "3")],
    )
    .await;
    assert_eq!(by_header.next().await.unwrap().0, 4);
    let mut by_query = Stream::open(&server, &format!("{path}?after=2"), &[]).await;
    assert_eq!(by_query.next().await.unwrap().0, 3);
    let mut feed = Stream::open(&server, "/v1/events?after=latest", &[]).await;
    let other = server.upload("other", "").await;
    let (position, event) = feed.next().await.unwrap();
    assert_eq!(
        (&event["subject"], &event["type"]),
        (&json!(other), &json!("asset.accepted"))
    );
    assert_eq!(event["position"], position.to_string());
}

#[tokio::test]
async fn streams_end_when_the_server_stops() {
    let server = Server::new();
    let mut stream = Stream::open(&server, "/v1/events", &[]).await;
    server.stopping.cancel();
    assert_eq!(stream.next().await, None);
}

#[tokio::test]
async fn there_are_only_so_many_streams() {
    let config = ApiConfig {
        event_streams_max: 1,
        ..ApiConfig::default()
    };
    let server = Server::with(Wish {
        config,
        ..Wish::default()
    });
    let first = Stream::open(&server, "/v1/events", &[]).await;
    let wanted = ["accept: text/event-stream"];
    let answer = server.get_with("/v1/events", &wanted).await;
    answer.problem(429, "limit.rate");
    assert_eq!(answer.header("retry-after"), "2");
    let metrics = server.get("/metrics").await;
    assert!(metrics.text().contains("mediaflow_http_event_streams 1\n"));
    drop(first);
    Stream::open(&server, "/v1/events", &[]).await;
}

#[tokio::test]
async fn cursors_that_make_no_sense() {
    let server = Server::new();
    for query in [
        "after=x",
        "after=-1",
        "after=99999999999999999999",
        "limit=0",
        "cursor=1",
    ] {
        let answer = server.get(&format!("/v1/events?{query}")).await;
        answer.problem(400, "request.invalid");
    }
    let answer = server.get_with("/v1/events", &["last-event-id: x"]).await;
    assert!(
        answer
            .problem(400, "request.invalid")
            .contains("Last-Event-ID")
    );
    let wanted = ["accept: text/event-stream"];
    let nobody = "/v1/assets/01920000-0000-7000-8000-000000000001/events";
    server
        .get_with(nobody, &wanted)
        .await
        .problem(404, "asset.not_found");
}
