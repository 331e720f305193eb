//! Header fields of the IETF's draft of resumable uploads (draft-ietf-httpbis-resumable-upload), and digests (RFC 9530), which are
//! structured fields (RFC 9651).

use crate::problem::invalid;
use axum::http::{HeaderMap, HeaderName, header};
use mediaflow_core::{ErrorCode, Sha256};
use mediaflow_engine::{EngineError, Verify};
use sfv::{Dictionary, FieldType, Item, ListEntry, Parser};
use sha2::Digest as _;

/// The type of bytes that are added to an upload.
pub(crate) const BYTES_TYPE: &str = "application/partial-upload";
/// The draft's problem types.
pub(crate) const MISMATCHING_OFFSET: &str =
    "https://iana.org/assignments/http-problem-types#mismatching-upload-offset";
pub(crate) const INCONSISTENT_LENGTH: &str =
    "https://iana.org/assignments/http-problem-types#inconsistent-upload-length";

pub(crate) const COMPLETE: HeaderName = HeaderName::from_static("upload-complete");
pub(crate) const OFFSET: HeaderName = HeaderName::from_static("upload-offset");
pub(crate) const LENGTH: HeaderName = HeaderName::from_static("upload-length");
pub(crate) const LIMIT: HeaderName = HeaderName::from_static("upload-limit");
pub(crate) const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");
pub(crate) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");
pub(crate) const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");

fn field<T: FieldType>(headers: &HeaderMap, name: &HeaderName) -> Option<T> {
    let lines = headers.get_all(name).iter();
    let lines: Vec<&[u8]> = lines.map(|value| value.as_bytes()).collect();
    let whole = lines.join(&b", "[..]);
    Parser::new(&whole).parse().ok()
}

/// Whether this is the end of the upload. Like the draft has it, anything but a boolean counts as if it were not there.
pub(crate) fn is_complete(headers: &HeaderMap) -> Option<bool> {
    field::<Item>(headers, &COMPLETE)?.bare_item.as_boolean()
}

/// A number of bytes. Like the draft has it, anything else counts as if it were not there.
pub(crate) fn bytes(headers: &HeaderMap, name: &HeaderName) -> Option<u64> {
    let number = field::<Item>(headers, name)?.bare_item.as_integer()?;
    u64::try_from(number).ok()
}

/// The length of the whole upload, as a request says it: in `Upload-Length`, and where it ends the upload by how many bytes it has.
///
/// # Errors
/// When it says two.
pub(crate) fn length(
    headers: &HeaderMap,
    start: u64,
    ends: bool,
) -> Result<Option<u64>, EngineError> {
    let said = bytes(headers, &LENGTH);
    let content = headers.get(header::CONTENT_LENGTH).filter(|_| ends);
    let content = content.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let counted = content.map(|content| start.saturating_add(content));
    match (said, counted) {
        (Some(said), Some(counted)) if said != counted => Err(EngineError::new(
            ErrorCode::UploadLength,
            format!("`Upload-Length` is {said}, and the upload ends with byte {counted}"),
        )),
        _ => Ok(counted.or(said)),
    }
}

/// The SHA-256 that the whole file is to have.
///
/// # Errors
/// When the field has one that is none.
pub(crate) fn file_digest(headers: &HeaderMap) -> Result<Option<Sha256>, EngineError> {
    digest(headers, &REPR_DIGEST)
}

/// Who judges the bytes of one request.
///
/// # Errors
/// When the field has a digest that is none.
pub(crate) fn judge(headers: &HeaderMap) -> Result<Option<Box<dyn Verify>>, EngineError> {
    let expected = digest(headers, &CONTENT_DIGEST)?;
    Ok(expected.map(|expected| {
        let found = sha2::Sha256::new();
        Box::new(ContentDigest { expected, found }) as _
    }))
}

