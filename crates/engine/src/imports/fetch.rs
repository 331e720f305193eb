//! One request for a file: redirects are followed by hand, and what answers is read strictly.

use super::ImportConfig;
use super::gate::{Gate, Lookup, Rules, SystemLookup};
use crate::{EngineError, disposition_filename};
use mediaflow_core::ErrorCode;
use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_RANGE, DATE, ETAG, HeaderMap,
    HeaderName, IF_RANGE, LAST_MODIFIED, LOCATION, RANGE, RETRY_AFTER,
};
use reqwest::{Client, Response, StatusCode, Url};
use std::sync::Arc;
use std::time::Duration;

const REDIRECTS_MAX: usize = 5;
/// Until an answer begins.
const HEAD_MAX: Duration = Duration::from_secs(60);
/// Longest wait that another server may ask for.
const RETRY_AFTER_MAX: u64 = 3600;

/// Asks other people's servers, and nobody's inside.
pub struct Fetcher {
    client: Client,
    gate: Gate,
    pub(super) config: ImportConfig,
}

/// Why a try brought nothing, or not all.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It may go better later, at least after this pause.
    Passing(EngineError, Duration),
    /// It will not.
    Lasting(EngineError),
}

/// An answer with bytes.
pub(super) struct Answer {
    /// Where its bytes begin.
    pub(super) start: u64,
    /// All bytes of the file, where that was told.
    pub(super) length: Option<u64>,
    /// What the file is called there, where that was told.
    pub(super) filename: Option<String>,
    /// What tells that they are the same the next time.
    pub(super) validator: Option<String>,
    /// The bytes.
    pub(super) response: Response,
}

impl Fetcher {
    /// Does nothing yet.
    ///
    /// # Errors
    /// Names the setting and what it should be.
    pub fn new(config: &ImportConfig) -> Result<Self, String> {
        Self::with(config, Arc::new(SystemLookup))
    }

    /// The same, with somebody else who knows the addresses of names.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with(config: &ImportConfig, lookup: Arc<dyn Lookup>) -> Result<Self, String> {
        config.check()?;
        let rules = Rules {
            allowed: config.networks()?,
            allow: "ingest.import.allow",
            ports: config.ports.iter().map(|port| *port..=*port).collect(),
            ports_said: "ingest.import.ports",
            url: ErrorCode::ImportUrl,
            address: ErrorCode::ImportAddress,
        };
        let gate = Gate::new(rules, lookup);
        let client = gate
            .client()
            .pool_max_idle_per_host(0)
            .build()
            .map_err(|e| format!("ingest.import: {e}"))?;
        Ok(Self {
            client,
            gate,
            config: config.clone(),
        })
    }

    pub(crate) fn concurrent_max(&self) -> usize {
        self.config.concurrent_max
    }

    /// # Errors
    /// `import.url` and `import.address` when it may not be asked for.
    pub(super) fn check(&self, url: &str) -> Result<Url, EngineError> {
        self.gate.parse(url)
    }

    /// Asks for the file, from a byte on if it is still the same file.
    pub(super) async fn get(
        &self,
        url: &str,
        mut from: Option<(u64, &str)>,
    ) -> Result<Answer, Trouble> {
        let mut url = self.gate.parse(url).map_err(Trouble::Lasting)?;
        for _ in 0..=REDIRECTS_MAX {
            let mut request = self
                .client
                .get(url.clone())
                .header(ACCEPT_ENCODING, "identity");
            if let Some((start, validator)) = from {
                request = request
                    .header(RANGE, format!("bytes={start}-"))
                    .header(IF_RANGE, validator);
            }
            let sent = tokio::time::timeout(HEAD_MAX, request.send()).await;
            let response = match sent {
                Err(_) => return Err(passing("it did not answer in time")),
                Ok(Err(error)) => return Err(unsent(&self.gate, error)),
                Ok(Ok(response)) => response,
            };
            let next = redirected(response.status(), response.headers(), &url)?;
            if let Some(next) = next {
                if is_downgrade(&url, &next) && !self.config.downgrade {
                    return Err(refused(
                        "it redirects from https to http (ingest.import.downgrade)",
                    ));
                }
                self.gate.check(&next).map_err(Trouble::Lasting)?;
                url = next;
                continue;
            }
            match read(response, from)? {
                Some(answer) => return Ok(answer),
                // Another file than the one of which there is a part already.
                None => from = None,
            }
        }
        Err(refused(format!(
            "it redirects more than {REDIRECTS_MAX} times"
        )))
    }
}

fn passing(what: &str) -> Trouble {
    Trouble::Passing(
        EngineError::new(ErrorCode::ImportFailed, what),
        Duration::ZERO,
    )
}

fn refused(what: impl Into<String>) -> Trouble {
    Trouble::Lasting(EngineError::new(ErrorCode::ImportRefused, what))
}

