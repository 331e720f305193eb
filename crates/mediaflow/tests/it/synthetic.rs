//! `mediaflow synthetic` tells whether known media comes through.

use crate::given;
use crate::server::{Server, mediaflow, stderr, stdout};
use serde_json::Value;
use std::process::Output;

fn synthetic(server: &str, args: &[&str]) -> Output {
    let mut command = mediaflow();
    command.args(["synthetic", "--once", "--json", "--server", server]);
    command.args(args).output().unwrap()
}

fn rounds(output: &Output) -> Vec<Value> {
    let text = stdout(output);
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn known_media_comes_through_and_leaves_nothing() {
    let folder = given::config("");
    let server = Server::start(folder.path());
    let file = folder.path().join("synthetic.prom");
    let file = file.to_str().unwrap();
    let done = synthetic(
        &server.base,
        &["--media", "jpeg,png,webp", "--textfile", file],
    );
    assert_eq!(
        done.status.code(),
        Some(0),
        "{}{}",
        stdout(&done),
        stderr(&done)
    );
    let rounds = rounds(&done);
    assert_eq!(rounds.len(), 3);
    for round in &rounds {
        assert_eq!(round["ok"], true, "{round}");
        let [viewable, ready] =
            ["viewable_seconds", "ready_seconds"].map(|n| round[n].as_f64().unwrap());
        assert!(0.0 < viewable && viewable <= ready, "{round}");
    }
    assert_eq!(
        server.get("/v1/assets").await["items"],
        serde_json::json!([])
    );
    let told = std::fs::read_to_string(file).unwrap();
    for line in [
        "mediaflow_synthetic_up{media=\"webp\"} 1\n",
        "mediaflow_synthetic_rounds_total{media=\"jpeg\",outcome=\"succeeded\"} 1\n",
        "mediaflow_synthetic_rounds_total{media=\"jpeg\",outcome=\"failed\"} 0\n",
    ] {
        assert!(told.contains(line), "{told}");
    }
    assert!(told.contains("mediaflow_synthetic_duration_seconds{media=\"png\",phase=\"ready\"}"));
}

#[tokio::test]
async fn what_does_not_come_through_in_time_is_told_and_removed() {
    // Nobody works.
    let folder = given::config("roles = [\"api\"]\n");
    let server = Server::start(folder.path());
    let done = synthetic(&server.base, &["--media", "png", "--viewable-within", "1"]);
    assert_eq!(done.status.code(), Some(1), "{}", stderr(&done));
    let round = &rounds(&done)[0];
    assert_eq!(round["ok"], false);
    assert!(round["accepted_seconds"].is_number() && round["ready_seconds"].is_null());
    let trouble = round["trouble"].as_str().unwrap();
    assert!(trouble.contains("nothing to see after 1 s"), "{trouble}");
    assert_eq!(
        server.get("/v1/assets").await["items"],
        serde_json::json!([])
    );

    let base = server.base.clone();
    server.kill();
    let done = synthetic(&base, &["--media", "png"]);
    assert_eq!(done.status.code(), Some(1));
    let trouble = rounds(&done)[0]["trouble"].to_string();
    assert!(trouble.contains("no MediaFlow answers"), "{trouble}");
}

#[tokio::test]
async fn what_was_seen_is_served_as_metrics() {
    let folder = given::config("");
    let server = Server::start(folder.path());
    let mut command = mediaflow();
    command.args([
        "synthetic",
        "--every",
        "1",
        "--media",
        "png",
        "--listen",
        "127.0.0.1:0",
    ]);
    command
        .args(["--server", &server.base])
        .stdout(std::process::Stdio::null());
    let mut child = command
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut said = std::io::BufReader::new(child.stderr.take().unwrap());
    std::io::BufRead::read_line(&mut said, &mut line).unwrap();
    let url = line.split_whitespace().last().unwrap().to_owned();
    let metrics = loop {
        let text = reqwest::get(&url).await.unwrap().text().await.unwrap();
        if text.contains("mediaflow_synthetic_up{media=\"png\"} 1\n") {
            break text;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    };
    assert!(metrics.contains("# TYPE mediaflow_synthetic_rounds_total counter\n"));
    child.kill().unwrap();
    child.wait().unwrap();
}
