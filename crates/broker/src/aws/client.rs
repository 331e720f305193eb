//! Requests in SQS's JSON protocol (`application/x-amz-json-1.0`) and in the older one of SNS, forms that are answered in XML.

use super::credentials::Source;
use super::sign::{Request, authorization};
use crate::BrokerError;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use std::fmt;
use std::time::Duration;
use time::OffsetDateTime;

/// Longer than the longest poll.
const ANSWER_MAX: Duration = Duration::from_secs(30);
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// Which service, for signatures and messages.
pub(crate) type Service = &'static str;

pub(crate) struct Client {
    service: Service,
    http: reqwest::Client,
    endpoint: String,
    host: String,
    region: String,
    credentials: Source,
}

/// What a service, or the way to it, said.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Its own word.
    Refused {
        service: Service,
        status: StatusCode,
        code: String,
        message: String,
    },
    /// Everything before it.
    Unreached(BrokerError),
}

impl Client {
    /// `endpoint` is where the service is, if not at Amazon's.
    pub(crate) fn new(
        service: Service,
        region: String,
        endpoint: String,
    ) -> Result<Self, BrokerError> {
        let wrong = || BrokerError::permanent(service, "endpoint must be http(s)://host[:port]");
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
            .map_err(|e| BrokerError::permanent(service, e))?;
        Ok(Self {
            service,
            credentials: Source::new(service, http.clone(), region.clone()),
            http,
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            host,
            region,
        })
    }

    /// Signs with this key and not with what the environment has.
    pub(crate) fn with_key(mut self, id: &str, secret: &str) -> Self {
        self.credentials = self.credentials.fixed(id, secret);
        self
    }

    /// In the JSON protocol.
    pub(crate) async fn call<T: for<'de> Deserialize<'de>>(
        &self,
        action: &str,
        arguments: &Value,
    ) -> Result<T, Failure> {
        let target = format!("AmazonSQS.{action}");
        let content_type = "application/x-amz-json-1.0";
        let (status, body) = self
            .post(content_type, Some(&target), arguments.to_string())
            .await?;
        if !status.is_success() {
            return Err(Failure::in_json(self.service, status, &body));
        }
        // Some answers have no body at all.
        let body: &[u8] = if body.is_empty() { b"{}" } else { &body };
        serde_json::from_slice(body)
            .map_err(|e| Failure::Unreached(BrokerError::transient(self.service, e)))
    }

    /// In the older protocol; answers XML.
    pub(crate) async fn ask(&self, form: &[(String, String)]) -> Result<String, Failure> {
        let escape = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
        let pairs: Vec<String> = form
            .iter()
            .map(|(name, value)| format!("{name}={}", escape(value)))
            .collect();
        let content_type = "application/x-www-form-urlencoded";
        let (status, body) = self.post(content_type, None, pairs.join("&")).await?;
        let text = String::from_utf8_lossy(&body).into_owned();
        match status.is_success() {
            true => Ok(text),
            false => Err(Failure::in_xml(self.service, status, &text)),
        }
    }

    async fn post(
        &self,
        content_type: &str,
        target: Option<&str>,
        body: String,
    ) -> Result<(StatusCode, Vec<u8>), Failure> {
        let credentials = self.credentials.get().await.map_err(Failure::Unreached)?;
        let signed = authorization(
            &Request {
                service: self.service,
                host: &self.host,
                content_type,
                target,
                body: body.as_bytes(),
                region: &self.region,
                at: OffsetDateTime::now_utc(),
            },
            &credentials,
        );
        let mut request = self
            .http
            .post(format!("{}/", self.endpoint))
            .header("content-type", content_type)
            .header("x-amz-date", signed.date)
            .header("authorization", signed.authorization);
        if let Some(target) = target {
            request = request.header("x-amz-target", target);
        }
        if let Some(token) = &credentials.token {
            request = request.header("x-amz-security-token", token);
        }
        let unreached = |e: reqwest::Error| {
            // Its text has the address, which has no secrets, but not why.
            let cause = std::error::Error::source(&e).map(ToString::to_string);
            let text = format!("{e}: {}", cause.unwrap_or_default());
            Failure::Unreached(BrokerError::transient(self.service, text))
        };
        let answer = request.body(body).send().await.map_err(unreached)?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(unreached)?;
        Ok((status, body.to_vec()))
    }
}

/// What is between the first such tags. Answers that are read here have no attributes and nothing escaped.
pub(crate) fn between<'a>(xml: &'a str, tag: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{tag}>"))?;
    Some(rest.split_once(&format!("</{tag}>"))?.0)
}

impl Failure {
    fn in_xml(service: Service, status: StatusCode, body: &str) -> Self {
        let text = |tag| between(body, tag).unwrap_or_default().to_owned();
        Self::Refused {
            service,
            status,
            code: text("Code"),
            message: text("Message"),
        }
    }

    fn in_json(service: Service, status: StatusCode, body: &[u8]) -> Self {
        // Some say `message`, some `Message`, some both.
        let said: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |name: &str| said[name].as_str().unwrap_or_default().to_owned();
        let code = text("__type");
        let code = code.rsplit('#').next().unwrap_or_default();
        Self::Refused {
            service,
            status,
            code: code.to_owned(),
            message: [text("message"), text("Message")]
                .into_iter()
                .find(|text| !text.is_empty())
                .unwrap_or_default(),
        }
    }

    pub(crate) fn is_missing_queue(&self) -> bool {
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
                ..
            } => write!(f, "{status}: {code} {message}"),
            Self::Unreached(error) => error.fmt(f),
        }
    }
}

impl From<Failure> for BrokerError {
    fn from(failure: Failure) -> Self {
        let (service, status, code) = match &failure {
            Failure::Refused {
                service,
                status,
                code,
                ..
            } => (*service, status, code),
            Failure::Unreached(error) => return error.clone(),
        };
        let passing = status.is_server_error()
            || *status == StatusCode::TOO_MANY_REQUESTS
            || code.contains("Throttl")
            || code.contains("ExpiredToken");
        match passing {
            true => Self::transient(service, failure),
            false => Self::permanent(service, failure),
        }
    }
}
