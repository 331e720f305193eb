//! One trace from the upload through every task on every worker to the last event, as a collector sees it.

use crate::given;
use crate::pictures::{photo, torn_badge};
use crate::server::{Classifier, PATIENCE, Server, run, stderr, stdout};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use mediaflow_core::trace::TraceId;
use mediaflow_servers::Redis;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode as Outcome;
use prost::Message as _;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

/// A span, and which process sent it.
type Sent = (String, Span);

/// What stands for a collector: it takes OTLP over HTTP and keeps everything.
#[derive(Clone, Default)]
struct Collector {
    sent: Arc<Mutex<Vec<Sent>>>,
    url: String,
}

impl Collector {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let new = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            ..Self::default()
        };
        let routes = Router::new()
            .route("/v1/traces", post(take))
            .route("/hook", post(async || "Thanks"))
            .with_state(new.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        new
    }

    /// The spans of a trace, once `done` says that they are all there.
    async fn trace(&self, id: TraceId, done: impl Fn(&[Sent]) -> bool) -> Vec<Sent> {
        let began = Instant::now();
        loop {
            let all = self.sent.lock().unwrap().clone();
            let ours = all.into_iter().filter(|(_, span)| span.trace_id == id.0);
            let ours: Vec<Sent> = ours.collect();
            if done(&ours) {
                return ours;
            }
            let names: Vec<&str> = ours.iter().map(|(_, s)| s.name.as_str()).collect();
            assert!(began.elapsed() < PATIENCE, "these came: {names:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

async fn take(State(collector): State<Collector>, body: Bytes) {
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    let mut sent = collector.sent.lock().unwrap();
    for of_process in request.resource_spans {
        let attributes = of_process.resource.unwrap().attributes;
        let instance = attributes.iter().find(|a| a.key == "service.instance.id");
        let instance = format!("{:?}", instance.expect("a process has a name").value);
        let spans = of_process.scope_spans.into_iter().flat_map(|s| s.spans);
        sent.extend(spans.map(|span| (instance.clone(), span)));
    }
}

fn has(spans: &[Sent], name: &str) -> bool {
    spans.iter().any(|(_, span)| span.name == name)
}

/// Every span hangs on another one, and one of them on `top`.
fn assert_connected(spans: &[Sent], top: &[u8]) {
    let ids: BTreeSet<&[u8]> = spans.iter().map(|(_, s)| &s.span_id[..]).collect();
    assert_eq!(ids.len(), spans.len(), "each has an id of its own");
    let loose = spans
        .iter()
        .filter(|(_, s)| !ids.contains(&s.parent_span_id[..]));
    let loose: Vec<_> = loose
        .map(|(_, s)| (&s.name, &s.parent_span_id[..]))
        .collect();
    assert_eq!(loose.len(), 1, "{loose:?}");
    assert_eq!(loose[0].1, top, "{loose:?}");
}

/// The operations of an asset's tasks that somebody worked on.
async fn worked_on(server: &Server, asset: &str) -> BTreeSet<String> {
    let page = server
        .get(&format!("/v1/assets/{asset}/tasks?limit=200"))
        .await;
    let tasks = page["items"].as_array().unwrap();
    let tried = tasks.iter().filter(|task| task["attempts"] != 0);
    tried
        .map(|task| task["operation"].as_str().unwrap().to_owned())
        .collect()
}

fn key(folder: &Path, scopes: &str) -> String {
    let args = [
        "keys", "create", "--data", "data", "--name", "x", "--scopes", scopes, "--quiet",
    ];
    let made = run(folder, &args);
    assert!(made.status.success(), "{}", stderr(&made));
    stdout(&made).trim().to_owned()
}

// The collector answers while the test waits for a process to end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_trace_goes_from_the_caller_through_a_far_worker_to_the_last_event() {
    let (collector, redis) = (Collector::start().await, Redis::start(&[]));
    let telemetry = format!("[telemetry]\notlp_endpoint = \"{}\"\n", collector.url);
    let events = format!("[events]\nto = \"{}\"\n", redis.url(0));
    let webhooks = "[webhooks]\nallow = [\"127.0.0.1\"]\n";
    let folder = given::config(&format!("roles = [\"api\"]\n{telemetry}{events}{webhooks}"));
    let (worker, admin) = (key(folder.path(), "worker"), key(folder.path(), "admin"));
    let mut api = Server::start(folder.path());
    api.authorize(&admin);
    let far = given::config(&format!(
        "roles = [\"worker\"]\n[via]\nurl = \"{}\"\nkey_file = \"key\"\n{telemetry}[worker]\ncpu = 2\n",
        api.base
    ));
    given::write(far.path(), "key", worker.as_bytes());
    let far_worker = Server::start(far.path());

    let hook = format!("{}/hook", collector.url);
    let hook = serde_json::json!({ "url": hook, "types": ["asset.ready"] });
    assert_eq!(api.post("/v1/webhooks", hook.to_string()).await.0, 201);
    let request = api
        .http()
        .post(api.url("/v1/assets"))
        .body(photo(320, 240, 1));
    let request = request.header("traceparent", format!("00-{TRACE}-{CALLER}-01"));
    let answer = request.send().await.unwrap();
    let answer: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(answer["correlation_id"], TRACE);
    let id = answer["id"].as_str().unwrap();
    api.asset_in(id, "ready").await;
    let operations = worked_on(&api, id).await;
    assert!(operations.len() >= 5, "{operations:?}");

    let trace = TraceId::parse(TRACE).unwrap();
    let spans = collector.trace(trace, |spans| {
        has(spans, "POST /v1/assets")
            && has(spans, "accept")
            && has(spans, "tell asset.ready")
            && has(spans, "webhook asset.ready")
            && operations.iter().all(|operation| has(spans, operation))
    });
    let spans = spans.await;
    assert_connected(&spans, &hex::decode(CALLER).unwrap());
    let by = |name: &str| {
        let of = spans.iter().filter(|(_, span)| span.name == name);
        of.map(|(process, _)| process.as_str())
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(by("accept"), by("POST /v1/assets"));
    for operation in &operations {
        assert!(
            by(operation).is_disjoint(&by("accept")),
            "{operation} ran elsewhere"
        );
    }
    assert!(far_worker.stop().success());
}

// The collector answers while the test waits for a process to end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_in_several_requests_is_one_trace() {
    let collector = Collector::start().await;
    let folder = given::config(&format!(
        "[telemetry]\notlp_endpoint = \"{}\"\n",
        collector.url
    ));
    let server = Server::start(folder.path());
    let bytes = photo(320, 240, 2);
    let tus = |method, path: &str| {
        server
            .http()
            .request(method, server.url(path))
            .header("tus-resumable", "1.0.0")
    };
    let opened = tus(reqwest::Method::POST, "/v1/tus").header("upload-length", bytes.len());
    let opened = opened
        .header("x-correlation-id", "order-17")
        .send()
        .await
        .unwrap();
    let path = opened.headers()["location"].to_str().unwrap().to_owned();
    let (first, second) = bytes.split_at(bytes.len() / 2);
    let mut asset = None;
    for (offset, part) in [(0, first), (first.len(), second)] {
        let request = tus(reqwest::Method::PATCH, &path).header("upload-offset", offset);
        let request = request.header("content-type", "application/offset+octet-stream");
        let answer = request.body(part.to_vec()).send().await.unwrap();
        assert_eq!(answer.status(), 204);
        asset = answer.headers().get("location").cloned();
    }
    let asset = asset.expect("the last answer names the asset");
    let id = asset.to_str().unwrap().rsplit('/').next().unwrap();
    server.asset_in(id, "ready").await;
    let operations = worked_on(&server, id).await;
    let spans = collector.trace(TraceId::of("order-17"), |spans| {
        let named = ["POST /v1/tus", "upload", "accept"];
        named.iter().all(|name| has(spans, name))
            && operations.iter().all(|operation| has(spans, operation))
    });
    assert_connected(&spans.await, &[]);
}

/// Another program that is asked or told something, and is content with everything.
async fn neighbour() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let content = Router::new().fallback(|| async { StatusCode::NO_CONTENT });
    tokio::spawn(async move { axum::serve(listener, content).await });
    url
}

// The collector answers while the test waits for a process to end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_were_asked_is_in_the_trace() {
    let collector = Collector::start().await;
    let (classifier, neighbour) = (Classifier::start(), neighbour().await);
    let folder = given::config(&format!(
        "[telemetry]\notlp_endpoint = \"{}\"\n\
         [ingest.hook]\nurl = \"{neighbour}\"\nsecret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"\n\
         [cdn]\ndriver = \"http\"\nurl = \"{neighbour}\"\n\
         [moderation]\npolicy = \"classifier\"\nclassifier.url = \"{}\"\n\
         [moderation.thresholds]\ntest-red = {{ review = 1.0, reject = 1.0 }}\n\
         darkness = {{ review = 1.0, reject = 1.0 }}\nskin-tone = {{ review = 1.0, reject = 1.0 }}\n",
        collector.url, classifier.url
    ));
    let server = Server::start(folder.path());
    let id = server.upload("", photo(320, 240, 4)).await;
    let asset = server.asset_in(&id, "ready").await;
    let gone = server
        .http()
        .delete(server.url(&format!("/v1/assets/{id}")));
    assert!(gone.send().await.unwrap().status().is_success());

    let trace = TraceId::of(asset["correlation_id"].as_str().unwrap());
    let asked = ["hook", "classify", "purge"];
    let spans = collector.trace(trace, |spans| {
        asked.iter().all(|name| has(spans, name)) && has(spans, "POST /v1/assets")
    });
    let spans = spans.await;
    assert_connected(&spans, &[]);
    for name in asked {
        let (_, span) = spans.iter().find(|(_, span)| span.name == name).unwrap();
        assert_eq!(span.kind(), SpanKind::Client, "{name}");
        assert!(
            span.status
                .as_ref()
                .is_none_or(|s| s.code() != Outcome::Error)
        );
    }
    let (_, hook) = spans.iter().find(|(_, span)| span.name == "hook").unwrap();
    assert!(format!("{:?}", hook.attributes).contains("allowed"));
}

// The collector answers while the test waits for a process to end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_traces_that_are_not_kept_only_failures_are_sent() {
    let collector = Collector::start().await;
    let folder = given::config(&format!(
        "[telemetry]\notlp_endpoint = \"{}\"\nsample_ratio = 0.0\n",
        collector.url
    ));
    let server = Server::start(folder.path());
    let good = server.upload("", photo(320, 240, 3)).await;
    let torn = server.upload("", torn_badge()).await;
    server.asset_in(&good, "ready").await;
    let torn = server.asset_in(&torn, "failed").await;
    assert!(server.stop().success());

    let trace = TraceId::of(torn["correlation_id"].as_str().unwrap());
    let all = collector.sent.lock().unwrap().len();
    let spans = collector.trace(trace, |_| true).await;
    assert_eq!(spans.len(), all, "of nothing else anything was sent");
    assert_connected(&spans, &[]);
    assert!(has(&spans, "POST /v1/assets") && has(&spans, "accept"));
    let failed = spans.iter().filter_map(|(_, span)| span.status.as_ref());
    let failed: Vec<_> = failed.filter(|s| s.code() == Outcome::Error).collect();
    assert!(
        failed.iter().any(|s| s.message == "input.corrupt"),
        "{failed:?}"
    );
}
