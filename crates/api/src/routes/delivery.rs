//! `GET /media/...`: renditions for pages, caches and CDNs.

use super::{moments, streams};
use crate::media_path::{File, MediaPath, NoPath, name, parse};
use crate::negotiate::choose;
use crate::problem::{Problem, ProblemView};
use crate::send::{Sending, value};
use crate::view::Binary;
use crate::{Context, Shared};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use axum::response::Response;
use mediaflow_core::operation::{DOWNLOAD, Format};
use mediaflow_core::{ErrorCode, Timestamp, Visibility};
use mediaflow_engine::store::{RenditionRecord, Servable};
use std::time::Duration;

/// How long a browser may show what stands at a signed stable address without asking.
const SIGNED_MAX: Duration = Duration::from_secs(300);

/// Fetch a rendition.
///
/// `/media/{asset}/{profile}` is answered in the format that suits `Accept`, `/media/{asset}/{profile}.{extension}` in
/// that one; both may change when the asset is processed again. `/media/{asset}/{sha256}/{profile}.{extension}` never
/// changes. Of a video `thumbnail?time=12.5` is the picture at that time. The same below `/media/s/{kid}.{expiry}.{sig}/` opens private assets; anywhere else they do not exist.
#[utoipa::path(
    get, path = "/media/{asset}/{rendition}", operation_id = "fetchRendition", tag = "delivery", security(()),
    params(
        ("asset" = String, Path, description = "The asset."),
        ("rendition" = String, Path, description = "`large`, `large.avif`, ..."),
        ("time" = Option<f64>, Query, description = "With `thumbnail`: seconds after the video's first picture."),
        ("width" = Option<u32>, Query, description = "With `time`: of the picture, in pixels; never more than the video has."),
        ("Range" = Option<String>, Header),
        ("If-None-Match" = Option<String>, Header),
    ),
    responses(
        (status = 200, body = Binary, content_type = "image/*"),
        (status = 206, body = Binary, content_type = "image/*"),
        (status = 304, description = "The client has this version."),
        (status = 403, description = "The signature is wrong or expired.", body = ProblemView<'_>, content_type = "application/problem+json"),
        (status = 404, body = ProblemView<'_>, content_type = "application/problem+json"),
        (status = 416, body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn get(
    State(context): State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let raw = uri.path().strip_prefix("/media/").unwrap_or_default();
    let path = parse(raw).map_err(|none| match none {
        NoPath::Unknown => missing(),
        NoPath::Signed => refused(),
    })?;
    let signed_until = match &path.token {
        Some(token) => {
            let now = context.engine.environment().now();
            let until = context.signer.verify(token, path.asset, now);
            Some(until.map_err(|_| refused())?)
        }
        None => None,
    };
    let File::Rendition(format) = path.file else {
        return streams::get(&context, &method, &headers, &path, signed_until).await;
    };
    if path.profile == moments::THUMBNAIL
        && let Some(asked) = moments::Asked::of(uri.query())?
    {
        let request = (&method, &headers);
        return moments::get(&context, request, &path, format, &asked, signed_until).await;
    }
    let store = context.engine.store();
    let found = context.lookups.renditions(store, path.asset).await;
    let found = found.map_err(|error| match error.code() {
        ErrorCode::AssetNotFound => missing(),
        _ => error.into(),
    })?;
    let servable = pick(&path, format, &headers, &found).ok_or_else(missing)?;
    // To who has no signed address a private asset does not exist.
    if servable.visibility == Visibility::Private && signed_until.is_none() {
        return Err(missing());
    }
    let is_lasting = path.sha256.is_some() && path.is_canonical && uri.query().is_none();
    let cache = cache(&context, signed_until, is_lasting);
    let sending = Sending {
        key: &servable.key,
        bytes: servable.rendition.bytes,
        sha256: servable.rendition.sha256,
        headers: said(&servable.rendition, cache, format.is_none()),
    };
    sending.answer(&context, &method, &headers).await
}

pub(super) fn missing() -> Problem {
    Problem::plain(ErrorCode::RenditionNotFound)
}

fn refused() -> Problem {
    Problem::plain(ErrorCode::SignatureInvalid)
}

fn pick<'a>(
    path: &MediaPath,
    format: Option<Format>,
    headers: &HeaderMap,
    found: &'a [Servable],
) -> Option<&'a Servable> {
    let mut profile = found.iter().filter(|s| s.rendition.profile == path.profile);
    let is_asked = |r: &RenditionRecord, format: Format| {
        r.format == format && path.sha256.is_none_or(|sha256| sha256 == r.sha256)
    };
    match (format, path.sha256) {
        (Some(format), _) => profile.find(|s| is_asked(&s.rendition, format)),
        (None, Some(_)) => None,
        (None, None) => {
            let accept = accept(headers);
            let records: Vec<&RenditionRecord> = profile.clone().map(|s| &s.rendition).collect();
            let chosen = choose(accept.as_deref(), &records)?;
            profile.find(|s| s.rendition == *chosen)
        }
    }
}

/// All `Accept` lines as one.
pub(super) fn accept(headers: &HeaderMap) -> Option<String> {
    let lines = headers.get_all(header::ACCEPT).iter();
    let lines: Vec<&str> = lines.filter_map(|v| v.to_str().ok()).collect();
    (!lines.is_empty()).then(|| lines.join(","))
}

pub(super) fn cache(
    context: &Context,
    signed_until: Option<Timestamp>,
    is_lasting: bool,
) -> HeaderValue {
    let left = signed_until.map(|end| end.since(context.engine.environment().now()));
    match (left, is_lasting) {
        (None, true) => HeaderValue::from_static("public, max-age=31536000, immutable"),
        (None, false) => HeaderValue::from_static("no-cache"),
        (Some(left), true) => value(format!("private, max-age={}, immutable", left.as_secs())),
        (Some(left), false) => value(format!(
            "private, max-age={}",
            left.min(SIGNED_MAX).as_secs()
        )),
    }
}

fn said(
    rendition: &RenditionRecord,
    cache: HeaderValue,
    is_negotiated: bool,
) -> Vec<(HeaderName, HeaderValue)> {
    let media_type = HeaderValue::from_static(rendition.format.media_type());
    let policy = HeaderName::from_static("cross-origin-resource-policy");
    let mut headers = vec![
        (header::CONTENT_TYPE, media_type),
        (header::CACHE_CONTROL, cache),
        (policy, HeaderValue::from_static("cross-origin")),
    ];
    let name = name(rendition);
    // Players show it all the same; browsers that follow a link to it save it.
    let how = match &*rendition.profile {
        DOWNLOAD => "attachment",
        _ => "inline",
    };
    let disposition = format!("{how}; filename=\"{name}\"");
    headers.push((header::CONTENT_DISPOSITION, value(disposition)));
    if is_negotiated {
        headers.push((header::VARY, HeaderValue::from_static("Accept")));
        headers.push((header::CONTENT_LOCATION, value(name)));
    }
    headers
}
