//! JSON bodies: small, in time, and without anything that nobody understands.

use crate::problem::{Problem, invalid};
use axum::extract::{FromRequest, Request};
use axum::http::header;
use bytes::Bytes;
use mediaflow_core::ErrorCode;
use serde::de::DeserializeOwned;
use serde::{Deserialize as _, Deserializer};
use std::time::Duration;

const BYTES_MAX: usize = 256 << 10;
const TIME_MAX: Duration = Duration::from_secs(30);

/// A JSON object of type `T`.
pub(crate) struct Json<T>(pub(crate) T);

/// The same, or nothing at all, which stands for the default.
pub(crate) struct MaybeJson<T>(pub(crate) T);

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let is_json = is_json(&request);
        let bytes = read(request).await?;
        parse(is_json, &bytes).map(Self)
    }
}

impl<S: Sync, T: DeserializeOwned + Default> FromRequest<S> for MaybeJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let is_json = is_json(&request);
        let bytes = read(request).await?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        parse(is_json, &bytes).map(Self)
    }
}

/// For a field that may be missing: null is something that was said.
pub(crate) fn present<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(from).map(Some)
}

fn is_json(request: &Request) -> bool {
    let value = request.headers().get(header::CONTENT_TYPE);
    let essence = value
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.split(';').next())
        .unwrap_or_default()
        .trim();
    essence.eq_ignore_ascii_case("application/json")
}

async fn read(request: Request) -> Result<Bytes, Problem> {
    let reading = axum::body::to_bytes(request.into_body(), BYTES_MAX);
    let late = || Problem::plain(ErrorCode::RequestTimeout);
    let read = tokio::time::timeout(TIME_MAX, reading);
    let bytes = read.await.map_err(|_| late())?;
    bytes.map_err(|_| {
        let text = format!("the body has more than {BYTES_MAX} bytes or ended early");
        invalid(text).into()
    })
}

/// The type must be said: a form on somebody else's page can send JSON, but not under this name.
fn parse<T: DeserializeOwned>(is_json: bool, bytes: &[u8]) -> Result<T, Problem> {
    if !is_json {
        return Err(invalid("the body must be JSON, with `Content-Type: application/json`").into());
    }
    serde_json::from_slice(bytes).map_err(|e| invalid(format!("the body: {e}")).into())
}
