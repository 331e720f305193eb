//! `mediaflow events`: what happened, and what happens, also when the server goes away in between.

use crate::commands::{json_lines, said};
use crate::given;
use crate::pictures::photo;
use crate::server::{PATIENCE, Server, mediaflow};
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
        "Nothing like that happened.\n"
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
