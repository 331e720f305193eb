//! The names that players know codecs by (RFC 6381), read from what decoders will be told.

use super::boxes::{broken, find, list};
use crate::MediaError;

/// The `CODECS` value of an initialisation segment of ours: `avc1.64001f`, `mp4a.40.2`.
///
/// # Errors
/// `encoder.failed` when the bytes are no initialisation segment of H.264 or AAC.
pub fn codec_string(init: &[u8]) -> Result<String, MediaError> {
    const TO_ENTRIES: [&[u8; 4]; 6] = [b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd"];
    let entries =
        find(init, 0..init.len(), &TO_ENTRIES)?.ok_or_else(|| broken("no sample description"))?;
    let inside = list(init, entries.start + 8..entries.end)?;
    let entry = inside.first().ok_or_else(|| broken("no sample entry"))?;
    match &entry.kind {
        b"avc1" => {
            let extensions = entry.body.start + 78..entry.body.end;
            let found = find(init, extensions, &[b"avcC"])?;
            let found = found.ok_or_else(|| broken("no decoder configuration"))?;
            match init[found] {
                [1, profile, constraints, level, ..] => {
                    Ok(format!("avc1.{profile:02x}{constraints:02x}{level:02x}"))
                }
                _ => Err(broken("an empty decoder configuration")),
            }
        }
        b"mp4a" => {
            let extensions = entry.body.start + 28..entry.body.end;
            let found = find(init, extensions, &[b"esds"])?;
            let descriptors = found.ok_or_else(|| broken("no decoder configuration"))?;
            // Ours have one-byte lengths: ES (3 + 2), decoder config (13 + 2), specific info.
            match init.get(descriptors.start + 4 + 22) {
                Some(first) => Ok(format!("mp4a.40.{}", first >> 3)),
                None => Err(broken("an empty decoder configuration")),
            }
        }
        _ => Err(broken("a codec that we do not make")),
    }
}
