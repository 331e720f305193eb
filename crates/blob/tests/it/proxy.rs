//! A network in trouble: stands before a server and does to some requests what networks and busy servers do.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What happens to a request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// It never reaches the server, which says this instead.
    Answered(&'static str),
    /// The server does it, and the answer is lost.
    AnswerLost,
    /// The answer ends after so many bytes.
    AnswerCut(usize),
    /// The request ends after so many bytes of its body.
    RequestCut(usize),
    /// A bit of the body is flipped on its way to the server.
    Flipped,
}

pub(crate) const SLOW_DOWN: &str = "HTTP/1.1 503 Slow Down\r\nContent-Length: 36\r\nConnection: close\r\n\r\n<Error><Code>SlowDown</Code></Error>";
pub(crate) const AWAY: &str =
    "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
pub(crate) const SLOW_DOWN_IN_200: &str = "HTTP/1.1 200 OK\r\nContent-Length: 36\r\nConnection: close\r\n\r\n<Error><Code>SlowDown</Code></Error>";
pub(crate) const DENIED: &str = "HTTP/1.1 403 Forbidden\r\nContent-Length: 40\r\nConnection: close\r\n\r\n<Error><Code>AccessDenied</Code></Error>";

struct Rule {
    method: &'static str,
    part: &'static str,
    times: usize,
    fault: Fault,
}

#[derive(Clone)]
pub(crate) struct Proxy {
    address: SocketAddr,
    rules: Arc<Mutex<Vec<Rule>>>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// Before the server at `endpoint`, without faults.
    pub(crate) async fn start(endpoint: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Self {
            address: listener.local_addr().unwrap(),
            rules: Arc::default(),
            seen: Arc::default(),
        };
        let server = endpoint.trim_start_matches("http://").to_owned();
        let own = proxy.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (own, server) = (own.clone(), server.clone());
                // Connections that break are what this is for.
                tokio::spawn(async move { own.pass(client, &server).await.ok() });
            }
        });
        proxy
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next `times` requests of this method whose address contains `part` have the fault.
    pub(crate) fn next(
        &self,
        times: usize,
        method: &'static str,
        part: &'static str,
        fault: Fault,
    ) {
        let rule = Rule {
            method,
            part,
            times,
            fault,
        };
        self.rules.lock().unwrap().push(rule);
    }

    pub(crate) fn no_more(&self) {
        self.rules.lock().unwrap().clear();
    }

    /// Requests so far that begin with this.
    pub(crate) fn seen(&self, beginning: &str) -> usize {
        let seen = self.seen.lock().unwrap();
        seen.iter()
            .filter(|line| line.starts_with(beginning))
            .count()
    }

    fn fault(&self, line: &str) -> Option<Fault> {
        self.seen.lock().unwrap().push(line.to_owned());
        let mut rules = self.rules.lock().unwrap();
        let rule = rules
            .iter_mut()
            .find(|r| r.times > 0 && line.starts_with(r.method) && line.contains(r.part))?;
        rule.times -= 1;
        Some(rule.fault)
    }

    /// One request of one connection.
    async fn pass(&self, mut client: TcpStream, server: &str) -> std::io::Result<()> {
        let (mut head, mut body) = head(&mut client).await?;
        let length = length_in(&head);
        let fault = self.fault(head.lines().next().unwrap_or_default());
        if let Some(Fault::RequestCut(bytes)) = fault {
            let mut piece = vec![0; bytes];
            client.read_exact(&mut piece).await.ok();
            return Ok(());
        }
        let have = body.len();
        body.resize(length, 0);
        client.read_exact(&mut body[have..]).await?;
        match fault {
            Some(Fault::Answered(answer)) => {
                client.write_all(answer.as_bytes()).await?;
                return client.shutdown().await;
            }
            Some(Fault::Flipped) if length > 0 => body[length / 2] ^= 1,
            _ => {}
        }
        head = head.replacen("\r\n", "\r\nConnection: close\r\n", 1);
        let mut upstream = TcpStream::connect(server).await?;
        upstream.write_all(head.as_bytes()).await?;
        upstream.write_all(&body).await?;
        let mut answer = Vec::new();
        upstream.read_to_end(&mut answer).await?;
        match fault {
            Some(Fault::AnswerLost) => return Ok(()),
            Some(Fault::AnswerCut(bytes)) => answer.truncate(bytes),
            _ => {}
        }
        client.write_all(&answer).await?;
        client.shutdown().await
    }
}

/// The head of a request with its empty line, and what was read of the body.
async fn head(client: &mut TcpStream) -> std::io::Result<(String, Vec<u8>)> {
    let mut read = Vec::new();
    loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            let body = read.split_off(end + 4);
            return Ok((String::from_utf8(read).unwrap(), body));
        }
        if client.read_buf(&mut read).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
}

fn length_in(head: &str) -> usize {
    let lines = head.lines().map(str::to_ascii_lowercase);
    let mut lengths = lines.filter_map(|line| {
        let length = line.strip_prefix("content-length:")?;
        length.trim().parse().ok()
    });
    lengths.next().unwrap_or(0)
}
