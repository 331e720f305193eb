//! A small client of the HTTP API, for the command line.

use crate::advice;
use crate::fault::Fault;
use clap::Args;
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER,
};
use reqwest::{Body, RequestBuilder, Response, StatusCode, Url};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Where a server of one's own listens.
pub(crate) const DEFAULT_SERVER: &str = "http://127.0.0.1:8080";
/// Live streams say something every 15 seconds; after this long nobody is there any more.
const SILENCE_MAX: Duration = Duration::from_secs(40);
const LINE_BYTES_MAX: usize = 1 << 20;
/// Most items that the API gives at once.
const PAGE_MAX: usize = 200;

/// A server and the right to use it. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
    was_there: Arc<AtomicBool>,
}

/// Which server a command asks, for all commands that ask one.
#[derive(Debug, Clone, Args)]
pub(crate) struct Server {
    /// Where MediaFlow answers
    #[arg(long, global = true, value_name = "URL", env = "MEDIAFLOW_SERVER", default_value = DEFAULT_SERVER)]
    pub(crate) server: String,
    /// The API key, where the server wants one
    #[arg(
        long,
        global = true,
        value_name = "KEY",
        env = "MEDIAFLOW_API_KEY",
        hide_env_values = true
    )]
    key: Option<String>,
}

impl Server {
    /// # Errors
    /// The address or the key cannot be used.
    pub(crate) fn client(&self) -> Result<Client, Fault> {
        Client::new(&self.server, self.key.as_deref()).map_err(Fault::unusable)
    }
}

/// Why a request did not get what it asked for.
#[derive(Debug, Clone)]
pub(crate) enum Trouble {
    /// Nobody answers.
    Unreachable(String),
    /// The server said no.
    Refused {
        /// Its stable code.
        code: String,
        /// Its text.
        message: String,
        /// Whether, and when, to try again.
        again: Option<Duration>,
    },
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreachable(message) => f.write_str(message),
            Self::Refused { code, message, .. } => write!(f, "{message} ({code})"),
        }
    }
}

impl From<Trouble> for Fault {
    /// With what to try next, where that is known.
    fn from(trouble: Trouble) -> Self {
        match &trouble {
            Trouble::Unreachable(_) => Self::unusable(trouble),
            Trouble::Refused { code, .. } => match advice::next(code) {
                Some(next) => Self::failed(&trouble).and(next),
                None => Self::failed(trouble),
            },
        }
    }
}

/// One event of a live stream.
#[derive(Debug, Clone, Default)]
pub(crate) struct LiveEvent {
    /// To resume after.
    pub(crate) id: String,
    /// A CloudEvent.
    pub(crate) body: Value,
}

