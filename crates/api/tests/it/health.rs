//! Health, readiness, metrics, and what stands at `/`.

use crate::given::{Server, Wish};
use mediaflow_engine::UploadLimits;
use serde_json::json;

#[tokio::test]
async fn alive_and_ready() {
    let server = Server::new();
    assert_eq!(
        server.get("/healthz").await.json(),
        json!({ "status": "ok" })
    );
    let answer = server.get("/readyz").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["status"], "ready");
    assert_eq!(answer.json()["checks"]["store"]["ok"], true);
    let landing = server.get("/").await.json();
    assert_eq!(landing["name"], "MediaFlow");
    for path in landing["links"].as_object().unwrap().values() {
        assert_eq!(
            server.get(path.as_str().unwrap()).await.status,
            200,
            "{path}"
        );
    }
}

#[tokio::test]
async fn not_ready_says_why() {
    let limits = UploadLimits {
        free_bytes_min: u64::MAX,
        ..UploadLimits::default()
    };
    let server = Server::with(Wish {
        limits,
        ..Wish::default()
    });
    let answer = server.get("/readyz").await;
    assert_eq!(answer.status, 503);
    let json = answer.json();
    assert_eq!(
        (&json["status"], &json["checks"]["disk"]["ok"]),
        (&json!("not_ready"), &json!(false))
    );
    assert!(
        json["checks"]["disk"]["reason"]
            .as_str()
            .unwrap()
            .contains("free")
    );
    let since = &json["checks"]["disk"]["since"];
    assert!(since.is_string() && json["checks"]["store"]["since"].is_null());
    let later = server.get("/readyz").await.json();
    assert_eq!(&later["checks"]["disk"]["since"], since);
    assert_eq!(server.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn a_server_that_stops_is_not_ready() {
    let server = Server::new();
    server.stopping.cancel();
    assert_eq!(server.get("/readyz").await.status, 503);
}

#[tokio::test]
async fn metrics_show_what_waits_and_what_was_done() {
    let server = Server::new();
    server.ready("photo", "").await;
    server.upload("waiting", "").await;
    let answer = server.get("/metrics").await;
    assert_eq!(
        answer.header("content-type"),
        "text/plain; version=0.0.4; charset=utf-8"
    );
    let text = answer.text();
    for line in [
        "mediaflow_assets{state=\"ready\"} 1\n",
        "mediaflow_assets{state=\"uploaded\"} 1\n",
        "mediaflow_queue_ready{queue=\"image\"} 1\n",
        "mediaflow_upload_bytes_total 12\n",
        "mediaflow_http_requests_total{method=\"POST\",route=\"/v1/assets\",status=\"202\"} 2\n",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    let wanted = ["accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5"];
    let open = server.get_with("/metrics", &wanted).await;
    assert!(
        open.header("content-type")
            .starts_with("application/openmetrics-text")
    );
    assert!(open.text().ends_with("# EOF\n"));
}
