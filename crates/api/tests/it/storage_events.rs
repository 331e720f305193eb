//! Storage events whose bucket breaks off.

use crate::given::Wish;
use crate::imports::{PATIENCE, content};
use crate::web::{Web, bytes, head};
use mediaflow_core::Sha256;
use mediaflow_engine::services::Services;
use mediaflow_engine::{StorageEventsConfig, StorageSource};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

#[tokio::test]
async fn an_object_that_breaks_off_goes_on_where_it_was() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let whole = Arc::new(content(6));
    let served = Arc::clone(&whole);
    let bucket = Web::start(move |asked| {
        let start = asked.start();
        let rest = &served[start..];
        let length = format!("Content-Length: {}", rest.len());
        let range = format!(
            "Content-Range: bytes {start}-{}/{}",
            served.len() - 1,
            served.len()
        );
        let mut lines = vec![
            length.as_str(),
            "ETag: \"one\"",
            "Last-Modified: Tue, 15 Nov 1994 12:45:26 GMT",
        ];
        if start > 0 {
            lines.push(&range);
        }
        let status = if start > 0 { 206 } else { 200 };
        // Twice it ends early.
        let sent = match asked.before {
            0 | 1 => &rest[..90_000],
            _ => rest,
        };
        vec![head(status, &lines), bytes(sent)]
    })
    .await;
    let config = StorageEventsConfig {
        endpoint: Some(bucket.url("")),
        access_key_id: Some("key".into()),
        secret_access_key: Some("secret".into()),
        ..serde_json::from_value(
            json!({ "name": "camera", "bucket": "s3://camera", "token": TOKEN }),
        )
        .unwrap()
    };
    let source = StorageSource::open(&config, None).unwrap();
    let server = crate::given::Server::with(Wish {
        storage_sources: vec![source],
        ..Wish::default()
    });
    let _services = Services::start(&server.engine, &server.stopping);
    let event = json!({ "Records": [{
        "eventName": "s3:ObjectCreated:Put",
        "s3": { "bucket": { "name": "camera" }, "object": { "key": "a/b.jpg", "eTag": "one", "size": whole.len() } },
    }] });
    let headers = [
        "content-type: application/json",
        &format!("authorization: Bearer {TOKEN}"),
    ];
    let posted = server.send("POST", "/v1/storage-events", &headers, event.to_string());
    assert_eq!(posted.await.status, 200);
    let began = Instant::now();
    let asset = loop {
        let assets = server.get("/v1/assets").await.json();
        if let Some(asset) = assets["items"].get(0) {
            break server.asset(asset["id"].as_str().unwrap()).await;
        }
        assert!(began.elapsed() < PATIENCE, "{:#?}", bucket.asked());
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(asset["original"]["sha256"], Sha256::of(&whole).to_string());
    let asked = bucket.asked();
    let ranges: Vec<_> = asked.iter().map(|asked| asked.header("range")).collect();
    assert_eq!(ranges, ["", "bytes=90000-", "bytes=180000-"]);
    assert!(
        asked
            .iter()
            .all(|asked| asked.header("if-match") == "\"one\"")
    );
}
