//! `mediaflow webhooks`: made, tried, looked at and repeated on the command line; and the receivers of the documentation, which verify
//! what comes.

use crate::cluster::Cluster;
use crate::commands::{complained, json, said};
use crate::given;
use crate::pictures::photo;
use crate::server::{PATIENCE, Server};
use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use mediaflow_servers::free_port;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const ALLOWED: &str = "[webhooks]\nallow = [\"127.0.0.1\"]\n";
const PAGE: &str = include_str!("../../../../docs/webhooks.md");

/// A receiver of the documentation, at work.
struct Receiver(Child);

impl Receiver {
    fn start(program: &str, folder: &Path, port: u16, secret: &str) -> Self {
        let language = match program {
            "python3" => "python",
            _ => "js",
        };
        let begin = format!("<!-- receiver -->\n```{language}\n");
        let (_, code) = PAGE.split_once(&begin).unwrap();
        let (code, _) = code.split_once("```\n").unwrap();
        let file = folder.join(format!("receiver.{language}"));
        std::fs::write(&file, code).unwrap();
        let child = Command::new(program)
            .arg(file)
            .env("PORT", port.to_string())
            .env("WEBHOOK_SECRET", secret)
            .spawn();
        Self(child.unwrap())
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Asks until the answer is as wanted.
fn until(ask: impl Fn() -> Value, is_wanted: impl Fn(&Value) -> bool) -> Value {
    let began = Instant::now();
    loop {
        let found = ask();
        if is_wanted(&found) {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "{found:#}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn verifies_what_comes(program: &str) {
    let folder = given::config(ALLOWED);
    let at = folder.path();
    let server = Server::start(at);
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}/hook");
    let made = json(at, &server, &["webhooks", "add", &url]);
    let id = made["id"].as_str().unwrap();
    let secret = made["secret"].as_str().unwrap();
    let try_it = || json(at, &server, &["webhooks", "test", id]);
    let receiver = Receiver::start(program, at, port, secret);
    let tried = until(try_it, |tried| !tried["status"].is_null());
    assert_eq!(tried["status"], 204, "{tried:#}");
    // It goes on with the secret that it has, and the next one is right as well.
    let next = json(at, &server, &["webhooks", "secret", id]);
    assert_eq!(try_it()["status"], 204);
    drop(receiver);
    let next = next["secret"].as_str().unwrap();
    let receiver = Receiver::start(program, at, port, next);
    let tried = until(try_it, |tried| !tried["status"].is_null());
    assert_eq!(tried["status"], 204, "{tried:#}");
    drop(receiver);
    let wrong = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let _receiver = Receiver::start(program, at, port, wrong);
    let tried = until(try_it, |tried| !tried["status"].is_null());
    assert_eq!(tried["status"], 401, "{tried:#}");
    assert_eq!(tried["delivered"], false);
}

#[tokio::test]
async fn the_receiver_in_python_verifies_what_comes() {
    verifies_what_comes("python3");
}

#[tokio::test]
async fn the_receiver_in_node_verifies_what_comes() {
    if Command::new("node").arg("--version").output().is_err() {
        return eprintln!("there is no Node.js here; its example is not tried");
    }
    verifies_what_comes("node");
}

#[tokio::test]
async fn webhooks_are_made_looked_at_and_repeated() {
    let folder = given::config(ALLOWED);
    let at = folder.path();
    let server = Server::start(at);
    let none = said(at, &server, &["webhooks"]);
    assert!(none.contains("`mediaflow webhooks add URL`"), "{none}");
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}/hook");
    let shown = said(
        at,
        &server,
        &[
            "webhooks",
            "add",
            &url,
            "--types",
            "asset.accepted,asset.ready",
        ],
    );
    let secret = shown.lines().next().unwrap();
    assert!(
        secret.starts_with("whsec_") && shown.contains("only time"),
        "{shown}"
    );
    let list = json(at, &server, &["webhooks", "ls"]);
    let id = list["webhooks"][0]["id"].as_str().unwrap();
    assert!(
        shown.contains(id) && !list.to_string().contains(secret),
        "{list:#}"
    );
    let refused = complained(at, &server, &["webhooks", "test", id]);
    assert!(
        refused.contains("not delivered: it cannot be reached"),
        "{refused}"
    );

    let asset = server.upload("", photo(64, 48, 1)).await;
    server.asset_in(&asset, "ready").await;
    let deliveries = |args: &[&str]| {
        json(
            at,
            &server,
            &[&["webhooks", "deliveries", id], args].concat(),
        )
    };
    let waiting = until(
        || deliveries(&["--state", "waiting"]),
        |page| {
            let all = page["deliveries"].as_array().unwrap();
            all.len() == 2 && all.iter().all(|delivery| delivery["attempts"] != 0)
        },
    );
    let ready = waiting["deliveries"][0]["event"].as_str().unwrap();
    let table = said(at, &server, &["webhooks"]);
    assert!(
        table.contains("FAILING FOR") && table.contains("it cannot be reached"),
        "{table}"
    );

    let _receiver = Receiver::start("python3", at, port, secret);
    // Of those that wait after a failure one is asked for at once.
    let again = said(at, &server, &["webhooks", "redeliver", id, ready]);
    assert!(
        again.contains(ready) && again.contains("asset.ready"),
        "{again}"
    );
    let state = |wanted: &'static str| move |found: &Value| found["state"] == wanted;
    let one = until(|| deliveries(&[ready]), state("delivered"));
    assert_eq!(one["body"]["subject"], asset.as_str());
    let shown = said(at, &server, &["webhooks", "deliveries", id, ready]);
    assert!(
        shown.contains("204") && shown.contains("\"specversion\": \"1.0\""),
        "{shown}"
    );
    let list = said(at, &server, &["webhooks", "deliveries", id, "--limit", "1"]);
    let cursor = list.split_whitespace().last().unwrap();
    let rest = deliveries(&["--cursor", cursor]);
    assert_eq!(rest["deliveries"][0]["type"], "asset.accepted");
    assert_eq!(rest["next"], Value::Null);
    let none = said(at, &server, &["webhooks", "redeliver", id, "--failed"]);
    assert_eq!(none, "0 events to be delivered again\n");

    let off = said(at, &server, &["webhooks", "off", id]);
    assert!(off.contains("off (operator)"), "{off}");
    let tried = said(at, &server, &["webhooks", "test", id]);
    assert!(tried.contains("it answers 204"), "{tried}");
    let changed = [
        "webhooks",
        "set",
        id,
        "--types",
        "",
        "--description",
        "the shop",
    ];
    let changed = json(at, &server, &changed);
    assert_eq!(changed["types"], serde_json::json!([]));
    assert_eq!(
        (&changed["description"], &changed["url"]),
        (&"the shop".into(), &url.into())
    );
    let on = json(at, &server, &["webhooks", "on", id]);
    assert_eq!(on["state"], "on");
    said(at, &server, &["webhooks", "rm", id]);
    let gone = complained(at, &server, &["webhooks", "on", id]);
    assert!(gone.contains("`mediaflow webhooks` lists"), "{gone}");
}

/// Bodies by `webhook-id`.
type Told = Arc<Mutex<BTreeMap<String, Vec<String>>>>;

/// What answers after a while; of every third event it has to be told twice.
async fn slow_and_moody() -> (String, Told) {
    let told = Told::default();
    let heard = Arc::clone(&told);
    let take = async move |headers: HeaderMap, body: String| {
        let id = headers["webhook-id"].to_str().unwrap().to_owned();
        let is_odd = {
            let mut heard = heard.lock().unwrap();
            let before = heard.len();
            heard.entry(id).or_default().push(body);
            heard.len() > before && before % 3 == 0
        };
        tokio::time::sleep(Duration::from_millis(100)).await;
        match is_odd {
            true => StatusCode::INTERNAL_SERVER_ERROR,
            false => StatusCode::NO_CONTENT,
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let routes = Router::new().route("/hook", post(take));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (url, told)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_processes_that_are_killed_one_tells_and_nothing_is_left_out() {
    let (url, told) = slow_and_moody().await;
    let cluster = Cluster::start();
    let first = cluster.join_with("\"api\", \"worker\"", "", ALLOWED);
    let second = cluster.join_with("\"api\", \"worker\"", "", ALLOWED);
    let wish = serde_json::json!({ "url": url }).to_string();
    let (status, made) = first.server.post("/v1/webhooks", wish).await;
    assert_eq!(status, 201, "{made:#}");
    let mut assets = Vec::new();
    for seed in 0..4 {
        assets.push(first.server.upload("", photo(64, 48, seed)).await);
    }
    let began = Instant::now();
    while told.lock().unwrap().len() < 5 {
        assert!(began.elapsed() < PATIENCE, "it is told nothing");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // It came first, so it tells; now the other one has to.
    first.server.kill();
    assets.push(second.server.upload("", photo(64, 48, 9)).await);
    for asset in &assets {
        second.server.asset_in(asset, "ready").await;
    }
    let feed = second.server.get("/v1/events?limit=200").await;
    let feed = feed["items"].as_array().unwrap();
    let happened: BTreeSet<&str> = feed.iter().map(|e| e["id"].as_str().unwrap()).collect();
    let id = made["id"].as_str().unwrap();
    loop {
        let page = second.server.get(&format!("/v1/webhooks/{id}")).await;
        // That nothing waits is no sign: the last may not have been planned yet.
        if page["delivered"] == happened.len() {
            assert_eq!(page["waiting"], 0, "{page:#}");
            break;
        }
        assert!(began.elapsed() < PATIENCE, "{page:#}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let told = told.lock().unwrap();
    let ids: BTreeSet<&str> = told.keys().map(String::as_str).collect();
    assert_eq!(ids, happened);
    for (id, bodies) in &*told {
        assert!(bodies.iter().all(|body| *body == bodies[0]), "{id}");
    }
}
