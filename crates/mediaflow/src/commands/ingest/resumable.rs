//! A large file on its way in over tus: after whatever broke it goes on where the server says that it is, also in another
//! run of the command.

use super::journal::Journal;
use super::progress::Progress;
use super::upload::{ABSENCE_MAX, PIECE_BYTES, unreadable};
use crate::client::{Client, Trouble};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures_util::StreamExt as _;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::{Body, Method, Response};
use serde_json::Value;
use std::io::{self, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

const PAUSE: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// A connection over which nothing goes for so long is dead.
const STANDSTILL_MAX: Duration = Duration::from_secs(60);
/// What a server may need to answer when it has all bytes.
const FINISHING_MAX: Duration = Duration::from_secs(900);

const OFFSET: HeaderName = HeaderName::from_static("upload-offset");
const LENGTH: HeaderName = HeaderName::from_static("upload-length");
const METADATA: HeaderName = HeaderName::from_static("upload-metadata");
const ASSET: HeaderName = HeaderName::from_static("mediaflow-asset");

/// Where the server is with a file.
enum Standing {
    /// It has so many bytes.
    At(u64),
    /// It has all of them, and this is what they became.
    Done(String),
}

/// A file to upload, and what is said of it.
pub(super) struct Resumable<'a> {
    pub(super) client: &'a Client,
    pub(super) path: &'a Path,
    pub(super) bytes: u64,
    /// When it was written last; of a file that was written since, parts of two would be joined.
    pub(super) changed: Option<SystemTime>,
    /// Names and values as the query of a single request has them.
    pub(super) said: &'a [(&'static str, String)],
    pub(super) progress: &'a Progress,
}

