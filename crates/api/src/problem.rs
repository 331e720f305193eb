//! Errors as RFC 9457 problem details. A handler answers a [`Problem`]; the outermost layer writes it, because
//! only that knows the correlation id.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use mediaflow_core::ErrorCode;
use mediaflow_engine::blob::BlobError;
use mediaflow_engine::store::StoreError;
use mediaflow_engine::{EngineError, RefusedAs};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;
use utoipa::ToSchema;

/// An error on its way out.
#[derive(Debug)]
pub(crate) struct Problem {
    error: EngineError,
    headers: Vec<(HeaderName, HeaderValue)>,
    standard: Option<Standard>,
}

/// A type that a standard has for an error, with its members.
#[derive(Debug)]
struct Standard {
    uri: &'static str,
    members: Vec<(&'static str, u64)>,
}

/// An RFC 9457 problem.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemView<'a> {
    /// `urn:mediaflow:error:` and the code, or the type that a standard has for it.
    r#type: String,
    /// What the code means, in general.
    title: &'a str,
    /// The HTTP status.
    status: u16,
    /// What happened here.
    detail: &'a str,
    /// Stable and machine-readable; listed in the documentation.
    code: &'a str,
    /// Finds the request in log, events and traces.
    correlation_id: &'a str,
    #[serde(flatten)]
    #[schema(ignore)]
    members: BTreeMap<&'static str, u64>,
}

#[derive(Clone)]
struct Unwritten(Arc<Problem>);

impl Problem {
    pub(crate) fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        EngineError::new(code, detail).into()
    }

    /// A code whose general meaning says everything.
    pub(crate) fn plain(code: ErrorCode) -> Self {
        Self::new(code, first_sentence(code.meaning()))
    }

    pub(crate) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The same with a type that a standard has for it.
    pub(crate) fn typed(mut self, uri: &'static str, members: Vec<(&'static str, u64)>) -> Self {
        self.standard = Some(Standard { uri, members });
        self
    }

    pub(crate) fn code(&self) -> ErrorCode {
        self.error.code
    }

    /// Whether the same bytes would be refused again.
    pub(crate) fn is_refusal(&self) -> bool {
        self.error.is_refusal()
    }

    /// What caused it, if it is such a thing.
    pub(crate) fn reason<E: std::error::Error + 'static>(&self) -> Option<&E> {
        self.error.reason.as_ref()?.downcast_ref()
    }

    pub(crate) fn detail(&self) -> &str {
        &self.error.message
    }

    fn log(&self) {
        let (code, reason) = (self.error.code, &self.error.reason);
        if code.status() >= 500 {
            tracing::error!(%code, detail = self.error.message, ?reason, "a request failed");
        } else {
            tracing::debug!(%code, detail = self.error.message, "a request was refused");
        }
    }

    fn write(&self, method: &Method, correlation: &str) -> Response {
        let code = self.error.code;
        let title = first_sentence(code.meaning());
        let standard = self.standard.as_ref();
        let view = ProblemView {
            r#type: standard.map_or_else(
                || format!("urn:mediaflow:error:{code}"),
                |standard| standard.uri.to_owned(),
            ),
            title,
            status: status(&self.error).as_u16(),
            detail: match code {
                ErrorCode::Internal => "something went wrong on the server",
                _ => &self.error.message,
            },
            code: code.as_str(),
            correlation_id: correlation,
            members: standard.map_or_else(BTreeMap::new, |standard| {
                standard.members.iter().copied().collect()
            }),
        };
        let json = serde_json::to_vec(&view).expect("strings and numbers are JSON");
        let length = json.len();
        let body = match *method {
            Method::HEAD => Body::empty(),
            _ => Body::from(json),
        };
        let mut response = Response::new(body);
        *response.status_mut() = status(&self.error);
        response.extensions_mut().insert(code);
        let headers = response.headers_mut();
        let json = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, json);
        headers.insert(header::CONTENT_LENGTH, length.into());
        // A cache that kept a 404 would hide what becomes visible a second later.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        );
        match code.status() {
            401 => drop(headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"mediaflow\""),
            )),
            _ if code == ErrorCode::LimitQuota => {
                drop(headers.insert(header::RETRY_AFTER, until_midnight().into()));
            }
            429 | 503 => drop(headers.insert(header::RETRY_AFTER, HeaderValue::from_static("2"))),
            _ => {}
        }
        for (name, value) in &self.headers {
            headers.insert(name, value.clone());
        }
        response
    }
}

/// Writes what a handler could only name; other answers pass.
pub(crate) fn written(mut response: Response, method: &Method, correlation: &str) -> Response {
    let Some(Unwritten(problem)) = response.extensions_mut().remove() else {
        return response;
    };
    problem.log();
    let mut written = problem.write(method, correlation);
    if let Some(allow) = response.headers().get(header::ALLOW) {
        written.headers_mut().insert(header::ALLOW, allow.clone());
    }
    written
}

/// Seconds until the next day begins in UTC.
fn until_midnight() -> u64 {
    const DAY: u64 = 86_400;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    DAY - now.map_or(0, |now| now.as_secs() % DAY)
}

fn status(error: &EngineError) -> StatusCode {
    let reason = error.reason.as_ref();
    let wanted = reason.and_then(|reason| reason.downcast_ref::<RefusedAs>());
    let status = wanted.map_or(error.code.status(), |wanted| wanted.0);
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn first_sentence(text: &str) -> &str {
    text.find(". ").map_or(text, |end| &text[..=end])
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = status(&self.error);
        response.extensions_mut().insert(Unwritten(Arc::new(self)));
        response
    }
}

impl From<EngineError> for Problem {
    fn from(error: EngineError) -> Self {
        Self {
            error,
            headers: Vec::new(),
            standard: None,
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        EngineError::from(error).into()
    }
}

impl From<BlobError> for Problem {
    fn from(error: BlobError) -> Self {
        EngineError::from(error).into()
    }
}

/// An error in what the client sent; the text names the part.
pub(crate) fn invalid(detail: impl Into<String>) -> EngineError {
    EngineError::new(ErrorCode::RequestInvalid, detail)
}
