//! Workers: seen, drained, resumed and stopped by operators.

use crate::given;
use crate::pictures::photo;
use crate::server::{PATIENCE, Server, run, stderr, stdout};
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, Instant};

/// What the command prints.
fn workers(folder: &Path, server: &Server, args: &[&str]) -> String {
    let at = server.url("");
    let mut all = vec!["workers", "--server", &at];
    all.extend(args);
    let done = run(folder, &all);
    assert!(done.status.success(), "{}", stderr(&done));
    stdout(&done)
}

/// The one worker, once it is in this state.
async fn worker_in(server: &Server, state: &str) -> Value {
    let began = Instant::now();
    loop {
        let listed = server.get("/v1/workers").await;
        let workers = listed["workers"].as_array().unwrap();
        if let Some(worker) = workers.iter().find(|w| w["state"] == state) {
            return worker.clone();
        }
        assert!(began.elapsed() < PATIENCE, "no worker is {state}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Until the worker has heard what an operator wants, which it does with a sign of life.
async fn heard(folder: &Path) {
    let began = Instant::now();
    let log = || std::fs::read_to_string(folder.join("server.log")).unwrap();
    while !log().contains("an operator wants something") {
        assert!(began.elapsed() < PATIENCE, "it hears nothing: {}", log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn an_operator_drains_resumes_and_stops_a_worker() {
    let folder = given::config("");
    let mut server = Server::start_logged(folder.path());
    let worker = worker_in(&server, "working").await;
    assert_eq!(
        worker["queues"],
        serde_json::json!(["image", "video", "network"])
    );
    let id = worker["id"].as_str().unwrap();
    assert!(workers(folder.path(), &server, &["ls"]).contains(id));

    assert!(workers(folder.path(), &server, &["drain", id]).contains("drains"));
    heard(folder.path()).await;
    let asset = server.upload("", photo(64, 48, 1)).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let tasks = server.get(&format!("/v1/assets/{asset}/tasks")).await;
    let tried = |task: &&Value| task["attempts"].as_u64() != Some(0);
    assert!(
        !tasks["items"].as_array().unwrap().iter().any(|t| tried(&t)),
        "{tasks}"
    );

    workers(folder.path(), &server, &["resume", id]);
    server.asset_in(&asset, "ready").await;

    workers(folder.path(), &server, &["stop", id]);
    assert!(server.wait().success());
}

#[tokio::test]
async fn a_worker_that_nobody_knows_cannot_be_told_anything() {
    let folder = given::config("");
    let server = Server::start(folder.path());
    let path = format!("/v1/workers/{}/drain", uuid::Uuid::nil());
    let (status, problem) = server.post(&path, "").await;
    assert_eq!(
        (status, &problem["code"]),
        (404, &"worker.not_found".into())
    );
}