impl Resumable<'_> {
    /// Uploads what the server has not yet; answers what it said of it.
    pub(super) async fn upload(&self) -> Result<Value, Trouble> {
        let journal = Journal::of(&self.client.url(""), self.path, self.said);
        let mut address = journal.read();
        // A server that has a part of the file was there, and is worth waiting for.
        let mut reached = u64::from(address.is_some());
        let (mut moved, mut pause) = (Instant::now(), PAUSE);
        loop {
            let tried = self.once(&mut address, &journal, &mut reached, &mut moved);
            match tried.await {
                Ok(asset) => {
                    journal.end();
                    return Ok(asset);
                }
                Err(trouble) if self.is_hopeless(&trouble, reached) => {
                    return Err(trouble);
                }
                Err(trouble) if moved.elapsed() > ABSENCE_MAX => return Err(trouble),
                Err(trouble) => {
                    if moved.elapsed() < pause {
                        pause = PAUSE;
                    }
                    let wanted = match trouble {
                        Trouble::Refused { again, .. } => again.unwrap_or_default(),
                        Trouble::Unreachable(_) => Duration::ZERO,
                    };
                    tokio::time::sleep(wanted.max(pause).min(PAUSE_MAX)).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
        }
    }

    /// Whether trying again cannot help. A server that never answered is none; one that did may come back.
    fn is_hopeless(&self, trouble: &Trouble, reached: u64) -> bool {
        match trouble {
            Trouble::Unreachable(_) => reached == 0 && !self.client.has_answered(),
            Trouble::Refused { code, again, .. } => {
                let passes = [
                    "upload.offset",
                    "upload.not_found",
                    "upload.taken",
                    "input.interrupted",
                    "request.timeout",
                ];
                again.is_none() && !passes.contains(&code.as_str())
            }
        }
    }

    /// From asking how far it is to the end of one request.
    async fn once(
        &self,
        address: &mut Option<String>,
        journal: &Journal,
        reached: &mut u64,
        moved: &mut Instant,
    ) -> Result<Value, Trouble> {
        let standing = match address {
            Some(known) => self.standing(known).await?,
            None => None,
        };
        let (at, start) = match (standing, &address) {
            (Some(Standing::Done(asset)), _) => return self.client.get(&asset).await,
            (Some(Standing::At(start)), Some(known)) => (known.clone(), start),
            _ => {
                let opened = self.open().await?;
                journal.write(&opened);
                *address = Some(opened.clone());
                (opened, 0)
            }
        };
        // The server is there, whatever becomes of the bytes.
        if *reached == 0 || start > *reached {
            (*reached, *moved) = (start.max(1), Instant::now());
        }
        self.progress.stands_at(start);
        self.add(&at, start).await
    }

    /// None when the server knows nothing of it any more.
    async fn standing(&self, address: &str) -> Result<Option<Standing>, Trouble> {
        let asked = self
            .client
            .tus(Method::HEAD, address, HeaderMap::new(), Body::default());
        let asked = tokio::time::timeout(STANDSTILL_MAX, asked);
        let answer = match asked.await.unwrap_or_else(|_| Err(silent())) {
            Ok(answer) => answer,
            // Answers to HEAD have no body to say more.
            Err(Trouble::Refused { code, .. }) if code == "http.404" => return Ok(None),
            Err(trouble) => return Err(trouble),
        };
        let number = |name| text(&answer, &name).and_then(|text| text.parse::<u64>().ok());
        if let Some(asset) = text(&answer, &ASSET) {
            return Ok(Some(Standing::Done(
                asset.trim_start_matches('/').to_owned(),
            )));
        }
        let is_this_file = number(LENGTH) == Some(self.bytes);
        Ok(number(OFFSET).filter(|_| is_this_file).map(Standing::At))
    }

    async fn open(&self) -> Result<String, Trouble> {
        let mut headers = HeaderMap::new();
        headers.insert(LENGTH, self.bytes.into());
        headers.insert(METADATA, metadata(self.said));
        let asked = self
            .client
            .tus(Method::POST, "v1/tus", headers, Body::default());
        let asked = tokio::time::timeout(STANDSTILL_MAX, asked);
        let answer = asked.await.unwrap_or_else(|_| Err(silent()))?;
        let location = text(&answer, &LOCATION);
        // Its last part is the upload's name; the rest is where this client reached the server.
        let id = location.and_then(|l| l.rsplit_once("/v1/tus/"));
        let id = id.map(|(_, id)| format!("v1/tus/{id}"));
        id.ok_or_else(|| Trouble::Refused {
            code: "client.interrupted".to_owned(),
            message: "the server opened an upload and did not say where".to_owned(),
            again: None,
        })
    }

    /// Sends all that is left in one request.
    async fn add(&self, address: &str, start: u64) -> Result<Value, Trouble> {
        let sent = Arc::new(AtomicU64::new(0));
        let left = self.bytes - start;
        let body = self.rest(start, left, &sent).await;
        let body = body.map_err(|e| unreadable(e.to_string()))?;
        let mut headers = HeaderMap::new();
        let bytes = HeaderValue::from_static("application/offset+octet-stream");
        headers.insert(CONTENT_TYPE, bytes);
        headers.insert(CONTENT_LENGTH, left.into());
        headers.insert(OFFSET, start.into());
        let shown = HeaderValue::from_static("return=representation");
        headers.insert(HeaderName::from_static("prefer"), shown);
        let request = self.client.tus(Method::PATCH, address, headers, body);
        let answer = tokio::select! {
            answer = request => answer?,
            () = standstill(&sent, left) => return Err(silent()),
        };
        match text(&answer, &CONTENT_TYPE) {
            Some(kind) if kind.starts_with("application/json") => {
                answer.json().await.map_err(|_| silent())
            }
            // It was whole before, or is not yet.
            _ => Err(silent()),
        }
    }

    async fn rest(&self, start: u64, left: u64, sent: &Arc<AtomicU64>) -> io::Result<Body> {
        let mut file = File::open(self.path).await?;
        let about = file.metadata().await?;
        if about.len() != self.bytes || about.modified().ok() != self.changed {
            return Err(io::Error::other("the file is being changed"));
        }
        file.seek(SeekFrom::Start(start)).await?;
        let (progress, sent) = (self.progress.clone(), Arc::clone(sent));
        let pieces = ReaderStream::with_capacity(file.take(left), PIECE_BYTES);
        let counted = pieces.inspect(move |piece| {
            if let Ok(piece) = piece {
                let count = piece.len() as u64;
                sent.fetch_add(count, Ordering::Relaxed);
                progress.sent(count);
            }
        });
        Ok(Body::wrap_stream(counted))
    }
}

/// Ends when nothing has gone over the connection for too long.
async fn standstill(sent: &AtomicU64, left: u64) {
    let (mut last, mut since) = (0, Instant::now());
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = sent.load(Ordering::Relaxed);
        if now != last {
            (last, since) = (now, Instant::now());
        }
        let most = match now >= left {
            true => FINISHING_MAX,
            false => STANDSTILL_MAX,
        };
        if since.elapsed() > most {
            return;
        }
    }
}

fn text<'a>(answer: &'a Response, name: &HeaderName) -> Option<&'a str> {
    answer.headers().get(name)?.to_str().ok()
}

fn silent() -> Trouble {
    Trouble::Refused {
        code: "client.interrupted".to_owned(),
        message: "the connection broke or fell silent".to_owned(),
        again: Some(PAUSE),
    }
}

/// Names with values in Base64; of a name that is there more than once the values are joined by commas, as in the query.
fn metadata(said: &[(&'static str, String)]) -> HeaderValue {
    let mut pairs: Vec<(&str, String)> = Vec::new();
    for (name, value) in said {
        match pairs.iter_mut().find(|(known, _)| known == name) {
            Some((_, values)) => {
                values.push(',');
                values.push_str(value);
            }
            None => pairs.push((name, value.clone())),
        }
    }
    let pairs = pairs
        .iter()
        .map(|(name, value)| format!("{name} {}", BASE64_STANDARD.encode(value)));
    let text = pairs.collect::<Vec<_>>().join(",");
    HeaderValue::try_from(text).expect("Base64 is visible ASCII")
}
