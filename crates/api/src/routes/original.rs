//! `GET /v1/assets/{id}/original`: the bytes as uploaded, as a download and never as a page.

use super::AssetPath;
use crate::Shared;
use crate::access::MayRead;
use crate::params::NoParams;
use crate::problem::{Problem, ProblemView};
use crate::send::{Sending, value};
use crate::view::Binary;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::response::Response;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What RFC 8187 lets stand.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');

/// Download the original. Ranges work.
#[utoipa::path(
    get, path = "/v1/assets/{id}/original", operation_id = "downloadOriginal", tag = "assets",
    params(("id" = String, Path, description = "The asset.")),
    responses(
        (status = 200, body = Binary, content_type = "application/octet-stream"),
        (status = 206, body = Binary, content_type = "application/octet-stream"),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn get(
    State(context): State<Shared>,
    MayRead(caller): MayRead,
    AssetPath(id): AssetPath,
    _: NoParams,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let store = context.engine.store();
    let blob = store.original(caller.tenant, id).await?;
    let asset = store.asset(caller.tenant, id).await?;
    let name = asset.original.filename.unwrap_or_else(|| id.to_string());
    let sending = Sending {
        key: &blob.key,
        bytes: blob.bytes,
        sha256: blob.sha256,
        headers: vec![
            (
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/octet-stream"),
            ),
            (
                header::CACHE_CONTROL,
                HeaderValue::from_static("private, no-cache"),
            ),
            (header::CONTENT_DISPOSITION, disposition(&name)),
        ],
    };
    sending.answer(&context, &method, &headers).await
}

/// A name for every client: what is not plain ASCII only in the form that newer ones read.
fn disposition(name: &str) -> HeaderValue {
    let fits = |c: char| c.is_ascii_alphanumeric() || " -._()".contains(c);
    let simple: String = name
        .chars()
        .map(|c| if fits(c) { c } else { '_' })
        .collect();
    let full = utf8_percent_encode(name, PLAIN);
    value(format!(
        "attachment; filename=\"{simple}\"; filename*=UTF-8''{full}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_inside_its_header() {
        assert_eq!(
            disposition("sommer \"24\"\r\nx/ä.jpg"),
            "attachment; filename=\"sommer _24___x__.jpg\"; filename*=UTF-8''sommer%20%2224%22%0D%0Ax%2F%C3%A4.jpg"
        );
    }
}
