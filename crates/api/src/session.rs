//! API keys that browsers keep: in a cookie that scripts cannot read and that no other site's page sends.
//!
//! `SameSite=Strict` keeps other sites away; not every browser that there is keeps to it, so whatever a cookie opens also
//! needs the browser's word that a page of this server asks.

use crate::origin::host;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, header};

const NAME: &str = "mediaflow_key";
/// How long a browser keeps it, in seconds: a week.
const KEPT_S: u32 = 604_800;

/// The key in the request's cookies.
pub(crate) fn key_in(headers: &HeaderMap) -> Option<&str> {
    let lines = headers.get_all(header::COOKIE).iter();
    let mut pairs = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'));
    pairs.find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == NAME && !value.is_empty()).then_some(value)
    })
}

/// Tells the browser to keep a key, or with an empty one to forget it.
pub(crate) fn cookie(headers: &HeaderMap, key: &str) -> HeaderValue {
    let kept = if key.is_empty() { 0 } else { KEPT_S };
    // A cookie that only travels encrypted would not come back to a server on plain HTTP.
    let origin = headers.get(header::ORIGIN).and_then(|v| v.to_str().ok());
    let secure = match origin.is_some_and(|origin| origin.starts_with("https://")) {
        true => "; Secure",
        false => "",
    };
    let text = format!("{NAME}={key}; Path=/; HttpOnly; SameSite=Strict; Max-Age={kept}{secure}");
    HeaderValue::try_from(text).expect("a key that was checked is letters and digits")
}

/// Whether a browser says that a page of this server asks. Reading needs no word, as what cannot be read by others harms
/// nobody; anything else does.
pub(crate) fn is_own_page(parts: &Parts, public_host: Option<&str>) -> bool {
    let headers = &parts.headers;
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    if matches!(site, Some(b"cross-site" | b"same-site")) {
        return false;
    }
    let Some(origin) = headers.get(header::ORIGIN) else {
        let is_reading = matches!(parts.method, Method::GET | Method::HEAD);
        return is_reading || site == Some(b"same-origin");
    };
    let origin = origin.to_str().unwrap_or_default();
    let origin = origin.split_once("://").map(|(_, host)| host);
    let asked = host(&parts.uri, headers);
    origin.is_some() && (origin == asked.as_ref().map(|h| h.as_str()) || origin == public_host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    fn asks(method: &str, headers: &[(&str, &str)]) -> bool {
        let mut request = Request::builder()
            .method(method)
            .uri("/v1/assets")
            .header("host", "media.example:8080");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        is_own_page(&parts, Some("public.example"))
    }

    #[test]
    fn only_own_pages_change_anything() {
        let own = [
            ("GET", vec![]),
            ("GET", vec![("sec-fetch-site", "none")]),
            ("POST", vec![("sec-fetch-site", "same-origin")]),
            ("POST", vec![("origin", "http://media.example:8080")]),
            ("DELETE", vec![("origin", "https://public.example")]),
        ];
        for (method, headers) in own {
            assert!(asks(method, &headers), "{method} {headers:?}");
        }
        let foreign = [
            ("POST", vec![]),
            ("POST", vec![("sec-fetch-site", "none")]),
            ("GET", vec![("sec-fetch-site", "cross-site")]),
            ("POST", vec![("sec-fetch-site", "same-site")]),
            ("PATCH", vec![("origin", "null")]),
            ("PATCH", vec![("origin", "http://evil.example")]),
            (
                "POST",
                vec![
                    ("origin", "http://media.example:8080"),
                    ("sec-fetch-site", "cross-site"),
                ],
            ),
        ];
        for (method, headers) in foreign {
            assert!(!asks(method, &headers), "{method} {headers:?}");
        }
    }

    #[test]
    fn a_key_is_found_among_other_cookies() {
        let mut headers = HeaderMap::new();
        assert_eq!(key_in(&headers), None);
        headers.append(
            header::COOKIE,
            HeaderValue::from_static("a=b; mediaflow_key="),
        );
        assert_eq!(key_in(&headers), None);
        headers.append(
            header::COOKIE,
            HeaderValue::from_static("x=y;mediaflow_key=mf_1"),
        );
        assert_eq!(key_in(&headers), Some("mf_1"));
    }
}