impl Client {
    /// # Errors
    /// A sentence: the address or the key cannot be used.
    pub(crate) fn new(server: &str, key: Option<&str>) -> Result<Self, String> {
        let mut base: Url = server
            .parse()
            .map_err(|e| format!("{server}: {e}; a server looks like {DEFAULT_SERVER}"))?;
        if !matches!(base.scheme(), "http" | "https") || base.cannot_be_a_base() {
            return Err(format!("{server}: a server looks like {DEFAULT_SERVER}"));
        }
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let mut headers = HeaderMap::new();
        if let Some(key) = key {
            let mut value = HeaderValue::from_str(&format!("Bearer {key}"))
                .map_err(|_| "the API key has letters that no key has".to_owned())?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let http = reqwest::Client::builder()
            .default_headers(headers)
            .connect_timeout(Duration::from_secs(10))
            .build()
            .map_err(|e| e.to_string())?;
        Ok(Self {
            http,
            base,
            was_there: Arc::default(),
        })
    }

    /// Whether somebody has answered so far: who did, may come back.
    pub(crate) fn has_answered(&self) -> bool {
        self.was_there.load(Ordering::Relaxed)
    }

    /// What a path of the API is called from outside.
    pub(crate) fn url(&self, path: &str) -> String {
        match self.base.join(path) {
            Ok(url) => url.to_string(),
            Err(_) => path.to_owned(),
        }
    }

    fn at(&self, path: &str) -> Url {
        self.base
            .join(path)
            .expect("paths of ours can be joined to any base")
    }

    /// Uploads a body; answers what the server said of it.
    pub(crate) async fn upload(
        &self,
        query: &[(&str, String)],
        idempotency_key: &str,
        length: Option<u64>,
        body: Body,
    ) -> Result<Value, Trouble> {
        let mut url = self.at("v1/assets");
        url.query_pairs_mut().extend_pairs(query);
        let mut request = self
            .http
            .post(url)
            .header(CONTENT_TYPE, "application/octet-stream")
            .header("Idempotency-Key", idempotency_key)
            .body(body);
        if let Some(length) = length {
            request = request.header(CONTENT_LENGTH, length);
        }
        json(self.send(request).await?).await
    }

    /// What `/v1/tus` answers.
    pub(crate) async fn tus(
        &self,
        method: reqwest::Method,
        path: &str,
        headers: HeaderMap,
        body: Body,
    ) -> Result<Response, Trouble> {
        let request = self.http.request(method, self.at(path));
        let request = request.header("Tus-Resumable", "1.0.0").headers(headers);
        self.send(request.body(body)).await
    }

    /// What a path of the API answers.
    pub(crate) async fn get(&self, path: &str) -> Result<Value, Trouble> {
        let request = self.http.get(self.at(path));
        json(self.send(request.timeout(SILENCE_MAX)).await?).await
    }

    /// What a path of the API answers to a query.
    pub(crate) async fn ask(&self, path: &str, query: &[(&str, String)]) -> Result<Value, Trouble> {
        let mut url = self.at(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let request = self.http.get(url).timeout(SILENCE_MAX);
        json(self.send(request).await?).await
    }

    /// The first items of a list, over as many pages as it takes: one page with up to `most` of them, and `next_cursor` where there
    /// may be more.
    pub(crate) async fn items(
        &self,
        path: &str,
        mut query: Vec<(&'static str, String)>,
        most: usize,
    ) -> Result<Value, Trouble> {
        let mut items = Vec::new();
        loop {
            // Nothing of a page may be left over: the next one begins behind it.
            let limit = (most - items.len()).clamp(1, PAGE_MAX);
            query.retain(|(name, _)| *name != "limit");
            query.push(("limit", limit.to_string()));
            let mut page = self.ask(path, &query).await?;
            if let Value::Array(found) = page["items"].take() {
                items.extend(found);
            }
            let next = page["next_cursor"].take();
            match next.as_str() {
                Some(cursor) if items.len() < most => {
                    query.retain(|(name, _)| *name != "cursor");
                    query.push(("cursor", cursor.to_owned()));
                }
                _ => return Ok(json!({ "items": items, "next_cursor": next })),
            }
        }
    }

    /// What a path of the API answers to a request without a body.
    pub(crate) async fn post(&self, path: &str) -> Result<Value, Trouble> {
        let request = self.http.post(self.at(path));
        json(self.send(request.timeout(SILENCE_MAX)).await?).await
    }

    /// What a path of the API answers to JSON that is sent to it.
    pub(crate) async fn send_json(
        &self,
        method: reqwest::Method,
        path: &str,
        body: &Value,
    ) -> Result<Value, Trouble> {
        let request = self.http.request(method, self.at(path));
        let request = request
            .header(CONTENT_TYPE, "application/json")
            .body(body.to_string());
        json(self.send(request.timeout(SILENCE_MAX)).await?).await
    }

    /// Deletes what is at a path of the API.
    pub(crate) async fn delete(&self, path: &str) -> Result<(), Trouble> {
        let request = self.http.delete(self.at(path));
        self.send(request.timeout(SILENCE_MAX)).await.map(drop)
    }

    /// The bytes at an address that the API named, which may be another server's: the key goes to nobody else.
    pub(crate) async fn fetch(&self, url: &str) -> Result<Vec<u8>, Trouble> {
        let url = self.base.join(url).map_err(|e| Trouble::Refused {
            code: "client.address".to_owned(),
            message: format!("{url} is no address: {e}"),
            again: None,
        })?;
        let is_ours = url.origin() == self.base.origin();
        let request = match is_ours {
            true => self.http.get(url),
            false => reqwest::Client::new().get(url),
        };
        let answer = self.send(request.timeout(SILENCE_MAX)).await?;
        let bytes = answer.bytes().await.map_err(|e| self.broken(&e))?;
        Ok(bytes.to_vec())
    }

    /// Everything known of an asset.
    pub(crate) async fn asset(&self, id: &str) -> Result<Value, Trouble> {
        self.get(&format!("v1/assets/{id}")).await
    }

    /// Events of `path` as they happen, after the one with the id `after`.
    pub(crate) async fn live(
        &self,
        path: &str,
        after: &str,
    ) -> Result<impl Stream<Item = LiveEvent> + use<>, Trouble> {
        let request = self
            .http
            .get(self.at(path))
            .header(ACCEPT, "text/event-stream")
            .header("Last-Event-ID", after);
        let answer = self.send(request).await?;
        let bytes = answer.bytes_stream().map_ok(|b| b.to_vec()).boxed();
        Ok(futures_util::stream::unfold(
            Lines::new(bytes),
            |mut lines| async { lines.event().await.map(|event| (event, lines)) },
        ))
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, Trouble> {
        let sent = request.send().await;
        if !sent.as_ref().is_err_and(reqwest::Error::is_connect) {
            self.was_there.store(true, Ordering::Relaxed);
        }
        let answer = sent.map_err(|e| self.broken(&e))?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        Err(refused(answer).await)
    }

    fn broken(&self, error: &reqwest::Error) -> Trouble {
        let mut reason: &dyn std::error::Error = error;
        while let Some(source) = reason.source() {
            reason = source;
        }
        let server = self.base.as_str().trim_end_matches('/');
        if error.is_connect() {
            return Trouble::Unreachable(format!(
                "no MediaFlow answers at {server} ({reason}); start one with `mediaflow serve`"
            ));
        }
        Trouble::Refused {
            code: "client.interrupted".to_owned(),
            message: format!("the connection to {server} broke: {reason}"),
            again: Some(Duration::from_millis(500)),
        }
    }
}

async fn refused(answer: Response) -> Trouble {
    let status = answer.status();
    let pause = answer
        .headers()
        .get(RETRY_AFTER)
        .and_then(|v| v.to_str().ok()?.parse().ok())
        .map(Duration::from_secs);
    let problem: Value = answer.json().await.unwrap_or_default();
    let code = problem["code"].as_str().unwrap_or_default().to_owned();
    let is_passing = matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
    ) || code == "conflict.running";
    Trouble::Refused {
        message: problem["detail"]
            .as_str()
            .map_or_else(|| status.to_string(), str::to_owned),
        code: if code.is_empty() {
            format!("http.{}", status.as_u16())
        } else {
            code
        },
        again: is_passing.then(|| pause.unwrap_or(Duration::from_secs(1))),
    }
}

async fn json(answer: Response) -> Result<Value, Trouble> {
    answer.json().await.map_err(|e| Trouble::Refused {
        code: "client.interrupted".to_owned(),
        message: format!("the answer cannot be read: {e}"),
        again: Some(Duration::from_millis(500)),
    })
}

/// Server-sent events, line by line.
struct Lines {
    bytes: BoxStream<'static, Result<Vec<u8>, reqwest::Error>>,
    buffer: Vec<u8>,
}

impl Lines {
    fn new(bytes: BoxStream<'static, Result<Vec<u8>, reqwest::Error>>) -> Self {
        Self {
            bytes,
            buffer: Vec::new(),
        }
    }

    /// The next event that has a body; `None` when the stream ends, breaks or falls silent.
    async fn event(&mut self) -> Option<LiveEvent> {
        let mut event = LiveEvent::default();
        loop {
            let line = self.line().await?;
            let (field, value) = line.split_once(':').unwrap_or((&line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "" if line.is_empty() && !event.body.is_null() => return Some(event),
                "id" => value.clone_into(&mut event.id),
                "data" => event.body = serde_json::from_str(value).unwrap_or_default(),
                _ => {}
            }
        }
    }

    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.buffer.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line);
                return Some(line.trim_end_matches(['\r', '\n']).to_owned());
            }
            if self.buffer.len() > LINE_BYTES_MAX {
                return None;
            }
            let piece = tokio::time::timeout(SILENCE_MAX, self.bytes.next()).await;
            self.buffer.extend(piece.ok()??.ok()?);
        }
    }
}
