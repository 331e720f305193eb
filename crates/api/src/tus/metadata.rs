//! `Upload-Metadata`: names with values in Base64, and what they mean for an asset.

use crate::params::Params;
use crate::problem::invalid;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use mediaflow_engine::EngineError;
use serde_json::{Map, Value};

/// What clients send beside the file's name, and the file itself tells better.
const IGNORED: [&str; 4] = ["filetype", "type", "contentType", "relativePath"];
/// What an upload in one request takes as parameters.
const KNOWN: [&str; 10] = [
    "filename",
    "recipe",
    "title",
    "tags",
    "metadata",
    "visibility",
    "watermark",
    "focus",
    "priority",
    "sha256",
];

/// The pairs, in their order.
///
/// # Errors
/// When a name is missing, odd or repeated, or a value is not Base64 of UTF-8.
pub(crate) fn pairs(text: &str) -> Result<Vec<(String, String)>, EngineError> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for pair in text.split(',').map(str::trim) {
        if pair.is_empty() && pairs.is_empty() && text.trim().is_empty() {
            break;
        }
        let (name, value) = pair.split_once(' ').unwrap_or((pair, ""));
        let is_odd = |b: u8| !b.is_ascii_graphic();
        if name.is_empty() || name.bytes().any(is_odd) {
            return Err(invalid("`Upload-Metadata` has a pair without a name"));
        }
        if pairs.iter().any(|(known, _)| known == name) {
            let text = format!("`Upload-Metadata` has `{name}` more than once");
            return Err(invalid(text));
        }
        let bytes = BASE64_STANDARD.decode(value.trim());
        let value = bytes.ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let value = value.ok_or_else(|| {
            invalid(format!(
                "the value of `{name}` in `Upload-Metadata` must be UTF-8 in Base64"
            ))
        })?;
        pairs.push((name.to_owned(), value));
    }
    Ok(pairs)
}

/// The same as the parameters of an upload in one request. A name that means nothing there becomes a field of the asset's
/// `metadata`.
///
/// # Errors
/// Those of [`pairs`], and for a `public` that is neither `true` nor `false`.
pub(crate) fn params(text: &str) -> Result<Params, EngineError> {
    let mut params = Params::default();
    let mut own = Map::new();
    let pairs = pairs(text)?;
    let has_filename = pairs.iter().any(|(name, _)| name == "filename");
    for (name, value) in pairs {
        match name.as_str() {
            "name" if has_filename => {}
            "name" => params.add("filename".into(), value),
            "public" => {
                let visibility = match value.as_str() {
                    "true" | "1" => "public",
                    "false" | "0" => "private",
                    _ => return Err(invalid("`public` must be `true` or `false`")),
                };
                params.add("visibility".into(), visibility.into());
            }
            known if KNOWN.contains(&known) => params.add(name, value),
            ignored if IGNORED.contains(&ignored) => {}
            _ => drop(own.insert(name, Value::String(value))),
        }
    }
    if !own.is_empty() {
        let said = params.take_as("metadata", "a JSON object", |text| {
            serde_json::from_str::<Map<String, Value>>(text).ok()
        })?;
        own.extend(said.unwrap_or_default());
        params.add("metadata".into(), Value::Object(own).to_string());
    }
    Ok(params)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn encoded(pairs: &[(&str, &str)]) -> String {
        let pairs = pairs
            .iter()
            .map(|(name, value)| format!("{name} {}", BASE64_STANDARD.encode(value)));
        pairs.collect::<Vec<_>>().join(",")
    }

    #[test]
    fn values_may_be_missing_and_have_any_letters() {
        let read = pairs("filename w6Q=,is_confidential, tags  YSxi").unwrap();
        let read: Vec<_> = read.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let expected = [("filename", "ä"), ("is_confidential", ""), ("tags", "a,b")];
        assert_eq!(read, expected);
        assert_eq!(pairs("").unwrap(), []);
        assert_eq!(pairs("  ").unwrap(), []);
        for bad in [
            ",",
            "a YQ==,",
            ", a YQ==",
            "a YQ==,a YQ==",
            "a YQ",
            "a Y?==",
            "a /w==",
            "ä YQ==",
        ] {
            assert!(pairs(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_mean_what_they_mean_in_one_request() {
        let text = encoded(&[
            ("name", "other.jpg"),
            ("filename", "a.jpg"),
            ("filetype", "image/jpeg"),
            ("public", "false"),
            ("title", "Sea"),
            ("album", "7"),
            ("metadata", "{\"place\":\"Elba\"}"),
        ]);
        let mut params = params(&text).unwrap();
        let mut take = |name: &str| params.take(name).unwrap().unwrap_or_default();
        assert_eq!(take("filename"), "a.jpg");
        assert_eq!(take("title"), "Sea");
        assert_eq!(take("visibility"), "private");
        assert_eq!(take("metadata"), "{\"album\":\"7\",\"place\":\"Elba\"}");
        params.finish().unwrap();
        assert!(super::params(&encoded(&[("public", "perhaps")])).is_err());
    }
}
