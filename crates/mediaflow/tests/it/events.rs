//! `mediaflow events`: what happened, and what happens, also when the server goes away in between.

use crate::commands::{asked, json_lines, said};
use crate::given;
use crate::pictures::photo;
use crate::server::{PATIENCE, Server, mediaflow, stderr, stdout};
use rusqlite::Connection;
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};

/// `mediaflow events --follow --json`, line by line.
struct Followed {
    child: Child,
    lines: Receiver<Value>,
}

impl Followed {
    fn start(server: &Server, args: &[&str]) -> Self {
        let mut child = mediaflow()
            .args(["events", "--follow", "--json", "--server", &server.url("")])
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (tell, lines) = channel();
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let _ = tell.send(serde_json::from_str(&line).unwrap());
            }
        });
        Self { child, lines }
    }

    /// All events up to one of this type about this asset.
    fn until(&self, kind: &str, asset: &str) -> Vec<Value> {
        let mut seen = Vec::new();
        loop {
            let event = self.lines.recv_timeout(PATIENCE).expect("an event comes");
            let is_last = event["type"] == kind && event["subject"] == asset;
            seen.push(event);
            if is_last {
                return seen;
            }
        }
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn what_happens_is_followed_over_a_restart_of_the_server() {
    let folder = given::config("");
    let at = folder.path();
    let server = Server::start_to_restart(at);
    let before = server.upload("", photo(64, 48, 1)).await;
    server.asset_in(&before, "ready").await;
    let followed = Followed::start(&server, &["--after", "0"]);
    let mut all = followed.until("asset.ready", &before);

    let base = server.url("");
    let address = base.trim_start_matches("http://").to_owned();
    assert!(server.stop().success());
    let server = Server::start_at(at, &address);
    let after = server.upload("", photo(64, 48, 2)).await;
    all.extend(followed.until("asset.ready", &after));

    let positions = all.iter().map(|event| event["position"].as_str().unwrap());
    let positions: Vec<u64> = positions.map(|text| text.parse().unwrap()).collect();
    let once: Vec<u64> = (1..=positions.len() as u64).collect();
    assert_eq!(positions, once, "each once, in order, none left out");
}

#[tokio::test]
async fn what_happened_is_told_of_one_and_of_all() {
    let folder = given::config("");
    let at = folder.path();
    let server = Server::start(at);
    assert_eq!(
        said(at, &server, &["events"]),
        "Nothing has happened yet; `mediaflow ingest FILE` uploads something.\n"
    );
    let first = server.upload("", photo(64, 48, 1)).await;
    server.asset_in(&first, "ready").await;
    let second = server.upload("", photo(64, 48, 2)).await;
    server.asset_in(&second, "ready").await;

    let newest = json_lines(at, &server, &["events", "--limit", "2"]);
    assert_eq!(newest.len(), 2, "{newest:#?}");
    assert_eq!(newest[1]["type"], "asset.ready");
    assert_eq!(newest[1]["subject"], second.as_str());
    let ready = said(at, &server, &["events", &first, "--type", "asset.ready"]);
    assert_eq!(ready.lines().count(), 1, "{ready}");
    assert!(!ready.contains(&first), "whose they are is known: {ready}");

    let live = Followed::start(&server, &[&first]);
    let story = live.until("asset.ready", &first);
    assert_eq!(story[0]["sequence"], "1");
}

/// More than the command looks through, after all that really happened.
const MANY: &str = "INSERT INTO events (tenant, asset, sequence, id, type, at, data)
     WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
     SELECT tenant, asset, 1000 + i, randomblob(16), 'task.skipped', at, '{\"step\":\"watermark\"}'
     FROM n, (SELECT * FROM events ORDER BY position LIMIT 1)";
/// As after `retention.events_days`.
const PRUNE: &str = "DELETE FROM events WHERE position <= (SELECT max(position) - 30 FROM events);
     UPDATE history SET pruned = (SELECT min(position) - 1 FROM events)";

#[tokio::test]
async fn what_is_not_among_the_newest_is_not_said_to_be_nowhere() {
    let folder = given::config("");
    let at = folder.path();
    let change = |sql: &str| {
        let database = Connection::open(at.join("data/mediaflow.db")).unwrap();
        database.execute_batch(sql).unwrap();
    };
    let server = Server::start(at);
    let asset = server.upload("", photo(64, 48, 1)).await;
    server.asset_in(&asset, "ready").await;
    assert!(server.stop().success());
    change(MANY);
    let server = Server::start(at);
    let accepted = ["events", "--type", "asset.accepted"];
    let done = asked(at, &server, &accepted);
    assert_eq!(stdout(&done), "Nothing like that happened.\n");
    assert!(
        stderr(&done).contains("newest 20000 events; `--after 0`"),
        "{}",
        stderr(&done)
    );
    let first = [&accepted[..], &["--after", "0", "--limit", "1"]].concat();
    let first = said(at, &server, &first);
    assert!(first.contains(&asset), "{first}");

    // Less is kept than is wanted: that is what there is.
    assert!(server.stop().success());
    change(PRUNE);
    let server = Server::start(at);
    let kept = json_lines(at, &server, &["events", "--limit", "100"]);
    assert_eq!(kept.len(), 30);
    let done = asked(at, &server, &accepted);
    assert_eq!(stdout(&done), "Nothing like that happened.\n");
    assert_eq!(stderr(&done), "");
}
