//! What fuzzers feed of this crate; not for programs.

use crate::media_path::parse;
use crate::negotiate::choose;
use crate::range::{Part, is_known, part};
use crate::resumable::{
    COMPLETE, CONTENT_DIGEST, LENGTH, OFFSET, REPR_DIGEST, bytes, file_digest, is_complete, judge,
    length,
};
use crate::tus::checksum::{Judge, Trailers};
use crate::tus::headers::{self, Concat};
use crate::tus::metadata;
use axum::http::{HeaderMap, HeaderValue, header};
use mediaflow_engine::{Verify as _, disposition_filename};
use std::collections::HashSet;

/// What an upload over several requests says, one line each: `Upload-Metadata`, `Upload-Checksum`, `Upload-Concat`,
/// `Upload-Length`, a field of the IETF's draft, `Content-Disposition`.
///
/// # Panics
/// When a promise of a parser is broken.
pub fn tus(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let mut lines = text.split('\n');
    let mut line = || lines.next().unwrap_or_default();
    let said = line();
    if let Ok(pairs) = metadata::pairs(said) {
        let names: HashSet<&str> = pairs.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names.len(), pairs.len(), "{pairs:?}");
        assert!(names.iter().all(|name| !name.is_empty()));
    }
    let _ = metadata::params(said);
    let mut sent = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_str(line()) {
        sent.insert(headers::CHECKSUM, value);
        if let Ok(Some(mut judge)) = Judge::of(&sent, &Trailers::default()) {
            judge.update(input);
            assert!(
                judge.verify().is_err(),
                "nobody can write their own checksum"
            );
        }
    }
    if let Ok(Concat::Final(parts)) = headers::concat(line()) {
        assert!(!parts.is_empty());
    }
    if let Ok(value) = HeaderValue::from_str(line()) {
        sent.insert(headers::LENGTH, value);
        if let Ok(Some(length)) = headers::bytes(&sent, &headers::LENGTH) {
            assert!(i64::try_from(length).is_ok());
        }
    }
    draft(line());
    if let Some(name) = disposition_filename(line().as_bytes()) {
        assert!(!name.trim().is_empty());
    }
}

/// The same field as each that the IETF's draft has.
fn draft(field: &str) {
    let Ok(value) = HeaderValue::from_str(field) else {
        return;
    };
    let all = [COMPLETE, OFFSET, LENGTH, CONTENT_DIGEST, REPR_DIGEST];
    let sent = HeaderMap::from_iter(all.map(|name| (name, value.clone())));
    assert!(is_complete(&sent).is_none() || bytes(&sent, &OFFSET).is_none());
    assert!(bytes(&sent, &LENGTH).is_none_or(|length| length < 1_000_000_000_000_000));
    let _ = length(&sent, 0, true);
    let _ = file_digest(&sent);
    if let Ok(Some(mut judge)) = judge(&sent) {
        judge.update(field.as_bytes());
        assert!(judge.verify().is_err(), "nobody can write their own digest");
    }
}

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
