//! One request to a receiver, and what its answer means.

use super::WebhooksConfig;
use crate::imports::{Gate, Lookup, Rules, SystemLookup};
use crate::{EngineError, signature};
use mediaflow_core::{ErrorCode, Timestamp};
use mediaflow_store::SigningKeys;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode};
use std::error::Error as _;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// Of an answer, what is kept.
const ANSWER_BYTES_MAX: usize = 1024;
/// Longest reason of a failure that is told.
const REASON_CHARS_MAX: usize = 200;
/// Longest wait that a receiver may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);
/// Connections to one receiver that are kept for the next delivery, and for how long.
const IDLE_MAX: (usize, Duration) = (4, Duration::from_secs(30));

/// Tells receivers, and nobody inside.
pub struct WebhookSender {
    client: Client,
    gate: Gate,
    pub(crate) config: WebhooksConfig,
}

/// What is sent.
pub(crate) struct Letter<'a> {
    pub(crate) url: &'a str,
    pub(crate) keys: &'a SigningKeys,
    /// The same at every attempt.
    pub(crate) id: &'a str,
    pub(crate) body: &'a str,
}

/// How that went.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: Option<u16>,
    pub(crate) took: Duration,
    /// Why it was not delivered; nothing when it was.
    pub(crate) error: Option<String>,
    /// The beginning of what was answered.
    pub(crate) answer: Option<String>,
    /// The pause that the receiver asks for.
    pub(crate) retry_after: Duration,
}

impl WebhookSender {
    /// Does nothing yet.
    ///
    /// # Errors
    /// Names the setting and what it should be.
    pub fn new(config: &WebhooksConfig) -> Result<Self, String> {
        Self::with(config, Arc::new(SystemLookup))
    }

    /// The same, with somebody else who knows the addresses of names.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with(config: &WebhooksConfig, lookup: Arc<dyn Lookup>) -> Result<Self, String> {
        config.check()?;
        let rules = Rules {
            allowed: config.networks()?,
            allow: "webhooks.allow",
            // Above 1023 nothing listens that stands for a whole machine, such as its mail server.
            ports: vec![80..=80, 443..=443, 1024..=u16::MAX],
            ports_said: "80, 443, and those from 1024 on are",
            url: ErrorCode::WebhookUrl,
            address: ErrorCode::WebhookAddress,
        };
        let gate = Gate::new(rules, lookup);
        let (idle_max, idle_time) = IDLE_MAX;
        let client = gate
            .client()
            .pool_max_idle_per_host(idle_max)
            .pool_idle_timeout(idle_time)
            .build()
            .map_err(|e| format!("webhooks: {e}"))?;
        Ok(Self {
            client,
            gate,
            config: config.clone(),
        })
    }

    /// # Errors
    /// `webhook.url` and `webhook.address` when it may not be told.
    pub(crate) fn check(&self, url: &str) -> Result<(), EngineError> {
        self.gate.parse(url).map(drop)
    }

    /// Sends it once.
    pub(crate) async fn send(&self, letter: &Letter<'_>, now: Timestamp) -> Answered {
        let began = Instant::now();
        let limit = Duration::from_millis(self.config.timeout_ms);
        let response = match tokio::time::timeout(limit, self.ask(letter, now)).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Answered::nothing(began, error),
            Err(_) => {
                let text = format!("it did not answer within {} ms", limit.as_millis());
                return Answered::nothing(began, text);
            }
        };
        let (took, status) = (began.elapsed(), response.status());
        let retry_after = match status.as_u16() {
            429 | 503 => wanted(response.headers()),
            _ => Duration::ZERO,
        };
        // What is told behind the head changes nothing, and nobody waits for it beyond the limit.
        let mut answer = Vec::new();
        let reading = beginning(response, &mut answer);
        let _ = tokio::time::timeout(limit.saturating_sub(took), reading).await;
        Answered {
            status: Some(status.as_u16()),
            took,
            error: failure(status),
            answer: Some(text(&answer)),
            retry_after,
        }
    }

    async fn ask(&self, letter: &Letter<'_>, now: Timestamp) -> Result<Response, String> {
        // What is allowed may have changed since it was made.
        let url = self.gate.parse(letter.url).map_err(|e| e.message)?;
        let seconds = now.0.div_euclid(1000);
        let keys = letter.keys.0.iter();
        let signatures: Vec<String> = keys
            .map(|key| signature::sign(key, letter.id, seconds, letter.body))
            .collect();
        let request = self
            .client
            .post(url)
            .header(CONTENT_TYPE, "application/cloudevents+json")
            .header("webhook-id", letter.id)
            .header("webhook-timestamp", seconds)
            .header("webhook-signature", signatures.join(" "))
            .body(letter.body.to_owned());
        request.send().await.map_err(|error| self.unsent(&error))
    }

    /// Why a request was not answered.
    fn unsent(&self, error: &reqwest::Error) -> String {
        if let Some(forbidden) = self.gate.forbids(error) {
            return forbidden.message;
        }
        if !error.is_connect() {
            return "it broke off before it answered".to_owned();
        }
        let mut reason = error.source();
        while let Some(inner) = reason.and_then(|reason| reason.source()) {
            reason = Some(inner);
        }
        let reason = reason.map(ToString::to_string).unwrap_or_default();
        let reason: String = reason.chars().take(REASON_CHARS_MAX).collect();
        format!("it cannot be reached: {reason}")
    }
}

impl Answered {
    fn nothing(began: Instant, error: String) -> Self {
        Self {
            status: None,
            took: began.elapsed(),
            error: Some(error),
            answer: None,
            retry_after: Duration::ZERO,
        }
    }
}

fn failure(status: StatusCode) -> Option<String> {
    match status {
        _ if status.is_success() => None,
        _ if status.is_redirection() => Some(format!(
            "it answers {status}, and redirects are not followed"
        )),
        _ => Some(format!("it answers {status}")),
    }
}

/// How long a receiver wants to be left alone, within reason.
fn wanted(headers: &HeaderMap) -> Duration {
    let text = headers.get(RETRY_AFTER).and_then(|text| text.to_str().ok());
    let text = text.unwrap_or_default().trim();
    let until = || httpdate::parse_http_date(text).ok();
    let pause = match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => until().and_then(|until| until.duration_since(SystemTime::now()).ok()),
    };
    pause.unwrap_or_default().min(RETRY_AFTER_MAX)
}

async fn beginning(mut response: Response, read: &mut Vec<u8>) {
    while read.len() < ANSWER_BYTES_MAX
        && let Ok(Some(piece)) = response.chunk().await
    {
        let room = ANSWER_BYTES_MAX - read.len();
        read.extend(&piece[..piece.len().min(room)]);
    }
}

/// As people can read it: some databases and terminals take no control characters.
fn text(answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(answer);
    let shown = text.chars().filter(|c| !c.is_control() || *c == '\n');
    shown.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    #[test]
    fn a_pause_is_honoured_within_an_hour() {
        let of = |text: &str| {
            let value = HeaderValue::from_str(text).unwrap();
            wanted(&HeaderMap::from_iter([(RETRY_AFTER, value)])).as_secs()
        };
        assert_eq!(of("120"), 120);
        assert_eq!(of("86400"), 3600);
        assert_eq!(of("Wed, 21 Oct 2015 07:28:00 GMT"), 0);
        let soon = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(600));
        assert!((590..=600).contains(&of(&soon)));
        for nothing in ["", "-5", "soon"] {
            assert_eq!(of(nothing), 0, "{nothing}");
        }
    }
}
