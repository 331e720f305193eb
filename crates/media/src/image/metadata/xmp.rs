//! The few fields of an XMP packet (ISO 16684-1) that are shown. Looks for elements and attributes by
//! their usual names instead of parsing XML, so that a packet with broken markup still tells something.

use super::{Written, clean, decode_text};

/// Whether the packet describes a gain map (the `hdrgm` namespace).
pub(crate) fn names_gain_map(packet: &[u8]) -> bool {
    memchr::memmem::find(packet, b"hdr-gain-map/1.0/").is_some()
}

pub(super) fn read(packet: &[u8]) -> Written {
    let packet = decode_text(packet);
    Written {
        copyright: property(&packet, "dc:rights"),
        creator: property(&packet, "dc:creator"),
        title: property(&packet, "dc:title"),
        description: property(&packet, "dc:description"),
        taken_at: property(&packet, "photoshop:DateCreated").filter(|time| is_time(time)),
    }
}

/// The text of a property: an attribute, an element, or the first item of an element's list.
fn property(packet: &str, name: &str) -> Option<String> {
    for (at, _) in packet.match_indices(name) {
        let before = packet[..at].chars().next_back()?;
        let after = &packet[at + name.len()..];
        let raw = match (before, after.chars().next()?) {
            ('<', '>' | ' ' | '\n' | '\r' | '\t') => element(after, name),
            (c, '=') if c.is_whitespace() => quoted(&after[1..]),
            _ => None,
        };
        if let Some(text) = raw.and_then(|raw| clean(&unescape(raw))) {
            return Some(text);
        }
    }
    None
}

fn element<'a>(after_name: &'a str, name: &str) -> Option<&'a str> {
    let (_, inner) = after_name.split_once('>')?;
    let end = inner
        .match_indices("</")
        .find(|(at, _)| inner[at + 2..].starts_with(name))?
        .0;
    let inner = &inner[..end];
    let Some((_, item)) = inner.split_once("<rdf:li") else {
        return (!inner.contains('<')).then_some(inner);
    };
    let (_, text) = item.split_once('>')?;
    Some(text.split_once('<').map_or(text, |(text, _)| text))
}

fn quoted(value: &str) -> Option<&str> {
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    value[1..].split_once(quote).map(|(text, _)| text)
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let entity = rest
            .find(';')
            .filter(|&end| end <= 10)
            .and_then(|end| Some((character(&rest[1..end])?, end + 1)));
        let (character, length) = entity.unwrap_or(('&', 1));
        out.push(character);
        rest = &rest[length..];
    }
    out + rest
}

fn character(entity: &str) -> Option<char> {
    match entity {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = entity.strip_prefix('#')?;
            let code = match number.strip_prefix('x') {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?)
        }
    }
}

fn is_time(text: &str) -> bool {
    text.len() >= 10
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || b"-:T+.Z".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_lists_elements_and_attributes() {
        let packet = br#"<x:xmpmeta><rdf:Description photoshop:DateCreated="2020-01-02T03:04:05"
            dc:creator="Ann &amp; &#66;ob"><dc:title><rdf:Alt><rdf:li xml:lang="x-default">A &lt;title&gt;</rdf:li>
            <rdf:li>Ein Titel</rdf:li></rdf:Alt></dc:title><dc:rights>mine</dc:rights><dc:description><rdf:Alt>"#;
        let found = read(packet);
        assert_eq!(found.title.as_deref(), Some("A <title>"));
        assert_eq!(found.creator.as_deref(), Some("Ann & Bob"));
        assert_eq!(found.copyright.as_deref(), Some("mine"));
        assert_eq!(found.taken_at.as_deref(), Some("2020-01-02T03:04:05"));
        assert_eq!(found.description, None);
    }
}
