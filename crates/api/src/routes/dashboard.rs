//! The dashboard as it was built into the binary, for browsers at `/`. It is a page like any other program: all that it
//! shows comes from the public API.

use super::health::landing;
use crate::problem::Problem;
use axum::body::Body;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use mediaflow_core::{ErrorCode, Sha256};
use std::sync::LazyLock;

/// A file of the dashboard, whole and packed.
struct File {
    name: &'static str,
    media_type: &'static str,
    plain: &'static [u8],
    brotli: Option<&'static [u8]>,
    gzip: Option<&'static [u8]>,
}

include!(concat!(env!("OUT_DIR"), "/dashboard.rs"));

/// What browsers see where the dashboard was not built.
static ABSENT: File = File {
    name: "index.html",
    media_type: "text/html; charset=utf-8",
    plain: include_bytes!("dashboard/absent.html"),
    brotli: None,
    gzip: None,
};

/// Nothing from elsewhere, no script or style in the page itself, no frames. Players make `blob:` and `data:` addresses.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; \
     media-src 'self' blob: data:; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types svelte-trusted-html";

fn index() -> &'static File {
    let found = FILES.iter().find(|file| file.name == "index.html");
    found.unwrap_or(&ABSENT)
}

/// Changes with every build.
static TAG: LazyLock<HeaderValue> = LazyLock::new(|| {
    let digest = Sha256::of(index().plain).to_string();
    // Weak: packed and whole ones are the same page.
    HeaderValue::try_from(format!("W/\"{}\"", &digest[..32])).expect("hexadecimal digits are fit")
});

/// The dashboard for browsers, links for programs.
pub(crate) async fn root(headers: HeaderMap) -> Response {
    let mut response = match wants_html(&headers) {
        true => page(&headers),
        false => landing().await.into_response(),
    };
    let vary = HeaderValue::from_static("Accept, Accept-Encoding");
    response.headers_mut().insert(header::VARY, vary);
    response
}

fn wants_html(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

fn page(headers: &HeaderMap) -> Response {
    let known = headers.get(header::IF_NONE_MATCH);
    let is_known = known
        .and_then(|tags| tags.to_str().ok())
        .zip(TAG.to_str().ok())
        .is_some_and(|(tags, tag)| tags.split(',').any(|known| known.trim() == tag));
    let mut response = match is_known {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => index().answer(headers),
    };
    let said = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-cache"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
    ] {
        said.insert(name, HeaderValue::from_static(value));
    }
    said.insert(header::ETAG, TAG.clone());
    response
}

/// What the page loads. Names hold a digest of what is in them.
pub(crate) async fn file(
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let found = FILES.iter().find(|file| file.name == name);
    let file = found.ok_or_else(|| Problem::plain(ErrorCode::RouteNotFound))?;
    let mut response = file.answer(&headers);
    for (name, value) in [
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::VARY, "Accept-Encoding"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; sandbox",
        ),
    ] {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}

impl File {
    fn answer(&self, headers: &HeaderMap) -> Response {
        let accepted = headers.get(header::ACCEPT_ENCODING);
        let accepted = accepted.and_then(|v| v.to_str().ok()).unwrap_or_default();
        let takes = |name| accepted.split(',').any(|one| coding(one) == name);
        let (bytes, coding) = match (self.brotli, self.gzip) {
            (Some(bytes), _) if takes("br") => (bytes, Some("br")),
            (_, Some(bytes)) if takes("gzip") => (bytes, Some("gzip")),
            _ => (self.plain, None),
        };
        let mut response = Response::new(Body::from(bytes));
        let said = response.headers_mut();
        said.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static(self.media_type),
        );
        said.insert(header::CONTENT_LENGTH, bytes.len().into());
        let nosniff = HeaderValue::from_static("nosniff");
        said.insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
        if let Some(coding) = coding {
            said.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
        }
        response
    }
}

/// The name of an accepted coding; one that is refused by `q=0` has none.
fn coding(one: &str) -> &str {
    let (name, weight) = one.split_once(';').unwrap_or((one, ""));
    let weight = weight.trim().strip_prefix("q=").map(str::parse::<f32>);
    match weight {
        Some(Ok(0.0)) => "",
        _ => name.trim(),
    }
}
