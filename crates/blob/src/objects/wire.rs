//! The one door to the store: every request goes through here, is tried again where that can help, and fails with what
//! it means. It knows HTTP and what S3 servers say in it, and no keys.
//!
//! Trying again is safe for every request: writes refuse to replace, so that the second finds what the first has done
//! (see `settle`), and an upload in parts that was begun twice leaves one that nobody completes.

use super::budget::RetryBudget;
use crate::observe;
use async_trait::async_trait;
use bytes::Bytes;
use http::header::{HeaderValue, IF_NONE_MATCH};
use http::{Method, StatusCode};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use std::sync::Arc;
use std::time::Duration;

const CONNECT_MAX: Duration = Duration::from_secs(5);
/// From the last byte sent to the first received, and between bytes.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// Answers of this kind are read at once: errors, and the end of an upload in parts.
const SAID_BYTES_MAX: usize = 64 << 10;

/// Nothing helped. It is found again as the innermost reason of the library's errors.
#[derive(Debug, thiserror::Error)]
#[error("{said} (tried {tries} times)")]
pub(super) struct GivenUp {
    pub(super) said: String,
    pub(super) tries: u32,
}

/// Makes the one client.
#[derive(Debug, Clone)]
pub(super) struct Wire {
    client: reqwest::Client,
    budget: Arc<RetryBudget>,
    /// Whether the end of an upload in parts refuses to replace; the library cannot ask for it.
    completes_once: bool,
}

impl Wire {
    pub(super) fn new(budget: Arc<RetryBudget>, completes_once: bool) -> Result<Self, String> {
        Self::trusting(reqwest::Client::builder(), budget, completes_once)
    }

    /// `builder` says whom it trusts.
    pub(super) fn trusting(
        builder: reqwest::ClientBuilder,
        budget: Arc<RetryBudget>,
        completes_once: bool,
    ) -> Result<Self, String> {
        let client = builder
            .connect_timeout(CONNECT_MAX)
            .read_timeout(SILENCE_MAX)
            .build()
            .map_err(|e| format!("no HTTP client: {e}"))?;
        Ok(Self {
            client,
            budget,
            completes_once,
        })
    }
}

impl HttpConnector for Wire {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

/// What one try has come to.
enum Outcome {
    Answered(HttpResponse),
    MayPass { said: String, slow_down: bool },
}

#[async_trait]
impl HttpService for Wire {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        if self.completes_once && completes(&request) {
            let any = HeaderValue::from_static("*");
            request.headers_mut().insert(IF_NONE_MATCH, any);
        }
        let mut tries = 0;
        loop {
            tries += 1;
            match self.once(request.clone()).await {
                Outcome::Answered(response) => {
                    self.budget.earn();
                    return Ok(response);
                }
                Outcome::MayPass { said, slow_down } => {
                    let Some(pause) = self.budget.next(tries, slow_down) else {
                        let reason = GivenUp { said, tries };
                        // Of this kind the library tries nothing again.
                        return Err(HttpError::new(HttpErrorKind::Unknown, reason));
                    };
                    observe::retried();
                    tracing::debug!(%said, tries, "the object store did not do it; trying again");
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }
}

impl Wire {
    async fn once(&self, request: HttpRequest) -> Outcome {
        let ends_upload = completes(&request);
        let response = match HttpService::call(&self.client, request).await {
            Ok(response) => response,
            Err(error) => return lost(&error),
        };
        let status = response.status();
        let must_look =
            ends_upload || status == StatusCode::BAD_REQUEST || status == StatusCode::CONFLICT;
        if status.is_success() && !must_look {
            return Outcome::Answered(response);
        }
        if !must_look && !may_pass(status) {
            return Outcome::Answered(response);
        }
        let (head, body) = response.into_parts();
        let said = match body.bytes().await {
            Ok(said) => said,
            Err(error) => return lost(&error),
        };
        let code = code(&said);
        match may_pass(status) || code.as_deref().is_some_and(is_passing) {
            true => Outcome::MayPass {
                slow_down: status == StatusCode::TOO_MANY_REQUESTS
                    || code.as_deref() == Some("SlowDown"),
                said: format!("{status} {}", code.unwrap_or_default()),
            },
            false => Outcome::Answered(HttpResponse::from_parts(head, said.into())),
        }
    }
}

fn lost(error: &HttpError) -> Outcome {
    let mut said = error.to_string();
    let mut reason = std::error::Error::source(error);
    while let Some(inner) = reason {
        said = inner.to_string();
        reason = inner.source();
    }
    Outcome::MayPass {
        said,
        slow_down: false,
    }
}

/// Whether the request makes an object of uploaded parts. Its answer may begin with 200 and end with an error.
fn completes(request: &HttpRequest) -> bool {
    let query = request.uri().query().unwrap_or_default();
    *request.method() == Method::POST && query.split('&').any(|p| p.starts_with("uploadId="))
}

pub(super) fn may_pass(status: StatusCode) -> bool {
    (status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED)
        || status == StatusCode::TOO_MANY_REQUESTS
        || status == StatusCode::REQUEST_TIMEOUT
}

/// Codes that mean "later", whatever the status.
fn is_passing(code: &str) -> bool {
    matches!(
        code,
        "SlowDown"
            | "InternalError"
            | "ServiceUnavailable"
            | "RequestTimeout"
            | "OperationAborted"
            | "ConditionalRequestConflict"
            // What arrived was not what was sent.
            | "BadDigest"
            | "XAmzContentSHA256Mismatch"
    )
}

/// The code of an error in XML.
fn code(said: &Bytes) -> Option<String> {
    let text = String::from_utf8_lossy(&said[..said.len().min(SAID_BYTES_MAX)]);
    let (_, error) = text.split_once("<Error>")?;
    let (_, code) = error.split_once("<Code>")?;
    Some(code.split_once("</Code>")?.0.to_owned())
}
