//! IPTC-IIM 4.2: captions and credits as newspapers wrote them, inside of Photoshop's resource blocks.

use super::{Written, clean, decode_text};
use crate::image::headers::{be16, be32};

/// The records inside of a Photoshop segment (APP13 of a JPEG).
pub(crate) fn of_photoshop(segment: &[u8]) -> Option<&[u8]> {
    let mut rest = segment.strip_prefix(b"Photoshop 3.0\0")?;
    while rest.starts_with(b"8BIM") {
        let id = be16(rest, 4)?;
        // A Pascal string, padded to an even length including its length byte.
        let name = usize::from(*rest.get(6)?);
        let size_at = 6 + (name + 2) / 2 * 2;
        let size = be32(rest, size_at)? as usize;
        let data = rest.get(size_at + 4..)?;
        if id == 0x0404 {
            return Some(&data[..size.min(data.len())]);
        }
        rest = data.get(size.checked_add(size % 2)?..)?;
    }
    None
}

pub(super) fn read(mut records: &[u8]) -> Written {
    let mut found = Written::default();
    while let [0x1c, record, set, high, low, rest @ ..] = records {
        let size = usize::from(u16::from_be_bytes([*high, *low]));
        // Sizes above 32767 announce a longer form that no caption needs.
        let Some(data) = rest.get(..size).filter(|_| size < 0x8000) else {
            break;
        };
        let text = || clean(&decode_text(data));
        match (record, set) {
            (2, 5) => found.title = found.title.or_else(text),
            (2, 80) => found.creator = found.creator.or_else(text),
            (2, 116) => found.copyright = found.copyright.or_else(text),
            (2, 120) => found.description = found.description.or_else(text),
            _ => {}
        }
        records = &rest[size..];
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_records_behind_other_resources() {
        let mut segment =
            b"Photoshop 3.0\x008BIM\x03\xed\x00\x00\x00\x00\x00\x03abc\x008BIM\x04\x04\x00\x00"
                .to_vec();
        let records = b"\x1c\x02\x50\x00\x03Ann\x1c\x02\x78\x00\x04Gr\xfc\xdf\x1c\x02\x05\xff";
        segment.extend_from_slice(&(records.len() as u32).to_be_bytes());
        segment.extend_from_slice(records);
        let found = read(of_photoshop(&segment).expect("the IPTC resource"));
        assert_eq!(found.creator.as_deref(), Some("Ann"));
        assert_eq!(found.description.as_deref(), Some("Grüß"));
        assert_eq!(found.title, None);
    }
}
