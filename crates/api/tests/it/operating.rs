//! What operators look at: what is kept, how the server is configured, and who outside is told.

use crate::given::{Server, Wish};
use mediaflow_api::{Origin, Setting};
use mediaflow_engine::broker::Outlet;
use mediaflow_engine::services::purge_due;
use mediaflow_engine::{CdnConfig, CdnDriver};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

fn held(stock: &Value, sort: &str) -> (u64, u64) {
    let all = stock["held"].as_array().unwrap().iter();
    let of = all.filter(|held| held["sort"] == sort);
    of.fold((0, 0), |(files, bytes), held| {
        let number = |name: &str| held[name].as_u64().unwrap();
        (files + number("files"), bytes + number("bytes"))
    })
}

#[tokio::test]
async fn storage_tells_what_is_kept_saved_and_about_to_go() {
    let server = Server::new();
    server.ready("the same", "").await;
    server.ready("the same", "").await;
    let gone = server.ready("something else", "").await;
    assert_eq!(
        server
            .send("DELETE", &format!("/v1/assets/{gone}"), &[], "")
            .await
            .status,
        204
    );
    let answer = server.get("/v1/storage").await.json();
    assert_eq!(answer["counting"], Value::Null);
    assert!(answer["free_bytes"].as_u64().unwrap() > 0);
    assert_eq!(answer["unreferenced_s"], 3600);
    let stock = &answer["stock"];
    assert!(stock["measured_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(held(stock, "original"), (2, 16));
    let (renditions, bytes) = held(stock, "rendition");
    assert!(renditions >= 12, "{stock}");
    let number = |of: &str, what: &str| stock[of][what].as_u64().unwrap();
    // What the third left, and everything else once.
    let referenced = number("stored", "bytes") - number("unreferenced", "bytes");
    assert_eq!(stock["saved_bytes"], 16 + bytes - referenced);
    assert!(stock["saved_bytes"].as_u64().unwrap() >= 8);
    assert!(number("unreferenced", "files") > 1);
    assert_eq!(stock["condemned"], json!({ "files": 0, "bytes": 0 }));
    assert!(stock["database_bytes"].as_u64().unwrap() > 0);
    // It is believed for a minute.
    server.ready("a third", "").await;
    let again = server.get("/v1/storage").await.json();
    assert_eq!(again["stock"], answer["stock"]);
}

#[tokio::test]
async fn uploads_under_way_are_part_of_what_is_kept() {
    let server = Server::new();
    let headers = ["tus-resumable: 1.0.0", "upload-length: 10"];
    let opened = server.send("POST", "/v1/tus", &headers, "").await;
    let headers = [
        "tus-resumable: 1.0.0",
        "upload-offset: 0",
        "content-type: application/offset+octet-stream",
    ];
    let path = opened.header("location").to_owned();
    let path = path.strip_prefix("http://127.0.0.1:8080").unwrap_or(&path);
    assert_eq!(
        server.send("PATCH", path, &headers, "12345").await.status,
        204
    );
    let stock = server.get("/v1/storage").await.json()["stock"].take();
    assert_eq!(stock["arriving"], json!({ "files": 1, "bytes": 5 }));
    assert_eq!(stock["held"], json!([]));
}

#[tokio::test]
async fn settings_are_told_as_they_were_wired() {
    let server = Server::with(Wish {
        settings: vec![Setting {
            name: "worker.cpu".into(),
            value: json!(4),
            default: json!(2),
            origin: Origin::File,
            meaning: "How many.".into(),
        }],
        ..Wish::default()
    });
    let answer = server.get("/v1/settings").await.json();
    assert_eq!(answer["process"], "test:1");
    let setting = json!({ "name": "worker.cpu", "value": 4, "default": 2, "origin": "file", "meaning": "How many." });
    assert_eq!(answer["settings"], json!([setting]));
}

async fn outlets(server: &Server) -> [Value; 2] {
    let mut answer = server.get("/v1/outlets").await.json();
    let [events, cdn] = [0, 1].map(|n| answer["outlets"][n].take());
    assert_eq!(
        (&events["name"], &cdn["name"]),
        (&json!("events"), &json!("cdn"))
    );
    [events, cdn]
}

#[tokio::test]
async fn without_anything_configured_nobody_is_told() {
    let server = Server::new();
    server.ready("photo", "").await;
    for outlet in outlets(&server).await {
        assert_eq!(outlet["state"], "off");
        assert_eq!(outlet["via"], Value::Null);
        assert_eq!(outlet["waiting"], 0);
    }
}

#[tokio::test]
async fn events_wait_and_say_why() {
    // Nobody listens there.
    let nowhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = nowhere.local_addr().unwrap();
    drop(nowhere);
    let outlet = Outlet::open(&format!("redis://user:hidden@{address}")).unwrap();
    let server = Server::with(Wish {
        outlet: Some(outlet.clone()),
        ..Wish::default()
    });
    server.ready("photo", "").await;
    let [events, _] = outlets(&server).await;
    assert_eq!(
        (&events["state"], &events["via"]),
        (&json!("well"), &json!("redis"))
    );
    assert!(events["waiting"].as_u64().unwrap() > 3);
    assert!(events["waiting_since"].as_str().unwrap().ends_with('Z'));
    assert_eq!(events["last_failure"], Value::Null);
    let event = mediaflow_engine::broker::Event {
        topic: "ingest",
        asset: uuid::Uuid::nil().into(),
        id: uuid::Uuid::nil(),
        kind: "asset.accepted",
        body: String::new(),
    };
    outlet.send(&[event]).await.unwrap_err();
    let [events, _] = outlets(&server).await;
    assert_eq!(
        (&events["state"], &events["failures"]),
        (&json!("failing"), &json!(1))
    );
    let failure = &events["last_failure"];
    assert!(failure["at"].as_str().unwrap().ends_with('Z'));
    let why = failure["why"].as_str().unwrap();
    assert!(!why.is_empty() && !why.contains("hidden"), "{why}");
}

/// Answers every request with this status.
async fn cache(listener: TcpListener, status: &'static str) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).await.unwrap();
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        stream.write_all(answer.as_bytes()).await.unwrap();
    }
}

#[tokio::test]
async fn a_cache_that_does_not_forget_is_told_of() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answering = tokio::spawn(cache(listener, "503 Busy"));
    let server = Server::with(Wish {
        cdn: CdnConfig {
            driver: CdnDriver::Http,
            url: Some(format!("http://{address}")),
            purge_token: None,
        },
        ..Wish::default()
    });
    let id = server.ready("photo", "").await;
    let [_, cdn] = outlets(&server).await;
    assert_eq!(
        (&cdn["state"], &cdn["via"]),
        (&json!("well"), &json!("http"))
    );
    let path = format!("/v1/assets/{id}");
    assert_eq!(server.send("DELETE", &path, &[], "").await.status, 204);
    let purge = async || {
        let environment = server.engine.environment();
        let tried = purge_due(&*server.store, &*server.engine, &**environment).await;
        assert_eq!(tried.unwrap(), 1);
    };
    purge().await;
    let [_, cdn] = outlets(&server).await;
    assert_eq!(cdn["state"], "failing");
    assert_eq!((&cdn["waiting"], &cdn["retrying"]), (&json!(1), &json!(1)));
    let why = cdn["last_failure"]["why"].as_str().unwrap();
    assert!(why.contains("503") && why.contains("PURGE"), "{why}");
    assert!(cdn["waiting_since"].is_string());

    answering.abort();
    let _ = answering.await;
    let listener = TcpListener::bind(address).await.unwrap();
    tokio::spawn(cache(listener, "200 OK"));
    server.world.pass(std::time::Duration::from_secs(600));
    purge().await;
    let [_, cdn] = outlets(&server).await;
    assert_eq!(
        (&cdn["state"], &cdn["waiting"], &cdn["told"]),
        (&json!("well"), &json!(0), &json!(1))
    );
    assert!(cdn["last_failure"].is_object(), "it is remembered");
}