/// Why a request was not answered.
fn unsent(gate: &Gate, error: reqwest::Error) -> Trouble {
    if let Some(forbidden) = gate.forbids(&error) {
        return Trouble::Lasting(forbidden);
    }
    let message = match error.is_connect() {
        true => "it cannot be reached",
        false => "it broke off before it answered",
    };
    let error = EngineError {
        code: ErrorCode::ImportFailed,
        message: message.to_owned(),
        // Addresses may have secrets in them.
        reason: Some(Box::new(error.without_url())),
    };
    Trouble::Passing(error, Duration::ZERO)
}

/// Where it is to be asked for instead.
fn redirected(status: StatusCode, headers: &HeaderMap, url: &Url) -> Result<Option<Url>, Trouble> {
    if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let location = text(headers, &LOCATION);
    let next = location.and_then(|location| url.join(location).ok());
    let next = next.ok_or_else(|| refused("it redirects to no address"))?;
    Ok(Some(next))
}

/// Whether what was safe from others on the way is not any more.
fn is_downgrade(url: &Url, next: &Url) -> bool {
    url.scheme() == "https" && next.scheme() != "https"
}

/// Nothing where the rest that was asked for is not there.
fn read(response: Response, from: Option<(u64, &str)>) -> Result<Option<Answer>, Trouble> {
    let (status, headers) = (response.status(), response.headers());
    let encoding = text(headers, &CONTENT_ENCODING);
    let is_plain = encoding.is_none_or(|encoding| encoding.eq_ignore_ascii_case("identity"));
    match (status, from) {
        _ if status.is_success() && !is_plain => Err(refused(
            "it sends the file compressed (Content-Encoding), though it was asked not to",
        )),
        (StatusCode::OK, _) => Ok(Some(Answer {
            start: 0,
            length: response.content_length(),
            filename: named(headers),
            validator: validator(headers),
            response,
        })),
        (StatusCode::PARTIAL_CONTENT, Some((start, asked))) => {
            let range = text(headers, &CONTENT_RANGE).and_then(range);
            let etag = text(headers, &ETAG);
            let is_same = !asked.starts_with('"') || etag.is_none_or(|etag| etag == asked);
            match range {
                Some((first, length)) if first == start && is_same => Ok(Some(Answer {
                    start,
                    length,
                    filename: named(headers),
                    validator: Some(asked.to_owned()),
                    response,
                })),
                _ => Ok(None),
            }
        }
        (StatusCode::RANGE_NOT_SATISFIABLE, Some(_)) => Ok(None),
        _ => Err(unwilling(status, headers)),
    }
}

fn unwilling(status: StatusCode, headers: &HeaderMap) -> Trouble {
    let text_of = format!("it answers {status}");
    match status.as_u16() {
        408 | 425 | 429 | 500 | 502 | 503 | 504 => {
            let wanted = text(headers, &RETRY_AFTER).and_then(|text| text.trim().parse().ok());
            let pause = Duration::from_secs(wanted.unwrap_or(0u64).min(RETRY_AFTER_MAX));
            Trouble::Passing(EngineError::new(ErrorCode::ImportFailed, text_of), pause)
        }
        _ => refused(text_of),
    }
}

/// What can be asked for again by: a strong entity tag, or a date that is old enough to be as good as one (RFC 9110, 8.8.2.2).
fn validator(headers: &HeaderMap) -> Option<String> {
    if let Some(etag) = text(headers, &ETAG).filter(|etag| etag.starts_with('"')) {
        return Some(etag.to_owned());
    }
    let changed = text(headers, &LAST_MODIFIED)?;
    let date = |text| httpdate::parse_http_date(text).ok();
    let age = date(text(headers, &DATE)?)?
        .duration_since(date(changed)?)
        .ok()?;
    (age >= Duration::from_secs(60)).then(|| changed.to_owned())
}

fn named(headers: &HeaderMap) -> Option<String> {
    disposition_filename(headers.get(CONTENT_DISPOSITION)?.as_bytes())
}

/// First byte and length of the whole in `bytes 5-9/10`.
fn range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, length) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, _) = range.split_once('-')?;
    let length = match length {
        "*" => None,
        length => Some(length.parse().ok()?),
    };
    Some((first.parse().ok()?, length))
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    #[test]
    fn redirects_lead_where_they_say_and_downgrades_are_told() {
        let url: Url = "https://a.example/b/c.jpg".parse().unwrap();
        let to = |location: &'static str| {
            let headers = [(LOCATION, HeaderValue::from_static(location))];
            redirected(StatusCode::FOUND, &HeaderMap::from_iter(headers), &url)
        };
        for (location, expected, is_worse) in [
            ("d.jpg", "https://a.example/b/d.jpg", false),
            ("//b.example/d.jpg", "https://b.example/d.jpg", false),
            ("https://b.example/", "https://b.example/", false),
            ("http://a.example/b/c.jpg", "http://a.example/b/c.jpg", true),
        ] {
            let next = to(location).unwrap().unwrap();
            assert_eq!(next.as_str(), expected);
            assert_eq!(is_downgrade(&url, &next), is_worse, "{location}");
            assert!(!is_downgrade(
                &next.join("http://x.example").unwrap(),
                &next
            ));
        }
        assert!(to("http://").is_err());
        let nothing = redirected(StatusCode::OK, &HeaderMap::new(), &url);
        assert!(nothing.unwrap().is_none());
    }
}
