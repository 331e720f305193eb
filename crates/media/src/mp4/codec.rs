//! What decoders are told, and the names that players know codecs by (RFC 6381).

use super::boxes::{broken, find, list};
use crate::MediaError;

/// How a track of pictures is coded: the kind of its sample entry, and the decoder's
/// configuration in the box that goes with it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Coding<'a> {
    pub(crate) entry: [u8; 4],
    pub(crate) configuration: &'a [u8],
}

impl Coding<'_> {
    /// The boxes of configuration and sample entry.
    pub(super) fn kinds(&self) -> Result<(&'static [u8; 4], &'static [u8; 4]), MediaError> {
        match &self.entry {
            b"avc1" => Ok((b"avcC", b"avc1")),
            b"hvc1" => Ok((b"hvcC", b"hvc1")),
            b"vp09" => Ok((b"vpcC", b"vp09")),
            b"av01" => Ok((b"av1C", b"av01")),
            _ => Err(broken("a codec that we do not make")),
        }
    }

    fn name(&self) -> Result<String, MediaError> {
        match (&self.entry, self.configuration) {
            (b"avc1", [1, profile, constraints, level, ..]) => {
                Ok(format!("avc1.{profile:02x}{constraints:02x}{level:02x}"))
            }
            (b"hvc1", configuration) => hevc(configuration),
            // Version and flags come first.
            (b"vp09", [1, _, _, _, profile, level, depth, ..]) => {
                Ok(format!("vp09.{profile:02}.{level:02}.{:02}", depth >> 4))
            }
            (b"av01", [0x81, sequence, flags, ..]) => {
                let tier = if flags & 0x80 == 0 { 'M' } else { 'H' };
                let depth = match (flags & 0x40, flags & 0x20) {
                    (0, _) => 8,
                    (_, 0) => 10,
                    _ => 12,
                };
                let (profile, level) = (sequence >> 5, sequence & 0x1f);
                Ok(format!("av01.{profile}.{level:02}{tier}.{depth:02}"))
            }
            _ => Err(broken("an empty decoder configuration")),
        }
    }
}

/// ISO/IEC 14496-15, annex E.3: profile, compatibility (bits reversed), tier and level, and the
/// constraints without the zeros at their end.
fn hevc(configuration: &[u8]) -> Result<String, MediaError> {
    let [1, general, c0, c1, c2, c3, constraints @ ..] = configuration else {
        return Err(broken("an empty decoder configuration"));
    };
    let (Some(constraints), Some(level)) = (constraints.get(..6), constraints.get(6)) else {
        return Err(broken("an empty decoder configuration"));
    };
    let space = ["", "A", "B", "C"][usize::from(general >> 6)];
    let tier = if general & 0x20 == 0 { 'L' } else { 'H' };
    let compatibility = u32::from_be_bytes([*c0, *c1, *c2, *c3]).reverse_bits();
    let mut name = format!(
        "hvc1.{space}{}.{compatibility:X}.{tier}{level}",
        general & 0x1f
    );
    let used = constraints
        .iter()
        .rposition(|&byte| byte != 0)
        .map_or(0, |last| last + 1);
    for byte in &constraints[..used] {
        name += &format!(".{byte:X}");
    }
    Ok(name)
}

/// The `CODECS` value of an initialisation segment of ours: `avc1.64001f`, `mp4a.40.2`.
///
/// # Errors
/// `encoder.failed` when the bytes are no initialisation segment of ours.
pub fn codec_string(init: &[u8]) -> Result<String, MediaError> {
    const TO_ENTRIES: [&[u8; 4]; 6] = [b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd"];
    let entries =
        find(init, 0..init.len(), &TO_ENTRIES)?.ok_or_else(|| broken("no sample description"))?;
    let inside = list(init, entries.start + 8..entries.end)?;
    let entry = inside.first().ok_or_else(|| broken("no sample entry"))?;
    if entry.kind != *b"mp4a" {
        return super::FragmentedFile::new(init).coding()?.name();
    }
    let extensions = entry.body.start + 28..entry.body.end;
    let found = find(init, extensions, &[b"esds"])?;
    let descriptors = found.ok_or_else(|| broken("no decoder configuration"))?;
    // Ours have one-byte lengths: ES (3 + 2), decoder config (13 + 2), specific info.
    match init.get(descriptors.start + 4 + 22) {
        Some(first) => Ok(format!("mp4a.40.{}", first >> 3)),
        None => Err(broken("an empty decoder configuration")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(entry: &[u8; 4], hex: &str) -> String {
        let bytes = (0..hex.len()).step_by(2);
        let bytes = bytes.map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap());
        let configuration: Vec<u8> = bytes.collect();
        let coding = Coding {
            entry: *entry,
            configuration: &configuration,
        };
        coding.name().unwrap()
    }

    /// Beginnings of what x264, x265, libvpx and SVT-AV1 wrote, and what they are called.
    #[test]
    fn names() {
        assert_eq!(name(b"avc1", "0164001effe1"), "avc1.64001e");
        let hevc = "0101600000009000000000003ff000fcfdf8f800000f03";
        assert_eq!(name(b"hvc1", hevc), "hvc1.1.6.L63.90");
        assert_eq!(name(b"vp09", "010000000015820101010000"), "vp09.00.21.08");
        assert_eq!(name(b"av01", "81010c000a0e"), "av01.0.01M.08");
    }
}
