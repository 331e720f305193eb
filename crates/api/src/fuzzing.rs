//! What fuzzers feed of this crate; not for programs.

use crate::media_path::parse;
use crate::minting::{self, KEY_PREFIX};
use crate::negotiate::choose;
use crate::params::Params;
use crate::range::{Part, is_known, part};
use crate::resumable::{
    COMPLETE, CONTENT_DIGEST, LENGTH, OFFSET, REPR_DIGEST, bytes, file_digest, is_complete, judge,
    length,
};
use crate::routes::upload::said;
use crate::signing::Signer;
use crate::tokens;
use crate::tus::checksum::{Judge, Trailers};
use crate::tus::headers::{self, Concat};
use crate::tus::metadata;
use axum::http::{HeaderMap, HeaderValue, header};
use bytes::Bytes;
use futures_util::{FutureExt as _, stream};
use mediaflow_core::{AssetId, Timestamp};
use mediaflow_engine::{Upload, Verify as _, disposition_filename};
use multer::Multipart;
use std::collections::HashSet;
use std::convert::Infallible;
use uuid::Uuid;

/// A form: what `Content-Type` says on its first line, and below that the body.
///
/// # Panics
/// When a promise of a parser is broken.
pub fn form(input: &[u8]) {
    let mut halves = input.splitn(2, |byte| *byte == b'\n');
    let said_of_it = String::from_utf8_lossy(halves.next().unwrap_or_default());
    let body = halves.next().unwrap_or_default();
    let Ok(boundary) = multer::parse_boundary(said_of_it) else {
        return;
    };
    let pieces = body.chunks(7).map(Bytes::copy_from_slice);
    let pieces: Vec<_> = pieces.map(Ok::<_, Infallible>).collect();
    let reading = async {
        let mut parts = Multipart::new(stream::iter(pieces), boundary);
        let (mut params, mut bytes) = (Params::default(), 0);
        while let Ok(Some(mut field)) = parts.next_field().await {
            let mut content = Vec::new();
            while let Ok(Some(piece)) = field.chunk().await {
                content.extend_from_slice(&piece);
            }
            bytes += content.len();
            if let (Some(name), Ok(text)) = (field.name(), String::from_utf8(content)) {
                params.add(name.to_owned(), text);
            }
        }
        assert!(bytes <= body.len());
        let _ = said(params, Upload::default());
    };
    // Whoever waits for more waits for ever: there is no more.
    let _ = reading.now_or_never();
}

/// What proves something, one line each: the signature of an address, a seal, a key, an upload token; and a query.
///
/// # Panics
/// When a promise of a parser is broken.
pub fn signatures(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let mut lines = text.split('\n');
    let mut line = || lines.next().unwrap_or_default();
    let signer = Signer::new(vec![("k1".into(), vec![7; 32])]);
    let signer = signer.expect("a key of 32 bytes is one");
    let signed = signer.verify(line(), AssetId(Uuid::nil()), Timestamp(0));
    assert!(signed.is_err(), "nobody can sign");
    assert!(!signer.is_sealed("a text", line()), "nobody can seal");
    for prefix in [KEY_PREFIX, tokens::PREFIX] {
        let shown = line();
        if let Some((id, secret)) = minting::parse(prefix, shown) {
            let meant = format!("{prefix}{}_{}", id.simple(), hex::encode(secret));
            assert!(shown.to_lowercase().starts_with(&meant), "{shown}");
        }
    }
    let _ = said(Params::parse(line()), Upload::default());
}

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
