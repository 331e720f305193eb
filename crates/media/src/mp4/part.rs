//! What heads a track's part of a movie fragment (ISO/IEC 14496-12: `tfhd` and `tfdt`).

use super::boxes::{Found, broken, u32_at, u64_at};
use crate::MediaError;

/// What samples are unless they say otherwise.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Defaults {
    pub(super) duration: u32,
    pub(super) size: u32,
    pub(super) flags: u32,
}

/// Reads it from the boxes of the part: its samples' defaults, and the decode time of the first one. `of_track` answers the defaults of the
/// track with this id.
pub(super) fn header(
    data: &[u8],
    inside: &[Found],
    of_track: impl FnOnce(u32) -> Result<Defaults, MediaError>,
) -> Result<(Defaults, u64), MediaError> {
    let of = |kind: &[u8; 4]| inside.iter().find(|b| b.kind == *kind);
    let start = of(b"tfhd")
        .ok_or_else(|| broken("no fragment header"))?
        .body
        .start;
    let flags = u32_at(data, start)? & 0xff_ffff;
    if flags & 0x1 != 0 {
        return Err(broken("offsets from the start of the file"));
    }
    let mut defaults = of_track(u32_at(data, start + 4)?)?;
    let mut at = start + 8 + if flags & 0x2 != 0 { 4 } else { 0 };
    for (bit, field) in [
        (0x08, &mut defaults.duration),
        (0x10, &mut defaults.size),
        (0x20, &mut defaults.flags),
    ] {
        if flags & bit != 0 {
            *field = u32_at(data, at)?;
            at += 4;
        }
    }
    let start = of(b"tfdt")
        .ok_or_else(|| broken("no decode time"))?
        .body
        .start;
    let time = match data.get(start) {
        Some(0) => u64::from(u32_at(data, start + 4)?),
        _ => u64_at(data, start + 4)?,
    };
    Ok((defaults, time))
}
