//! The outermost layer: gives every request a correlation id, a span and its metrics, writes problems, and keeps
//! a bug in one request from being more than that.

use crate::problem::{Problem, written};
use crate::{Context, Shared};
use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;
use mediaflow_core::ErrorCode;
use mediaflow_core::trace::{TraceId, traceparent};
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;
use tracing::Instrument as _;
use tracing::field::Empty;

const CORRELATION: HeaderName = HeaderName::from_static("x-correlation-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Follows a request into log, asset and events.
#[derive(Debug, Clone)]
pub(crate) struct Correlation(pub(crate) Arc<str>);

impl Correlation {
    /// What the client sent, where that is fit to be written into a log; the trace's id; or a new one.
    fn of(headers: &HeaderMap, context: &Context) -> Self {
        let sent = text(headers, &CORRELATION).filter(|id| is_fit(id));
        let trace = || text(headers, &TRACEPARENT).and_then(traceparent);
        let sent = sent.map(str::to_owned);
        let id = sent.or_else(|| trace().map(|(trace, _)| trace.to_string()));
        Self(match id {
            Some(id) => id.into(),
            None => context
                .engine
                .environment()
                .id()
                .simple()
                .to_string()
                .into(),
        })
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn is_fit(id: &str) -> bool {
    let fit = |b: u8| b.is_ascii_alphanumeric() || b"-_.:/+=@".contains(&b);
    (1..=128).contains(&id.len()) && id.bytes().all(fit)
}

impl<S: Sync> FromRequestParts<S> for Correlation {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let found = parts.extensions.get::<Self>().cloned();
        Ok(found.unwrap_or_else(|| Self("".into())))
    }
}

pub(crate) async fn observe(
    State(context): State<Shared>,
    mut request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let correlation = Correlation::of(request.headers(), &context);
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("unmatched", MatchedPath::as_str);
    request.extensions_mut().insert(correlation.clone());
    // The path itself is not logged: signed ones open what they name.
    let span = tracing::info_span!(
        "request",
        correlation_id = %correlation.0,
        trace_id = %TraceId::of(&correlation.0),
        traceparent = text(request.headers(), &TRACEPARENT).filter(|t| traceparent(t).is_some()),
        %method,
        route,
        status = Empty,
        error = Empty,
    );
    let answer = AssertUnwindSafe(next.run(request))
        .catch_unwind()
        .instrument(span.clone())
        .await;
    let answer = answer.unwrap_or_else(|_| Problem::plain(ErrorCode::Internal).into_response());
    let mut response = span.in_scope(|| written(answer, &method, &correlation.0));
    let seconds = started.elapsed().as_secs_f64();
    let status = response.status().as_u16();
    let problem = response.extensions().get::<ErrorCode>().copied();
    context
        .metrics
        .request(known(&method), route, (status, problem), seconds);
    span.in_scope(|| tracing::debug!(seconds, "answered"));
    span.record("status", status);
    if status >= 500 {
        span.record("error", problem.map_or("internal", ErrorCode::as_str));
    }
    if let Ok(id) = HeaderValue::from_str(&correlation.0) {
        response.headers_mut().insert(CORRELATION, id);
    }
    response
}

/// Clients can invent methods, and every label value is kept for ever.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::PUT => "PUT",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_correlation_id_cannot_break_a_log_line() {
        assert!(is_fit("order-17/photo.3"));
        for bad in ["", "a b", "a\nb", "\u{e9}", &"x".repeat(129)] {
            assert!(!is_fit(bad), "{bad}");
        }
    }
}
