//! Many small uploads at the same moment: each gets an answer, and what was answered with 202 is there.

use crate::crowd::Pictures;
use crate::given;
use crate::server::Server;
use futures_util::future::join_all;
use reqwest::StatusCode;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sha2::{Digest as _, Sha256};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Barrier;

const FILES: usize = 1000;
/// Fewer than come at once, so that some are sent away.
const CONFIG: &str = "[limits.upload]\nconcurrent_max = 64\n[worker]\ncpu = 1\n";

/// Each upload has a connection of its own.
fn allow_connections() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let current = maximum;
    setrlimit(Resource::Nofile, Rlimit { current, maximum }).unwrap();
}

/// The asset of one upload, and how often it was sent away before.
async fn send(server: &Server, barrier: &Barrier, picture: Vec<u8>) -> (String, String, usize) {
    let sha256 = hex::encode(Sha256::digest(&picture));
    let mut sent_away = 0;
    barrier.wait().await;
    loop {
        let request = server.http().post(server.url("/v1/assets"));
        let answer = request.body(picture.clone()).send().await.unwrap();
        let status = answer.status();
        if status == StatusCode::ACCEPTED {
            let id = answer.json::<serde_json::Value>().await.unwrap()["id"].clone();
            return (id.as_str().unwrap().to_owned(), sha256, sent_away);
        }
        assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
        let again = answer.headers().get("retry-after").unwrap().to_str();
        let seconds: u64 = again.unwrap().parse().unwrap();
        assert!((1..=10).contains(&seconds), "{seconds}");
        sent_away += 1;
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }
}

#[tokio::test]
async fn a_burst_is_answered_and_nothing_is_lost() {
    allow_connections();
    let folder = given::config(CONFIG);
    let server = Arc::new(Server::start(folder.path()));
    // What becomes of them is not the matter.
    let off = server.url("/v1/switches/claims.image");
    let body = serde_json::json!({ "on": false });
    let switched = server.http().put(off).json(&body).send().await.unwrap();
    assert!(switched.status().is_success());
    let (pictures, barrier) = (Pictures::default(), Arc::new(Barrier::new(FILES)));
    let sending = (0..FILES).map(|_| {
        let (server, barrier, picture) =
            (Arc::clone(&server), Arc::clone(&barrier), pictures.next());
        tokio::spawn(async move { send(&server, &barrier, picture).await })
    });
    let sending: Vec<_> = sending.collect();
    let answered = join_all(sending).await;
    let answered: Vec<_> = answered.into_iter().map(Result::unwrap).collect();
    let ids: HashSet<&str> = answered.iter().map(|(id, _, _)| id.as_str()).collect();
    assert_eq!(ids.len(), FILES, "each is an asset of its own");
    for (id, sha256, _) in &answered {
        let asset = server.get(&format!("/v1/assets/{id}")).await;
        assert_eq!(asset["original"]["sha256"], sha256.as_str());
    }
    let sent_away: usize = answered.iter().map(|(_, _, times)| times).sum();
    println!("{FILES} uploads at once; sent away {sent_away} times");
    assert!(sent_away > 0, "there were more than are taken at once");
}

/// Some look for an answer only when all is sent. What closes the line before that would take the answer from them.
#[tokio::test]
async fn a_refusal_reaches_who_is_still_sending() {
    let folder = given::config("[limits.upload]\nbytes_max = 1000\n");
    let server = Server::start(folder.path());
    let address = server.base.strip_prefix("http://").unwrap();
    // Who falls silent is not waited for, and on a busy machine that may happen to us.
    while !is_refused_while_sending(address).await {}
}

/// False when there was a pause that is too long to be waited for.
async fn is_refused_while_sending(address: &str) -> bool {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let (pieces, piece) = (30, vec![0; 100_000]);
    let head = format!(
        "POST /v1/assets HTTP/1.1\r\nHost: {address}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        pieces * piece.len()
    );
    let mut sent = stream.write_all(head.as_bytes()).await;
    let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
    for _ in 0..pieces {
        tokio::time::sleep(Duration::from_millis(20)).await;
        longest = longest.max(last.elapsed());
        sent = sent.and(stream.write_all(&piece).await);
        last = Instant::now();
    }
    let mut answer = String::new();
    longest = longest.max(last.elapsed());
    let read = stream.read_to_string(&mut answer).await;
    if longest > Duration::from_millis(500) {
        return false;
    }
    sent.unwrap();
    read.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("limit.bytes"), "{answer}");
    true
}
