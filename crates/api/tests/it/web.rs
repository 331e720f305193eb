//! Other people's server, as good or bad as a test wants it: each answer is bytes on the wire.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) path: String,
    headers: HashMap<String, String>,
    pub(crate) body: String,
    /// How many were there before it, for the same path.
    pub(crate) before: usize,
}

impl Asked {
    /// Empty when it is missing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// Where the bytes that it asks for begin.
    pub(crate) fn start(&self) -> usize {
        let range = self.header("range").strip_prefix("bytes=");
        range.map_or(0, |range| range.trim_end_matches('-').parse().unwrap())
    }
}

/// What goes over the wire, one after the other; then the connection is closed.
pub(crate) enum Step {
    Bytes(Vec<u8>),
    Pause(Duration),
}

pub(crate) type Steps = Vec<Step>;

/// It ends with this value's runtime.
pub(crate) struct Web {
    pub(crate) port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Web {
    pub(crate) async fn start(answer: impl Fn(&Asked) -> Steps + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let (answer, heard) = (Arc::new(answer), Arc::clone(&asked));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (answer, heard) = (Arc::clone(&answer), Arc::clone(&heard));
                tokio::spawn(async move {
                    // Who asks may go away at any moment.
                    let _ = talk(stream, &*answer, &heard).await;
                });
            }
        });
        Self { port, asked }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

async fn talk(
    mut stream: TcpStream,
    answer: &(dyn Fn(&Asked) -> Steps + Send + Sync),
    heard: &Mutex<Vec<Asked>>,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.lines();
    let path = lines.next().unwrap().split(' ').nth(1).unwrap().to_owned();
    let headers = lines.filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    let headers: HashMap<_, _> = headers.collect();
    let length = headers.get("content-length");
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).await?;
    let body = String::from_utf8(body).unwrap();
    let steps = {
        let mut heard = heard.lock().unwrap();
        let asked = Asked {
            before: heard.iter().filter(|a| a.path == path).count(),
            headers,
            path,
            body,
        };
        heard.push(asked.clone());
        answer(&asked)
    };
    for step in steps {
        match step {
            Step::Bytes(bytes) => stream.write_all(&bytes).await?,
            Step::Pause(time) => tokio::time::sleep(time).await,
        }
    }
    stream.shutdown().await
}

/// A head with these lines.
pub(crate) fn head(status: u16, lines: &[&str]) -> Step {
    let mut text = format!("HTTP/1.1 {status} x\r\nConnection: close\r\n");
    for line in lines {
        text.push_str(line);
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    Step::Bytes(text.into_bytes())
}

pub(crate) fn bytes(bytes: impl AsRef<[u8]>) -> Step {
    Step::Bytes(bytes.as_ref().to_vec())
}

/// A file as a good server gives it, with an entity tag; of a rest that was asked for only that.
pub(crate) fn file(asked: &Asked, content: &[u8], etag: &str) -> Steps {
    let start = asked.start();
    let tag = format!("ETag: {etag}");
    if start == 0 || asked.header("if-range") != etag {
        let length = format!("Content-Length: {}", content.len());
        return vec![head(200, &[&length, &tag]), bytes(content)];
    }
    let length = format!("Content-Length: {}", content.len() - start);
    let range = format!(
        "Content-Range: bytes {start}-{}/{}",
        content.len() - 1,
        content.len()
    );
    vec![
        head(206, &[&length, &range, &tag]),
        bytes(&content[start..]),
    ]
}

/// The same, but the connection ends after so many bytes of the body.
pub(crate) fn cut(mut steps: Steps, most: usize) -> Steps {
    if let Some(Step::Bytes(body)) = steps.last_mut() {
        body.truncate(most);
    }
    steps
}

pub(crate) fn redirect(to: &str) -> Steps {
    vec![head(
        302,
        &[&format!("Location: {to}"), "Content-Length: 0"],
    )]
}
