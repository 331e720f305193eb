//! Sends stored bytes: versions that the client has, ranges, small files at once and large ones as a stream.

use crate::Context;
use crate::hot::FILE_BYTES_MAX;
use crate::problem::Problem;
use crate::range::{Part, is_known, part};
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use mediaflow_core::{ErrorCode, Sha256};
use mediaflow_engine::blob::BlobKey;

/// Stored bytes and what is said with them.
pub(crate) struct Sending<'a> {
    pub(crate) key: &'a str,
    pub(crate) bytes: u64,
    pub(crate) sha256: Sha256,
    /// With every answer about them, 304 and 206 too.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
}

/// A browser must take what we send for what we say it is, and run nothing in it.
pub(crate) const SAFE: [(HeaderName, &str); 2] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; sandbox",
    ),
];

impl Sending<'_> {
    /// Answers a GET or HEAD for them.
    pub(crate) async fn answer(
        self,
        context: &Context,
        method: &Method,
        request: &HeaderMap,
    ) -> Result<Response, Problem> {
        let etag = format!("\"{}\"", self.sha256);
        if is_known(request, &etag) {
            return Ok(self.head(StatusCode::NOT_MODIFIED, &etag, Body::empty()));
        }
        let wanted = match *method {
            // Only a GET has ranges (RFC 9110, 14.2).
            Method::HEAD => Part::Whole,
            _ => part(request, self.bytes, &etag),
        };
        let (status, start, length) = match wanted {
            Part::Whole => (StatusCode::OK, 0, self.bytes),
            Part::Range { start, length } => (StatusCode::PARTIAL_CONTENT, start, length),
            Part::Unsatisfiable => {
                let text = format!("the file has {} bytes", self.bytes);
                let range = value(format!("bytes */{}", self.bytes));
                return Err(
                    Problem::new(ErrorCode::RequestRange, text).with(header::CONTENT_RANGE, range)
                );
            }
        };
        let body = match *method {
            Method::HEAD => Body::empty(),
            _ => self.body(context, start, length).await?,
        };
        let total = self.bytes;
        let mut response = self.head(status, &etag, body);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_LENGTH, length.into());
        if status == StatusCode::PARTIAL_CONTENT {
            let range = format!("bytes {start}-{}/{total}", start + length - 1);
            headers.insert(header::CONTENT_RANGE, value(range));
        }
        Ok(response)
    }

    fn head(self, status: StatusCode, etag: &str, body: Body) -> Response {
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.extend(self.headers);
        for (name, text) in SAFE {
            headers.insert(name, HeaderValue::from_static(text));
        }
        headers.insert(header::ETAG, value(etag.to_owned()));
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        if status == StatusCode::NOT_MODIFIED {
            headers.remove(header::CONTENT_TYPE);
        }
        response
    }

    async fn body(&self, context: &Context, start: u64, length: u64) -> Result<Body, Problem> {
        let key: BlobKey = self.key.parse()?;
        if self.bytes <= FILE_BYTES_MAX {
            let all = self.small(context, &key).await?;
            let (start, end) = (start as usize, (start + length) as usize);
            return Ok(Body::from(all.slice(start..end)));
        }
        let reader = context.engine.blobs().open(&key, start, length).await?;
        if reader.bytes() != self.bytes {
            return Err(self.damaged(reader.bytes()));
        }
        Ok(Body::from_stream(reader.stream()))
    }

    async fn small(&self, context: &Context, key: &BlobKey) -> Result<Bytes, Problem> {
        if let Some(found) = context.hot.get(self.key) {
            return Ok(found);
        }
        let found = context.engine.blobs().get(key).await?;
        if found.len() as u64 != self.bytes {
            return Err(self.damaged(found.len() as u64));
        }
        context.hot.put(self.key, found.clone());
        Ok(found)
    }

    fn damaged(&self, found: u64) -> Problem {
        tracing::error!(
            key = self.key,
            expected = self.bytes,
            found,
            "stored bytes are damaged"
        );
        Problem::plain(ErrorCode::StorageCorrupt)
    }
}

/// A value that we made of digits, letters and punctuation.
pub(crate) fn value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("visible ASCII is a header value")
}
