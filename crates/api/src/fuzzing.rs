//! What fuzzers feed of this crate; not for programs.

use crate::media_path::parse;
use crate::negotiate::choose;
use crate::range::{Part, is_known, part};
use axum::http::{HeaderMap, HeaderValue, header};

/// A request for delivery, one line each: path, `Accept`, `Range`, `If-None-Match`.
///
/// # Panics
/// When a promise of a parser is broken.
pub fn delivery(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.split('\n');
    let mut line = || lines.next().unwrap_or_default();
    if let Ok(path) = parse(line()) {
        let is_odd = |c: char| matches!(c, '/' | '\\') || c.is_control();
        assert!(!path.profile.contains(is_odd), "{path:?}");
    }
    assert!(choose(Some(line()), &[]).is_none());
    let mut headers = HeaderMap::new();
    for name in [header::RANGE, header::IF_NONE_MATCH] {
        if let Ok(value) = HeaderValue::from_str(line()) {
            headers.insert(name, value);
        }
    }
    for total in [1, 1000, u64::MAX] {
        if let Part::Range { start, length } = part(&headers, total, "\"tag\"") {
            let end = start.checked_add(length);
            assert!(length > 0 && end.is_some_and(|end| end <= total));
        }
    }
    let _ = is_known(&headers, "\"tag\"");
}
