//! Reads the initialisation segments that we write: what a decoder must know, and how times are meant.

use super::boxes::{broken, find, list, u32_at};
use crate::MediaError;

/// What an initialisation segment says.
#[derive(Debug, Clone)]
pub(crate) struct TrackSetup<'a> {
    /// Ticks per second.
    pub(crate) timescale: u32,
    /// Ticks by which samples are shown earlier than their fragments say.
    pub(crate) shown_late: u32,
    /// What the decoder is told.
    pub(crate) codec: CodecSetup<'a>,
}

/// A decoder's configuration.
#[derive(Debug, Clone)]
pub(crate) enum CodecSetup<'a> {
    /// H.264: the body of `avcC`.
    Avc(&'a [u8]),
    /// AAC: the AudioSpecificConfig.
    Aac([u8; 2]),
}

impl<'a> TrackSetup<'a> {
    pub(crate) fn read(init: &'a [u8]) -> Result<Self, MediaError> {
        let whole = 0..init.len();
        let track = find(init, whole, &[b"moov", b"trak"])?.ok_or_else(|| broken("no track"))?;
        let header = find(init, track.clone(), &[b"mdia", b"mdhd"])?;
        let header = header.ok_or_else(|| broken("no clock"))?;
        let timescale = u32_at(init, header.start + 12)?;
        if timescale == 0 {
            return Err(broken("a clock that stands"));
        }
        let edits = find(init, track.clone(), &[b"edts", b"elst"])?;
        // Version, count, duration; then the tick to begin with.
        let shown_late = edits.map_or(Ok(0), |edits| u32_at(init, edits.start + 12))?;
        const TO_ENTRIES: [&[u8; 4]; 4] = [b"mdia", b"minf", b"stbl", b"stsd"];
        let entries = find(init, track, &TO_ENTRIES)?.ok_or_else(|| broken("no description"))?;
        let inside = list(init, entries.start + 8..entries.end)?;
        let entry = inside.first().ok_or_else(|| broken("no sample entry"))?;
        let missing = || broken("no decoder configuration");
        let part = |skip: usize, kind| find(init, entry.body.start + skip..entry.body.end, &[kind]);
        let codec = match &entry.kind {
            b"avc1" => CodecSetup::Avc(&init[part(78, b"avcC")?.ok_or_else(missing)?]),
            b"mp4a" => {
                let descriptors = part(28, b"esds")?.ok_or_else(missing)?;
                // As in `codec_string`: our descriptors have one-byte lengths.
                let at = descriptors.start + 4 + 22;
                let bytes = init.get(at..at + 2).and_then(|b| b.try_into().ok());
                CodecSetup::Aac(bytes.ok_or_else(missing)?)
            }
            _ => return Err(broken("a codec that transport streams do not carry")),
        };
        Ok(Self {
            timescale,
            shown_late,
            codec,
        })
    }
}
