//! Requests in SQS's JSON protocol (`application/x-amz-json-1.0`).

use super::NAME;
use super::credentials::Source;
use super::sign::{Request, authorization};
use crate::BrokerError;
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use std::fmt;
use std::time::Duration;
use time::OffsetDateTime;

/// Longer than the longest poll.
const ANSWER_MAX: Duration = Duration::from_secs(30);
const CONNECT_MAX: Duration = Duration::from_secs(5);

pub(super) struct Client {
    http: reqwest::Client,
    endpoint: String,
    host: String,
    region: String,
    credentials: Source,
}

/// What SQS, or the way to it, said.
#[derive(Debug)]
pub(super) enum Failure {
    /// SQS's own word.
    Refused {
        status: StatusCode,
        code: String,
        message: String,
    },
    /// Everything before it.
    Unreached(BrokerError),
}

impl Client {
    pub(super) fn new(region: String, endpoint: String) -> Result<Self, BrokerError> {
        let wrong = || BrokerError::permanent(NAME, "endpoint must be http(s)://host[:port]");
        // Signing needs the host as it is sent.
        let url: reqwest::Url = endpoint.parse().map_err(|_| wrong())?;
        let host = match (url.host_str(), url.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (Some(host), None) => host.to_owned(),
            (None, _) => return Err(wrong()),
        };
        // The process may have chosen already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_MAX)
            .timeout(ANSWER_MAX)
            .tcp_keepalive(Duration::from_secs(15))
            .build()
            .map_err(|e| BrokerError::permanent(NAME, e))?;
        Ok(Self {
            credentials: Source::new(http.clone(), region.clone()),
            http,
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            host,
            region,
        })
    }

    pub(super) async fn call<T: for<'de> Deserialize<'de>>(
        &self,
        action: &str,
        arguments: &Value,
    ) -> Result<T, Failure> {
        let credentials = self.credentials.get().await.map_err(Failure::Unreached)?;
        let target = format!("AmazonSQS.{action}");
        let body = arguments.to_string();
        let signed = authorization(
            &Request {
                host: &self.host,
                target: &target,
                body: body.as_bytes(),
                region: &self.region,
                at: OffsetDateTime::now_utc(),
            },
            &credentials,
        );
        let mut request = self
            .http
            .post(format!("{}/", self.endpoint))
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", target)
            .header("x-amz-date", signed.date)
            .header("authorization", signed.authorization);
        if let Some(token) = &credentials.token {
            request = request.header("x-amz-security-token", token);
        }
        let unreached = |e: reqwest::Error| {
            // Its text has the address, which has no secrets, but not why.
            let cause = std::error::Error::source(&e).map(ToString::to_string);
            let text = format!("{e}: {}", cause.unwrap_or_default());
            Failure::Unreached(BrokerError::transient(NAME, text))
        };
        let answer = request.body(body).send().await.map_err(unreached)?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(unreached)?;
        if !status.is_success() {
            return Err(Failure::refused(status, &body));
        }
        // Some answers have no body at all.
        let body: &[u8] = if body.is_empty() { b"{}" } else { &body };
        serde_json::from_slice(body)
            .map_err(|e| Failure::Unreached(BrokerError::transient(NAME, e)))
    }
}

impl Failure {
    fn refused(status: StatusCode, body: &[u8]) -> Self {
        // Some say `message`, some `Message`, some both.
        let said: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |name: &str| said[name].as_str().unwrap_or_default().to_owned();
        let code = text("__type");
        let code = code.rsplit('#').next().unwrap_or_default();
        Self::Refused {
            status,
            code: code.to_owned(),
            message: [text("message"), text("Message")]
                .into_iter()
                .find(|text| !text.is_empty())
                .unwrap_or_default(),
        }
    }

    pub(super) fn is_missing_queue(&self) -> bool {
        // The older name is still said by some that speak the protocol.
        matches!(self, Self::Refused { code, .. }
            if code == "QueueDoesNotExist" || code.ends_with("NonExistentQueue"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused {
                status,
                code,
                message,
            } => write!(f, "{status}: {code} {message}"),
            Self::Unreached(error) => error.fmt(f),
        }
    }
}

impl From<Failure> for BrokerError {
    fn from(failure: Failure) -> Self {
        let Failure::Refused { status, code, .. } = &failure else {
            let Failure::Unreached(error) = failure else {
                unreachable!("there are two");
            };
            return error;
        };
        let passing = status.is_server_error()
            || *status == StatusCode::TOO_MANY_REQUESTS
            || code.contains("Throttl")
            || code.contains("ExpiredToken");
        match passing {
            true => Self::transient(NAME, failure),
            false => Self::permanent(NAME, failure),
        }
    }
}
