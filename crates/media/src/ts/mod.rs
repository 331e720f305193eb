//! MPEG-2 transport streams (ISO/IEC 13818-1) for players that know nothing newer: finished CMAF segments in another
//! wrapping, nothing encoded again.
//!
//! Each segment is a function of its CMAF form and the initialisation segment alone, so it can be made anywhere. Segments
//! still join as if one hand had written them: times follow from the film's own, and each segment counts its packets up to a
//! multiple of sixteen, so that the next one can begin at nought again.

mod packets;
mod reading;
mod units;

use crate::MediaError;
use crate::mp4::{FragmentedFile, TrackSetup};
use packets::{Packets, Pes};
use units::Units;

pub(crate) use reading::pictures;

/// Ticks per second of all transport streams.
pub const CLOCK: u32 = 90_000;

/// What is added to every time, in ticks: ten seconds, so that what is decoded before the first picture is shown has a
/// time that is not negative, at any usual rate of pictures. Pictures and sound have the same.
pub const OFFSET: u64 = 900_000;

/// Tables at the beginning of a segment, in bytes: what comes before its first picture.
pub const TABLES_BYTES: u64 = 2 * packets::LENGTH as u64;

/// Times are counted in 33 bits: after a good 26 hours they begin anew.
const WRAP: i128 = 1 << 33;

/// A segment of a transport stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TsSegment {
    /// The file.
    pub bytes: Vec<u8>,
    /// How many of its first bytes show its first picture; 0 in sound.
    pub key_frame_bytes: usize,
}

/// The time of a transport stream for a time of the film, in ticks of its track.
pub fn time(ticks: i64, timescale: u32) -> u64 {
    let timescale = i128::from(timescale);
    // Each is rounded by itself, so that nothing drifts where the clocks have no common tick.
    let rounded = (i128::from(ticks) * i128::from(CLOCK) + timescale / 2).div_euclid(timescale);
    (rounded + i128::from(OFFSET)).rem_euclid(WRAP) as u64
}

/// Wraps a media segment of ours. `init` is its initialisation segment.
///
/// # Errors
/// `encoder.failed` when the bytes are no segment of H.264 or AAC as we write them.
pub fn from_cmaf(init: &[u8], segment: &[u8]) -> Result<TsSegment, MediaError> {
    let setup = TrackSetup::read(init)?;
    let file = FragmentedFile::new(segment);
    let samples = file.samples()?;
    let units = Units::of(&setup.codec)?;
    let shown = |ticks: i64| time(ticks - i64::from(setup.shown_late), setup.timescale);
    let mut packets = Packets::new(units.stream(), file.sequence()?.wrapping_sub(1));
    packets.tables();
    let groups: Vec<_> = samples.chunks(units.per_packet(setup.timescale)).collect();
    let mut key_frame_bytes = 0;
    for (n, group) in groups.iter().enumerate() {
        let mut data = Vec::new();
        for sample in *group {
            units.write(&segment[sample.range.clone()], sample.is_sync, &mut data)?;
        }
        packets.elementary(&Pes {
            shown: shown(group[0].pts),
            decoded: shown(group[0].dts),
            is_entry: group[0].is_sync,
            is_last: n + 1 == groups.len(),
            data: &data,
        });
        if n == 0 && units.are_pictures() {
            key_frame_bytes = packets.len();
        }
    }
    if let Some(last) = samples.last() {
        packets.tick_until(shown(last.dts + i64::from(last.duration)));
    }
    Ok(TsSegment {
        bytes: packets.into_bytes(),
        key_frame_bytes,
    })
}
