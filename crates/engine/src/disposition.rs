//! The file's name in a `Content-Disposition` (RFC 6266, with the extended notation of RFC 8187).

/// The name that the field gives the file. `filename*` counts before `filename`, because it can have any letters. It may have a
/// path in it; nobody may use it as one.
pub fn disposition_filename(field: &[u8]) -> Option<String> {
    let mut parameters = Parameters(field);
    // What it is to be (`inline`, `attachment`) does not matter here.
    parameters.skip_type()?;
    let (mut plain, mut extended) = (None, None);
    while let Some((name, value)) = parameters.next() {
        if name.eq_ignore_ascii_case(b"filename*") {
            extended = extended.or_else(|| decoded(&value));
        } else if name.eq_ignore_ascii_case(b"filename") {
            plain = plain.or_else(|| Some(text(value)));
        }
    }
    extended.or(plain).filter(|name| !name.trim().is_empty())
}

/// What is left of a field: `; name=value` and so on.
struct Parameters<'a>(&'a [u8]);

impl<'a> Parameters<'a> {
    fn skip_type(&mut self) -> Option<()> {
        let end = self.0.iter().position(|b| *b == b';')?;
        self.0 = &self.0[end..];
        Some(())
    }

    /// The next name and its value, with quotes taken off. Nothing behind something odd is read.
    fn next(&mut self) -> Option<(&'a [u8], Vec<u8>)> {
        let rest = self.0.trim_ascii_start().strip_prefix(b";")?;
        let equals = rest.iter().position(|b| *b == b'=')?;
        let (name, rest) = (rest[..equals].trim_ascii(), &rest[equals + 1..]);
        let rest = rest.trim_ascii_start();
        let (value, rest) = match rest.strip_prefix(b"\"") {
            Some(quoted) => unquoted(quoted)?,
            None => {
                let end = rest.iter().position(|b| *b == b';');
                let (value, rest) = rest.split_at(end.unwrap_or(rest.len()));
                (value.trim_ascii().to_vec(), rest)
            }
        };
        self.0 = rest;
        let is_token = !name.is_empty() && !name.iter().any(u8::is_ascii_whitespace);
        is_token.then_some((name, value))
    }
}

/// A quoted string without its quotes, and what is behind it.
fn unquoted(quoted: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut value = Vec::new();
    let mut at = 0;
    loop {
        match *quoted.get(at)? {
            b'"' => return Some((value, &quoted[at + 1..])),
            b'\\' => {
                value.push(*quoted.get(at + 1)?);
                at += 2;
            }
            byte => {
                value.push(byte);
                at += 1;
            }
        }
    }
}

/// Bytes of a field are Latin-1 by the letter of the standard, and mostly UTF-8 where there are any beyond ASCII.
fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|odd| latin(odd.as_bytes()))
}

fn latin(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// `UTF-8'en'%e2%82%ac%20rates`.
fn decoded(value: &[u8]) -> Option<String> {
    let mut parts = value.splitn(3, |b| *b == b'\'');
    let (charset, _language, encoded) = (parts.next()?, parts.next()?, parts.next()?);
    let bytes: Vec<u8> = percent_encoding::percent_decode(encoded).collect();
    match charset.to_ascii_lowercase().as_slice() {
        b"utf-8" => String::from_utf8(bytes).ok(),
        b"iso-8859-1" => Some(latin(&bytes)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_as_the_standard_has_them() {
        for (field, expected) in [
            // The examples of RFC 6266, section 5.
            ("Attachment; filename=example.html", Some("example.html")),
            (
                "INLINE; FILENAME= \"an example.html\"",
                Some("an example.html"),
            ),
            (
                "attachment; filename*= UTF-8''%e2%82%ac%20rates",
                Some("€ rates"),
            ),
            (
                "attachment; filename=\"EURO rates\"; filename*=utf-8''%e2%82%ac%20rates",
                Some("€ rates"),
            ),
            (
                "attachment; filename*=UTF-8''%e2%82%ac; filename=\"x.jpg\"",
                Some("€"),
            ),
            (
                "inline; filename*=iso-8859-1'en'%A3%20rates",
                Some("£ rates"),
            ),
            (
                r#"inline; filename="a \"b\" \\ c.jpg"; size=5"#,
                Some(r#"a "b" \ c.jpg"#),
            ),
            ("attachment; filename=\"a;b.jpg\"", Some("a;b.jpg")),
            ("attachment; x=y ; filename = a.jpg", Some("a.jpg")),
            ("attachment; filename=sé.jpg", Some("sé.jpg")),
            // What cannot be decoded does not hide what can be read.
            ("attachment; filename*=UTF-8''%ff; filename=a", Some("a")),
            ("attachment; filename*=koi8-r''%C1; filename=a", Some("a")),
            ("attachment", None),
            ("attachment; filename=", None),
            ("attachment; filename=\"\"", None),
            ("attachment; filename=\"never ends", None),
            ("filename=a.jpg", None),
            ("", None),
            (";;;=", None),
        ] {
            let found = disposition_filename(field.as_bytes());
            assert_eq!(found.as_deref(), expected, "{field}");
        }
        let latin = disposition_filename(b"inline; filename=\"s\xe9.jpg\"");
        assert_eq!(latin.as_deref(), Some("sé.jpg"));
    }
}
