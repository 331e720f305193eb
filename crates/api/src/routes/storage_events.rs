//! `POST /v1/storage-events`: what MinIO and others tell of new objects in a bucket.

use crate::Shared;
use crate::params::NoParams;
use crate::problem::{Problem, ProblemView, invalid};
use axum::Json as Answer;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use mediaflow_core::ErrorCode;
use mediaflow_engine::StorageSource;
use serde::Serialize;
use std::time::Duration;
use subtle::ConstantTimeEq as _;
use utoipa::ToSchema;

const BYTES_MAX: usize = 1 << 20;
const TIME_MAX: Duration = Duration::from_secs(30);

/// What was understood.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventsTaken {
    /// Objects that become assets, or have become some already.
    objects: usize,
}

/// Take storage events.
///
/// Notifications of S3 and MinIO about objects that were created. They are recorded with the answer, and the objects are copied in the
/// background. The token is the one of an entry `[[ingest.events]]`, and no API key.
#[utoipa::path(
    post, path = "/v1/storage-events", operation_id = "takeStorageEvents", tag = "storage events", security(()),
    params(("Authorization" = String, Header, description = "`Bearer` and the token.")),
    request_body(content = Object, content_type = "application/json"),
    responses(
        (status = 200, body = EventsTaken),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
        (status = "5XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn post(
    State(context): State<Shared>,
    headers: HeaderMap,
    _: NoParams,
    body: Body,
) -> Result<Answer<EventsTaken>, Problem> {
    let source = source(&context, &headers)?;
    let reading = axum::body::to_bytes(body, BYTES_MAX);
    let late = |_| Problem::plain(ErrorCode::RequestTimeout);
    let read = tokio::time::timeout(TIME_MAX, reading)
        .await
        .map_err(late)?;
    let wrong = || {
        invalid(format!(
            "the body has more than {BYTES_MAX} bytes, ended early or is not UTF-8"
        ))
    };
    let body = read.map_err(|_| wrong())?;
    let body = std::str::from_utf8(&body).map_err(|_| wrong())?;
    let recorded = context.engine.record_events(source, body).await?;
    Ok(Answer(EventsTaken {
        objects: recorded.len(),
    }))
}

fn source<'a>(context: &'a Shared, headers: &HeaderMap) -> Result<&'a StorageSource, Problem> {
    let value = headers.get(header::AUTHORIZATION);
    let text = value.and_then(|value| value.to_str().ok());
    let Some(text) = text else {
        return Err(Problem::plain(ErrorCode::AuthMissing));
    };
    let token = match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => text,
    };
    let mut sources = context.engine.storage_sources().iter();
    let found = sources.find(|source| {
        let own = source.token().unwrap_or_default().as_bytes();
        !own.is_empty() && bool::from(own.ct_eq(token.as_bytes()))
    });
    found.ok_or_else(|| Problem::plain(ErrorCode::AuthInvalid))
}
