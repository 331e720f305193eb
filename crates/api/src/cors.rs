//! Which pages of other sites may read what players fetch, and upload (the Fetch standard's CORS protocol). Only below
//! `/media/` and where uploads go: the rest of the API answers no other site's pages. Credentials are never allowed; signed addresses
//! need none, and keys are sent by scripts.

use crate::Shared;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

/// How long a browser believes the answer to its question, in seconds.
const BELIEVED: HeaderValue = HeaderValue::from_static("86400");

/// The sites whose pages may.
#[derive(Debug, Clone)]
pub struct CorsOrigins {
    is_any: bool,
    listed: Vec<HeaderValue>,
}

impl CorsOrigins {
    /// From a list of origins (`https://example.com`); `*` among them stands for all, an empty one for none.
    ///
    /// # Errors
    /// Names the one that is none.
    pub fn new(origins: &[String]) -> Result<Self, String> {
        let is_any = origins.iter().any(|o| o == "*");
        let named = origins.iter().filter(|o| *o != "*");
        let listed = named.map(|origin| {
            let rest = origin.split_once("://").map(|(_, host)| host);
            let is_host = |host: &str| {
                let odd = |c: char| matches!(c, '/' | '?' | '#' | '@' | '*') || c.is_whitespace();
                !host.is_empty() && !host.contains(odd)
            };
            let value = HeaderValue::try_from(&**origin).ok();
            value.filter(|_| rest.is_some_and(is_host)).ok_or_else(|| {
                format!("\"{origin}\" must be \"*\" or an origin like \"https://example.com\", without a path")
            })
        });
        Ok(Self {
            is_any,
            listed: listed.collect::<Result<_, _>>()?,
        })
    }

    /// What is said about the origin that a page has.
    fn allowed(&self, origin: &HeaderValue) -> Option<HeaderValue> {
        match self.is_any {
            true => Some(HeaderValue::from_static("*")),
            false => self.listed.iter().find(|o| *o == origin).cloned(),
        }
    }
}

/// What pages may do below one path.
struct Door {
    methods: HeaderValue,
    taken: HeaderValue,
    exposed: HeaderValue,
}

const MEDIA: Door = Door {
    methods: HeaderValue::from_static("GET, HEAD"),
    taken: HeaderValue::from_static("Accept, If-None-Match, If-Range, Range, X-Correlation-Id"),
    exposed: HeaderValue::from_static(
        "Accept-Ranges, Content-Length, Content-Range, ETag, X-Correlation-Id",
    ),
};
/// Where pages upload to.
const UPLOADED_TO: [&str; 3] = ["/v1/tus", "/v1/uploads", "/v1/resumable"];
const UPLOADS: Door = Door {
    methods: HeaderValue::from_static("GET, POST, PUT, HEAD, PATCH, DELETE, OPTIONS"),
    taken: HeaderValue::from_static(
        "Authorization, Content-Digest, Content-Disposition, Content-Type, Idempotency-Key, Prefer, Repr-Digest, Tus-Resumable, \
         Upload-Checksum, Upload-Complete, Upload-Concat, Upload-Defer-Length, Upload-Draft-Interop-Version, Upload-Length, \
         Upload-Metadata, Upload-Offset, X-Correlation-Id, X-HTTP-Method-Override, X-Request-ID, X-Requested-With",
    ),
    exposed: HeaderValue::from_static(
        "ETag, Location, Mediaflow-Asset, Retry-After, Tus-Checksum-Algorithm, Tus-Extension, Tus-Max-Size, Tus-Resumable, \
         Tus-Version, Upload-Complete, Upload-Concat, Upload-Defer-Length, Upload-Expires, Upload-Length, Upload-Limit, \
         Upload-Metadata, Upload-Offset, X-Correlation-Id",
    ),
};

fn is_below(path: &str, door: &str) -> bool {
    let rest = path.strip_prefix(door);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// `POST /v1/assets`, or a browser that asks whether it may. What else is at this address is for no page.
fn is_upload(request: &Request) -> bool {
    let asked = request.headers().get(header::ACCESS_CONTROL_REQUEST_METHOD);
    let is_post = match asked {
        Some(asked) if request.method() == Method::OPTIONS => asked == "POST",
        _ => request.method() == Method::POST,
    };
    is_post && request.uri().path() == "/v1/assets"
}

pub(crate) async fn allow(State(context): State<Shared>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let (origins, door) = if path.starts_with("/media/") {
        (&context.cors, MEDIA)
    } else if UPLOADED_TO.iter().any(|door| is_below(path, door)) || is_upload(&request) {
        (&context.upload_cors, UPLOADS)
    } else {
        return next.run(request).await;
    };
    let origin = request.headers().get(header::ORIGIN);
    let allowed = origin.and_then(|origin| origins.allowed(origin));
    let asks = request.method() == Method::OPTIONS
        && request
            .headers()
            .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = match asks {
        true => asked(),
        false => next.run(request).await,
    };
    let headers = response.headers_mut();
    // A cache must not hand one site's answer to another.
    if !origins.is_any && !origins.listed.is_empty() {
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
    }
    if let Some(allowed) = allowed {
        allow_in(headers, allowed, asks, door);
    }
    response
}

fn allow_in(headers: &mut HeaderMap, allowed: HeaderValue, asks: bool, door: Door) {
    let mut say = |name: HeaderName, value| headers.insert(name, value);
    say(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
    match asks {
        true => {
            say(header::ACCESS_CONTROL_ALLOW_METHODS, door.methods);
            say(header::ACCESS_CONTROL_ALLOW_HEADERS, door.taken);
            say(header::ACCESS_CONTROL_MAX_AGE, BELIEVED);
        }
        false => {
            say(header::ACCESS_CONTROL_EXPOSE_HEADERS, door.exposed);
        }
    }
}

/// The answer to a browser that asks before it sends what is not simple, such as a range.
fn asked() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}
