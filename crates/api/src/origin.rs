//! How addresses in answers begin.

use crate::Shared;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Uri, header};
use std::convert::Infallible;

/// Scheme and host without a slash at the end; empty when the request has no sensible host.
pub(crate) struct Origin(pub(crate) String);

impl FromRequestParts<Shared> for Origin {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, context: &Shared) -> Result<Self, Infallible> {
        if let Some(url) = &context.config.public_url {
            return Ok(Self(url.trim_end_matches('/').to_owned()));
        }
        let host = host(&parts.uri, &parts.headers);
        Ok(Self(
            host.map_or_else(String::new, |h| format!("http://{h}")),
        ))
    }
}

/// Whom the client believes to talk to.
pub(crate) fn host(uri: &Uri, headers: &HeaderMap) -> Option<Authority> {
    if let Some(authority) = uri.authority() {
        return Some(authority.clone());
    }
    let text = headers.get(header::HOST)?.to_str().ok()?;
    let host: Authority = text.parse().ok()?;
    (!text.contains('@')).then_some(host)
}
