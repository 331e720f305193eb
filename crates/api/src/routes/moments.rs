//! `GET /media/{asset}/thumbnail?time=12.5`: a picture of any moment of a video.

use super::delivery::{accept, missing};
use crate::Context;
use crate::media_path::MediaPath;
use crate::negotiate::preferred;
use crate::params::Params;
use crate::problem::{Problem, invalid};
use crate::range::is_known;
use crate::send::{SAFE, value};
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use mediaflow_core::operation::Format;
use mediaflow_core::{ErrorCode, Timestamp, Visibility};

/// The profile under whose name moments are asked for.
pub(super) const THUMBNAIL: &str = "thumbnail";
/// Narrowest picture, in pixels.
const WIDTH_MIN: u32 = 16;
/// Widest one that can be asked for; a stream's own width is the most that is made.
const WIDTH_MAX: u32 = 8192;

/// A moment that is asked for: its time in seconds, and how wide the picture should be.
pub(super) struct Asked {
    seconds: f64,
    width: Option<u32>,
}

impl Asked {
    /// `None` where the query says nothing of a time.
    pub(super) fn of(query: Option<&str>) -> Result<Option<Self>, Problem> {
        let mut params = Params::parse(query.unwrap_or_default());
        let seconds = params.take_as("time", "seconds like 12.5", |text| {
            let seconds: f64 = text.parse().ok()?;
            (seconds.is_finite() && seconds >= 0.0).then_some(seconds)
        })?;
        let Some(seconds) = seconds else {
            return Ok(None);
        };
        let expected = format!("pixels from {WIDTH_MIN} to {WIDTH_MAX}");
        let width = params.take_as("width", &expected, |text| {
            let width: u32 = text.parse().ok()?;
            (WIDTH_MIN..=WIDTH_MAX).contains(&width).then_some(width)
        })?;
        params.finish()?;
        Ok(Some(Self { seconds, width }))
    }
}

pub(super) async fn get(
    context: &Context,
    (method, headers): (&Method, &HeaderMap),
    path: &MediaPath,
    format: Option<Format>,
    asked: &Asked,
    signed_until: Option<Timestamp>,
) -> Result<Response, Problem> {
    if path.sha256.is_some() {
        return Err(missing());
    }
    let made = match format {
        None => preferred(accept(headers).as_deref()),
        Some(format @ (Format::Jpeg | Format::Webp | Format::Avif)) => format,
        Some(_) => return Err(invalid("a moment is made as jpg, webp or avif").into()),
    };
    let engine = &context.engine;
    let moment = engine.moment(path.asset, asked.seconds, asked.width).await;
    let moment = moment.map_err(|error| match error.code {
        ErrorCode::AssetNotFound => missing(),
        _ => error.into(),
    })?;
    // To who has no signed address a private asset does not exist.
    if moment.visibility == Visibility::Private && signed_until.is_none() {
        return Err(missing());
    }
    let identity = moment.identity(made);
    let etag = format!("\"{identity}\"");
    let mut response = Response::new(Body::empty());
    said(
        response.headers_mut(),
        made,
        &etag,
        format.is_none(),
        signed_until,
    );
    if is_known(headers, &etag) {
        response.headers_mut().remove(header::CONTENT_TYPE);
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(response);
    }
    let key = format!("still/{identity}");
    let bytes = match context.hot.get(&key) {
        Some(bytes) => bytes,
        None => {
            let stills = context.stills.as_deref().ok_or_else(missing)?;
            let bytes = Bytes::from(engine.still(stills, &moment, made).await?);
            context.hot.put(&key, bytes.clone());
            bytes
        }
    };
    response
        .headers_mut()
        .insert(header::CONTENT_LENGTH, bytes.len().into());
    if method != Method::HEAD {
        *response.body_mut() = Body::from(bytes);
    }
    Ok(response)
}

fn said(
    headers: &mut HeaderMap,
    format: Format,
    etag: &str,
    is_negotiated: bool,
    signed_until: Option<Timestamp>,
) {
    let mut say = |name: HeaderName, text: &'static str| {
        headers.insert(name, HeaderValue::from_static(text));
    };
    for (name, text) in SAFE {
        say(name, text);
    }
    say(header::CONTENT_TYPE, format.media_type());
    say(
        HeaderName::from_static("cross-origin-resource-policy"),
        "cross-origin",
    );
    // No purge could name all moments.
    say(
        header::CACHE_CONTROL,
        match signed_until {
            None => "no-cache",
            Some(_) => "private, no-cache",
        },
    );
    if is_negotiated {
        say(header::VARY, "Accept");
    }
    headers.insert(header::ETAG, value(etag.to_owned()));
}
