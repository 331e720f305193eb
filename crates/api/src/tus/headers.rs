//! Numbers, lists and the version in tus headers, read strictly.

use crate::problem::invalid;
use axum::http::{HeaderMap, HeaderName, Method};
use mediaflow_core::{ErrorCode, UploadId};
use mediaflow_engine::EngineError;

/// The one version that is spoken here.
pub(crate) const VERSION: &str = "1.0.0";
/// What of the protocol's extensions is spoken.
pub(crate) const EXTENSIONS: &str = "creation,creation-with-upload,creation-defer-length,expiration,checksum,checksum-trailer,termination,concatenation";
/// The type of bytes that are added to an upload.
pub(crate) const BYTES_TYPE: &str = "application/offset+octet-stream";
/// Most parts of one upload.
const PARTS_MAX: usize = 1000;

pub(crate) const RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
pub(crate) const OFFSET: HeaderName = HeaderName::from_static("upload-offset");
pub(crate) const LENGTH: HeaderName = HeaderName::from_static("upload-length");
pub(crate) const DEFER: HeaderName = HeaderName::from_static("upload-defer-length");
pub(crate) const METADATA: HeaderName = HeaderName::from_static("upload-metadata");
pub(crate) const CONCAT: HeaderName = HeaderName::from_static("upload-concat");
pub(crate) const CHECKSUM: HeaderName = HeaderName::from_static("upload-checksum");
pub(crate) const EXPIRES: HeaderName = HeaderName::from_static("upload-expires");
const OVERRIDE: HeaderName = HeaderName::from_static("x-http-method-override");

/// A header's text, where it is there.
///
/// # Errors
/// When it is there twice, or has letters that no header of the protocol has.
pub(crate) fn text<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a str>, EngineError> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(invalid(format!("`{name}` is given more than once")));
    }
    let text = value.to_str();
    let text = text.map_err(|_| invalid(format!("`{name}` must be visible ASCII")))?;
    Ok(Some(text.trim()))
}

/// A number of bytes.
///
/// # Errors
/// `limit.bytes` for one that nothing can have.
pub(crate) fn bytes(headers: &HeaderMap, name: &HeaderName) -> Result<Option<u64>, EngineError> {
    let Some(text) = text(headers, name)? else {
        return Ok(None);
    };
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        let text = format!("`{name}` must be a number of bytes");
        return Err(invalid(text));
    }
    let number = text.parse().ok().filter(|n| i64::try_from(*n).is_ok());
    let huge = || {
        let text = format!("`{name}` is more than can be stored");
        EngineError::new(ErrorCode::LimitBytes, text)
    };
    number.map(Some).ok_or_else(huge)
}

/// Whether the client speaks this version.
///
/// # Errors
/// `upload.version`.
pub(crate) fn check_version(headers: &HeaderMap) -> Result<(), EngineError> {
    match text(headers, &RESUMABLE)? {
        Some(VERSION) => Ok(()),
        _ => Err(EngineError::new(
            ErrorCode::UploadVersion,
            format!("`Tus-Resumable` must be {VERSION}"),
        )),
    }
}

/// What the request is to be taken for: some clients can only send `POST`.
///
/// # Errors
/// When the header names no method.
pub(crate) fn method(sent: &Method, headers: &HeaderMap) -> Result<Method, EngineError> {
    match text(headers, &OVERRIDE)? {
        Some(name) => Method::from_bytes(name.as_bytes())
            .map_err(|_| invalid("`X-HTTP-Method-Override` names no method")),
        None => Ok(sent.clone()),
    }
}

/// Whether the body has the type of bytes to add.
pub(crate) fn has_bytes(headers: &HeaderMap) -> bool {
    let sent = headers.get(axum::http::header::CONTENT_TYPE);
    let sent = sent.and_then(|value| value.to_str().ok());
    sent.is_some_and(|sent| {
        let essence = sent.split(';').next().unwrap_or_default();
        essence.trim().eq_ignore_ascii_case(BYTES_TYPE)
    })
}

/// How an upload belongs to others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Concat {
    /// It is a part of one to come.
    Partial,
    /// It consists of these, in this order.
    Final(Vec<UploadId>),
}

/// What `Upload-Concat` says.
///
/// # Errors
/// When it says something else, or names what is no upload's address.
pub(crate) fn concat(text: &str) -> Result<Concat, EngineError> {
    if text == "partial" {
        return Ok(Concat::Partial);
    }
    let list = text.strip_prefix("final;").ok_or_else(|| {
        invalid("`Upload-Concat` must be `partial` or `final;` and the addresses of uploads")
    })?;
    let mut parts = Vec::new();
    for address in list.split_ascii_whitespace() {
        let id = part(address).ok_or_else(|| {
            invalid("`Upload-Concat` names an address that is no upload's of this server")
        })?;
        parts.push(id);
    }
    match parts.len() {
        1..=PARTS_MAX => Ok(Concat::Final(parts)),
        _ => Err(invalid(format!(
            "`Upload-Concat` must name 1 to {PARTS_MAX} uploads"
        ))),
    }
}

/// The upload at an address, with or without scheme and host.
fn part(address: &str) -> Option<UploadId> {
    let (_, id) = address.rsplit_once("/v1/tus/")?;
    // A UUID can be written in more than one way, and an address only in one.
    let parsed: UploadId = id.parse().ok()?;
    (parsed.to_string() == id).then_some(parsed)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use axum::http::HeaderValue;

    fn with(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn numbers_are_digits_and_nothing_else() {
        let read = |value| bytes(&with(LENGTH, value), &LENGTH);
        assert_eq!(read("0").unwrap(), Some(0));
        assert_eq!(read(" 007 ").unwrap(), Some(7));
        assert_eq!(read("9223372036854775807").unwrap(), Some(i64::MAX as u64));
        for odd in ["", "-1", "+1", "1.0", "1e3", "0x1", "1 2", "a"] {
            assert_eq!(
                read(odd).unwrap_err().code,
                ErrorCode::RequestInvalid,
                "{odd}"
            );
        }
        for huge in [
            "9223372036854775808",
            "18446744073709551616",
            &"9".repeat(500),
        ] {
            assert_eq!(
                read(huge).unwrap_err().code,
                ErrorCode::LimitBytes,
                "{huge}"
            );
        }
        let mut twice = with(LENGTH, "1");
        twice.append(LENGTH, HeaderValue::from_static("1"));
        assert!(bytes(&twice, &LENGTH).is_err());
    }

    #[test]
    fn parts_are_named_by_their_addresses() {
        let id = "01a1ff32-08bc-76b9-b9ec-aff489a61c28";
        let one = Concat::Final(vec![id.parse().unwrap()]);
        assert_eq!(concat("partial").unwrap(), Concat::Partial);
        for good in [
            format!("final;/v1/tus/{id}"),
            format!("final; https://media.example.com/v1/tus/{id} "),
        ] {
            assert_eq!(concat(&good).unwrap(), one, "{good}");
        }
        let two = concat(&format!("final;/v1/tus/{id} /v1/tus/{id}")).unwrap();
        assert!(matches!(two, Concat::Final(parts) if parts.len() == 2));
        for bad in [
            String::new(),
            "final".into(),
            "final;".into(),
            "Partial".into(),
            format!("final;/v1/assets/{id}"),
            format!("final;/v1/tus/{id}/"),
            format!("final;/v1/tus/{}", id.to_uppercase()),
            format!("final;{}", format!("/v1/tus/{id} ").repeat(1001)),
        ] {
            assert!(concat(&bad).is_err(), "{bad}");
        }
    }
}
