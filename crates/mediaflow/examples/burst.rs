//! Uploads that come at the same moment, each on a connection of its own, and how long each waited for its `202`, with connecting.
//! What is answered 429 is sent again after the time that the server asks for.
//!
//! usage: `burst SERVER COUNT FILE`: so many uploads of this file and 20 kB more, each different; prints JSON. `burst floor ADDRESS`:
//! a server that reads each request and answers `202`, and nothing else: what client and connections need by themselves.
//! `bench/ingest/run` builds and calls this.

#![allow(clippy::print_stdout)] // its figures are what it is for
#![allow(clippy::unwrap_used)] // it has no caller that could do better

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

const NOISE_BYTES: usize = 20_000;
const BACKLOG: u32 = 16_384;

/// What became of one upload.
struct Sent {
    asset: String,
    accepted_in: Duration,
    refused: usize,
}

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let maximum = getrlimit(Resource::Nofile).maximum;
    let limit = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, limit).unwrap();
    match args[..] {
        ["floor", address] => floor(address.parse().unwrap()).await,
        [server, count, file] => {
            let head = std::fs::read(file).unwrap();
            burst(server.parse().unwrap(), count.parse().unwrap(), &head).await;
        }
        _ => panic!("usage: burst SERVER COUNT FILE | burst floor ADDRESS"),
    }
}

async fn burst(server: SocketAddr, count: usize, head: &[u8]) {
    let together = Arc::new(Barrier::new(count + 1));
    let mut sending: JoinSet<Sent> = JoinSet::new();
    for n in 0..count {
        let request = request(server, head, n);
        let together = Arc::clone(&together);
        sending.spawn(async move {
            together.wait().await;
            until_accepted(server, &request).await
        });
    }
    together.wait().await;
    let began = Instant::now();
    let sent = sending.join_all().await;
    let seconds = began.elapsed().as_secs_f64();
    let mut times: Vec<Duration> = sent.iter().map(|s| s.accepted_in).collect();
    times.sort_unstable();
    let part = |percent: usize| times[(count * percent / 100).min(count - 1)].as_millis();
    let figures = json!({
        "seconds": seconds,
        "p50_ms": part(50),
        "p99_ms": part(99),
        "refused": sent.iter().map(|s| s.refused).sum::<usize>(),
        "assets": sent.iter().map(|s| &s.asset).collect::<Vec<_>>(),
    });
    println!("{figures}");
}

fn request(server: SocketAddr, head: &[u8], n: usize) -> Vec<u8> {
    let length = head.len() + NOISE_BYTES;
    let text = format!(
        "POST /v1/assets HTTP/1.1\r\nHost: {server}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    let mut request = [text.as_bytes(), head].concat();
    // What follows a picture's end is nothing to decoders; it makes each file another one.
    let noise = n.to_le_bytes();
    request.extend(noise.iter().cycle().take(NOISE_BYTES));
    request
}

async fn until_accepted(server: SocketAddr, request: &[u8]) -> Sent {
    let mut refused = 0;
    loop {
        let began = Instant::now();
        let answer = ask(server, request).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap();
        if status == "202" {
            let body: Value = serde_json::from_str(body).unwrap();
            return Sent {
                asset: body["id"].as_str().unwrap().to_owned(),
                accepted_in: began.elapsed(),
                refused,
            };
        }
        assert_eq!(status, "429", "{head}");
        refused += 1;
        let head = head.to_lowercase();
        let mut lines = head.lines();
        let pause = lines.find_map(|line| line.strip_prefix("retry-after: "));
        let pause = pause.unwrap().parse().unwrap();
        tokio::time::sleep(Duration::from_secs(pause)).await;
    }
}

async fn ask(server: SocketAddr, request: &[u8]) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(server).await?;
    stream.write_all(request).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

async fn floor(address: SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap();
    let listener = socket.listen(BACKLOG).unwrap();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        // Who goes away is the client's matter.
        tokio::spawn(async move { drop(accept(stream).await) });
    }
}

async fn accept(mut stream: TcpStream) -> std::io::Result<()> {
    let (mut request, mut expected) = (Vec::new(), usize::MAX);
    while request.len() < expected {
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
        if expected == usize::MAX {
            expected = length(&request).unwrap_or(usize::MAX);
        }
    }
    let body = r#"{"id":"none"}"#;
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 202 Accepted\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    stream.write_all(answer.as_bytes()).await
}

/// Of a request with its body, once its head is there.
fn length(request: &[u8]) -> Option<usize> {
    let head = request.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&request[..head]).ok()?;
    let length = text
        .lines()
        .find_map(|line| line.strip_prefix("Content-Length: "))?;
    Some(head + length.parse::<usize>().ok()?)
}