/// Algorithms that are not known here are as good as none.
fn digest(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Sha256>, EngineError> {
    if !headers.contains_key(name) {
        return Ok(None);
    }
    let odd = || invalid(format!("`{name}` must be like `sha-256=:...:`"));
    let digests = field::<Dictionary>(headers, name).ok_or_else(odd)?;
    match digests.get("sha-256") {
        None => Ok(None),
        Some(ListEntry::Item(item)) => {
            let bytes = item.bare_item.as_byte_sequence();
            let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
            bytes.map(|bytes| Some(Sha256(bytes))).ok_or_else(odd)
        }
        Some(ListEntry::InnerList(_)) => Err(odd()),
    }
}

struct ContentDigest {
    expected: Sha256,
    found: sha2::Sha256,
}

impl Verify for ContentDigest {
    fn update(&mut self, bytes: &[u8]) {
        self.found.update(bytes);
    }

    fn verify(&mut self) -> Result<(), EngineError> {
        let found = std::mem::take(&mut self.found).finalize();
        match self.expected.0[..] == found[..] {
            true => Ok(()),
            false => Err(EngineError::new(
                ErrorCode::UploadChecksum,
                "the bytes have another `Content-Digest`; none of them was kept",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use axum::http::HeaderValue;

    fn with(pairs: &[(&HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn fields_are_read_as_structured_ones_and_odd_ones_are_none() {
        let complete = |text| is_complete(&with(&[(&COMPLETE, text)]));
        assert_eq!(complete("?1"), Some(true));
        assert_eq!(complete(" ?0;later=1 "), Some(false));
        for odd in ["", "1", "true", "?2", "?1, ?1", "?1;", "(?1)"] {
            assert_eq!(complete(odd), None, "{odd}");
        }
        let twice = with(&[(&COMPLETE, "?1"), (&COMPLETE, "?1")]);
        assert_eq!(is_complete(&twice), None);
        let offset = |text| bytes(&with(&[(&OFFSET, text)]), &OFFSET);
        assert_eq!(offset("0"), Some(0));
        assert_eq!(offset("999999999999999"), Some(999_999_999_999_999));
        for odd in ["", "-1", "1.0", "1000000000000000", "+1", "0x1", "\"1\""] {
            assert_eq!(offset(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_length_is_said_once_or_twice_the_same() {
        let said = |pairs: &[(&HeaderName, &str)], start, ends| length(&with(pairs), start, ends);
        let content = &header::CONTENT_LENGTH;
        assert_eq!(said(&[], 5, true).unwrap(), None);
        assert_eq!(said(&[(content, "4")], 5, false).unwrap(), None);
        assert_eq!(said(&[(content, "4")], 5, true).unwrap(), Some(9));
        let both = [(&LENGTH, "9"), (content, "4")];
        assert_eq!(said(&both, 5, true).unwrap(), Some(9));
        assert_eq!(said(&both, 6, false).unwrap(), Some(9));
        let error = said(&both, 6, true).unwrap_err();
        assert_eq!(error.code, ErrorCode::UploadLength);
        let huge = said(&[(content, "18446744073709551615")], 5, true);
        assert_eq!(huge.unwrap(), Some(u64::MAX));
    }

    #[test]
    fn digests_of_other_algorithms_are_none_and_odd_ones_are_told() {
        let read = |text: &str| file_digest(&with(&[(&REPR_DIGEST, text)]));
        let of = Sha256::of(b"photograph");
        use base64::Engine as _;
        let text = base64::prelude::BASE64_STANDARD.encode(of.0);
        assert_eq!(read(&format!("sha-256=:{text}:")).unwrap(), Some(of));
        let among = format!("sha-512=:YQ==:, sha-256=:{text}:;x=1");
        assert_eq!(read(&among).unwrap(), Some(of));
        assert_eq!(read("sha-512=:YQ==:").unwrap(), None);
        assert_eq!(file_digest(&HeaderMap::new()).unwrap(), None);
        for odd in ["sha-256=:YQ==:", "sha-256", "sha-256=(:YQ==:)", "=", &text] {
            assert!(read(odd).is_err(), "{odd}");
        }
    }
}
