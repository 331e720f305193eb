//! Reads the fragmented files that our ffmpeg writes: where each sample is and when it is shown.

use std::ops::Range;

use super::boxes::{broken, find, list, u32_at};
use super::codec::Coding;
use super::part::{self, Defaults};
use crate::MediaError;

/// A file of one track in fragments.
#[derive(Debug)]
pub(crate) struct FragmentedFile<'a> {
    data: &'a [u8],
}

/// One sample, in decoding order.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    /// Where it is in the file.
    pub(crate) range: Range<usize>,
    /// When it is shown, in ticks.
    pub(crate) pts: i64,
    /// When it is decoded, in ticks.
    pub(crate) dts: i64,
    /// In ticks.
    pub(crate) duration: u32,
    /// Whether decoding can start at it.
    pub(crate) is_sync: bool,
}

impl<'a> FragmentedFile<'a> {
    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self { data }
    }

    /// The decoder's configuration, as the encoder wrote it.
    pub(crate) fn coding(&self) -> Result<Coding<'a>, MediaError> {
        const TO_ENTRIES: [&[u8; 4]; 6] = [b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd"];
        let entries = find(self.data, 0..self.data.len(), &TO_ENTRIES)?
            .ok_or_else(|| broken("no sample description"))?;
        let inside = list(self.data, entries.start + 8..entries.end)?;
        let entry = inside.first().ok_or_else(|| broken("no sample entry"))?;
        let coding = |configuration| Coding {
            entry: entry.kind,
            configuration,
        };
        let (kind, _) = coding(&[]).kinds()?;
        let found = find(self.data, entry.body.start + 78..entry.body.end, &[kind])?
            .ok_or_else(|| broken("no decoder configuration"))?;
        Ok(coding(&self.data[found]))
    }

    /// The number of the first fragment, from 1.
    pub(crate) fn sequence(&self) -> Result<u32, MediaError> {
        let header = find(self.data, 0..self.data.len(), &[b"moof", b"mfhd"])?;
        let header = header.ok_or_else(|| broken("no fragment"))?;
        u32_at(self.data, header.start + 4)
    }

    /// All samples of all fragments.
    pub(crate) fn samples(&self) -> Result<Vec<Sample>, MediaError> {
        let data = self.data;
        let track = match find(data, 0..data.len(), &[b"moov", b"mvex", b"trex"])? {
            Some(trex) => Defaults {
                duration: u32_at(data, trex.start + 12)?,
                size: u32_at(data, trex.start + 16)?,
                flags: u32_at(data, trex.start + 20)?,
            },
            None => Defaults::default(),
        };
        let mut samples = Vec::new();
        for found in list(data, 0..data.len())? {
            if found.kind == *b"moof" {
                self.fragment(found.whole.start, found.body, track, &mut samples)?;
            }
        }
        Ok(samples)
    }

    fn fragment(
        &self,
        moof: usize,
        body: Range<usize>,
        defaults: Defaults,
        samples: &mut Vec<Sample>,
    ) -> Result<(), MediaError> {
        let data = self.data;
        let traf = find(data, body, &[b"traf"])?.ok_or_else(|| broken("an empty fragment"))?;
        let inside = list(data, traf)?;
        let (defaults, time) = part::header(data, &inside, |_| Ok(defaults))?;
        let mut decode_time = time as i64;
        for run in inside.iter().filter(|b| b.kind == *b"trun") {
            decode_time = self.run(moof, run.body.clone(), defaults, decode_time, samples)?;
        }
        Ok(())
    }

    fn run(
        &self,
        moof: usize,
        body: Range<usize>,
        defaults: Defaults,
        mut decode_time: i64,
        samples: &mut Vec<Sample>,
    ) -> Result<i64, MediaError> {
        let data = self.data;
        let flags = u32_at(data, body.start)? & 0xff_ffff;
        let count = u32_at(data, body.start + 4)?;
        let mut at = body.start + 8;
        let mut next = |wanted: u32| -> Result<Option<u32>, MediaError> {
            if flags & wanted == 0 {
                return Ok(None);
            }
            let value = u32_at(data, at)?;
            at += 4;
            Ok(Some(value))
        };
        let offset = next(0x1)?.unwrap_or(0) as i32;
        let mut first_flags = next(0x4)?;
        let mut position = moof
            .checked_add_signed(offset as isize)
            .ok_or_else(|| broken("an offset before the file"))?;
        for _ in 0..count {
            let duration = next(0x100)?.unwrap_or(defaults.duration);
            let size = next(0x200)?.unwrap_or(defaults.size) as usize;
            let own_flags = next(0x400)?;
            let shown_after = next(0x800)?.unwrap_or(0) as i32;
            let sample_flags = first_flags.take().or(own_flags).unwrap_or(defaults.flags);
            let range = position..position.saturating_add(size);
            if range.end > data.len() {
                return Err(broken("a sample ends early"));
            }
            position = range.end;
            samples.push(Sample {
                range,
                pts: decode_time + i64::from(shown_after),
                dts: decode_time,
                duration,
                is_sync: sample_flags & 0x1_0000 == 0,
            });
            decode_time += i64::from(duration);
        }
        Ok(decode_time)
    }
}
