//! Media segments: one `moof` and its `mdat`.

use super::boxes::Writer;

/// Decodable by itself.
const SYNC: u32 = 0x0200_0000;
/// Depends on others.
const NOT_SYNC: u32 = 0x0101_0000;

/// One segment about to be written.
#[derive(Debug)]
pub(crate) struct Fragment<'a> {
    /// Position among all segments of the track, from 1.
    pub(crate) sequence: u32,
    /// When its first sample is decoded, in ticks.
    pub(crate) decode_time: u64,
    /// How long each sample lasts, in ticks.
    pub(crate) sample_ticks: u32,
    /// Whether all samples can be decoded by themselves (sound), or only the first (film).
    pub(crate) all_sync: bool,
    /// In decoding order.
    pub(crate) samples: Vec<FragmentSample<'a>>,
}

/// One coded picture or block of sound.
#[derive(Debug)]
pub(crate) struct FragmentSample<'a> {
    pub(crate) data: &'a [u8],
    /// Presentation minus decoding time, in ticks.
    pub(crate) shown_after: u32,
}

impl Fragment<'_> {
    /// The segment's bytes, and how many of them a player needs for the first sample alone.
    pub(crate) fn write(&self) -> (Vec<u8>, usize) {
        let mut w = Writer::default();
        let mut offset_at = 0;
        w.boxed(b"moof", |w| {
            w.full(b"mfhd", 0, 0, |w| w.u32(self.sequence));
            w.boxed(b"traf", |w| {
                // Offsets from the moof; default duration; default flags.
                w.full(b"tfhd", 0, 0x02_0000 | 0x08 | 0x20, |w| {
                    w.u32(1);
                    w.u32(self.sample_ticks);
                    w.u32(if self.all_sync { SYNC } else { NOT_SYNC });
                });
                w.full(b"tfdt", 1, 0, |w| w.u64(self.decode_time));
                // Data offset, flags of the first, sizes, composition offsets.
                let first = if self.all_sync { 0 } else { 0x004 | 0x800 };
                w.full(b"trun", 1, 0x001 | 0x200 | first, |w| {
                    w.u32(self.samples.len() as u32);
                    offset_at = w.0.len();
                    w.u32(0);
                    if !self.all_sync {
                        w.u32(SYNC);
                    }
                    for sample in &self.samples {
                        w.u32(sample.data.len() as u32);
                        if !self.all_sync {
                            w.u32(sample.shown_after);
                        }
                    }
                });
            });
        });
        let data_at = w.0.len() + 8;
        w.0[offset_at..offset_at + 4].copy_from_slice(&(data_at as u32).to_be_bytes());
        w.boxed(b"mdat", |w| {
            self.samples.iter().for_each(|sample| w.bytes(sample.data));
        });
        let first = self.samples.first().map_or(0, |sample| sample.data.len());
        (w.0, data_at + first)
    }
}
