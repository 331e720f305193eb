//! Byte ranges and conditions, as RFC 9110 has them for one representation with a strong tag.

use axum::http::{HeaderMap, header};

/// What to send of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// All of it, with 200.
    Whole,
    /// These bytes, with 206; `length` is at least 1.
    Range { start: u64, length: u64 },
    /// Nothing, with 416.
    Unsatisfiable,
}

/// What a `Range` asks of a file of `total` bytes. Several ranges, other units and what is no range at all are
/// answered with the whole file, as the standard allows; so is a range whose `If-Range` names another version.
pub(crate) fn part(headers: &HeaderMap, total: u64, etag: &str) -> Part {
    let text = |name| headers.get(name).and_then(|v| v.to_str().ok());
    let Some(range) = text(header::RANGE) else {
        return Part::Whole;
    };
    // A date is never a strong enough validator here: no Last-Modified is sent.
    if headers.contains_key(header::IF_RANGE) && text(header::IF_RANGE) != Some(etag) {
        return Part::Whole;
    }
    let Some((unit, set)) = range.split_once('=') else {
        return Part::Whole;
    };
    let set = set.trim();
    if !unit.trim().eq_ignore_ascii_case("bytes") || set.contains(',') {
        return Part::Whole;
    }
    match set.split_once('-') {
        Some((first, last)) => single(first, last, total),
        None => Part::Whole,
    }
}

fn single(first: &str, last: &str, total: u64) -> Part {
    let (Some(first), Some(last)) = (number(first), number(last)) else {
        return Part::Whole;
    };
    let (start, end) = match (first, last) {
        (None, None) => return Part::Whole,
        (None, Some(0)) => return Part::Unsatisfiable,
        (None, Some(suffix)) => (total.saturating_sub(suffix), total),
        (Some(start), None) => (start, total),
        (Some(start), Some(last)) if last < start => return Part::Whole,
        (Some(start), Some(last)) => (start, total.min(last.saturating_add(1))),
    };
    if start >= total {
        return Part::Unsatisfiable;
    }
    Part::Range {
        start,
        length: end - start,
    }
}

/// `Some(None)` for an empty text; `None` for what is no number. One that is too large for any file counts as the
/// largest.
fn number(text: &str) -> Option<Option<u64>> {
    if text.is_empty() {
        return Some(None);
    }
    let is_digits = text.bytes().all(|b| b.is_ascii_digit());
    is_digits.then(|| Some(text.parse().unwrap_or(u64::MAX)))
}

/// Whether the client has this version already.
pub(crate) fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    let values = headers.get_all(header::IF_NONE_MATCH).iter();
    values.filter_map(|v| v.to_str().ok()).any(|value| {
        let mut tags = value.split(',').map(str::trim);
        // Weak comparison: a cache in between may have weakened our tag.
        tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAG: &str = "\"abc\"";

    fn asked(range: &str, if_range: Option<&str>) -> Part {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, range.parse().unwrap());
        if let Some(value) = if_range {
            headers.insert(header::IF_RANGE, value.parse().unwrap());
        }
        part(&headers, 1000, TAG)
    }

    fn bytes(start: u64, length: u64) -> Part {
        Part::Range { start, length }
    }

    #[test]
    fn single_ranges() {
        assert_eq!(asked("bytes=0-99", None), bytes(0, 100));
        assert_eq!(asked("bytes=999-", None), bytes(999, 1));
        assert_eq!(asked("bytes=-1", None), bytes(999, 1));
        assert_eq!(asked("bytes=-5000", None), bytes(0, 1000));
        assert_eq!(
            asked("bytes=900-99999999999999999999999", None),
            bytes(900, 100)
        );
        assert_eq!(asked("Bytes = 1-1", None), bytes(1, 1));
    }

    #[test]
    fn outside_of_the_file() {
        for range in [
            "bytes=1000-",
            "bytes=5000-6000",
            "bytes=-0",
            "bytes=99999999999999999999999-",
        ] {
            assert_eq!(asked(range, None), Part::Unsatisfiable, "{range}");
        }
    }

    #[test]
    fn whatever_is_no_single_range_gets_the_whole() {
        for range in [
            "bytes=0-1,5-6",
            "bytes=-",
            "bytes=9-1",
            "bytes=a-b",
            "items=0-1",
            "bytes",
            "bytes=+1-2",
            "bytes=--1",
        ] {
            assert_eq!(asked(range, None), Part::Whole, "{range}");
        }
        assert_eq!(part(&HeaderMap::new(), 1000, TAG), Part::Whole);
    }

    #[test]
    fn if_range_must_name_this_version() {
        assert_eq!(asked("bytes=0-1", Some(TAG)), bytes(0, 2));
        for other in ["\"abd\"", "W/\"abc\"", "Wed, 21 Oct 2026 07:28:00 GMT"] {
            assert_eq!(asked("bytes=0-1", Some(other)), Part::Whole, "{other}");
        }
    }

    #[test]
    fn known_versions() {
        let known = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, value.parse().unwrap());
            is_known(&headers, TAG)
        };
        for yes in ["\"abc\"", "W/\"abc\"", "*", "\"x\", \"abc\""] {
            assert!(known(yes), "{yes}");
        }
        for no in ["\"abd\"", "abc", ""] {
            assert!(!known(no), "{no}");
        }
    }
}
