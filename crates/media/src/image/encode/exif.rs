//! The smallest EXIF block that can carry a name: one TIFF directory, two ASCII entries.

use super::Metadata;

const ARTIST: u16 = 0x013B;
const COPYRIGHT: u16 = 0x8298;
const ASCII: u16 = 2;
/// Longer claims are cut; JPEG has room for 64 KiB of EXIF in all.
const TEXT_BYTES_MAX: usize = 8 << 10;

/// A TIFF structure with what `metadata` says in words, or `None` when it says nothing.
pub(super) fn block(metadata: &Metadata<'_>) -> Option<Vec<u8>> {
    let entries: Vec<(u16, Vec<u8>)> = [(ARTIST, metadata.artist), (COPYRIGHT, metadata.copyright)]
        .into_iter()
        .filter_map(|(tag, text)| Some((tag, ascii(text?)?)))
        .collect();
    if entries.is_empty() {
        return None;
    }
    let mut tiff = b"II\x2A\0\x08\0\0\0".to_vec();
    tiff.extend_from_slice(&(entries.len() as u16).to_le_bytes());
    let mut values = Vec::new();
    let values_start = tiff.len() + entries.len() * 12 + 4;
    for (tag, text) in &entries {
        tiff.extend_from_slice(&tag.to_le_bytes());
        tiff.extend_from_slice(&ASCII.to_le_bytes());
        tiff.extend_from_slice(&(text.len() as u32).to_le_bytes());
        if text.len() <= 4 {
            let mut inline = [0; 4];
            inline[..text.len()].copy_from_slice(text);
            tiff.extend_from_slice(&inline);
        } else {
            tiff.extend_from_slice(&((values_start + values.len()) as u32).to_le_bytes());
            values.extend_from_slice(text);
            if values.len() % 2 == 1 {
                values.push(0);
            }
        }
    }
    tiff.extend_from_slice(&[0; 4]);
    tiff.extend_from_slice(&values);
    Some(tiff)
}

/// The text with its closing zero. UTF-8 is what readers expect in practice in ASCII fields.
fn ascii(text: &str) -> Option<Vec<u8>> {
    let text = text.trim();
    let mut end = text.len().min(TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut bytes: Vec<u8> = text[..end].bytes().filter(|b| *b != 0).collect();
    if bytes.is_empty() {
        return None;
    }
    bytes.push(0);
    Some(bytes)
}
