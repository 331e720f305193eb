//! Takes a fragmented MP4 file as it is being written and makes an ordinary one of it: samples are passed on as they come,
//! and when all have come there is an index that goes before them. Nothing is held but the tables.

use super::boxes::{Found, broken, find, list, u32_at, u64_at};
use super::excerpt::UNITS_MAX;
use super::part::{self, Defaults};
use super::tables::movie_scale;
use crate::MediaError;

/// Largest box besides samples. A fragment's tables of a second are a few kilobytes.
const BOX_BYTES_MAX: u64 = 32 << 20;
/// Latest time in ticks: beyond all sense, and far from where sums would not fit.
const TIME_MAX: u64 = 1 << 60;
/// Not decodable by itself.
const NOT_SYNC: u32 = 0x1_0000;

/// Reads what ffmpeg writes, in pieces of any size.
#[derive(Debug, Default)]
pub(crate) struct Gatherer {
    /// Of the box that has begun, up to its samples.
    pending: Vec<u8>,
    /// Bytes of samples that are still to come in this box.
    passing: u64,
    pub(super) brands: Vec<u8>,
    /// The body of the index that comes first, without a sample.
    pub(super) moov: Vec<u8>,
    pub(super) tracks: Vec<Gathered>,
    /// What the last fragment has, counted from its beginning, and how long its tables are.
    fragment: (Vec<Run>, u64),
    /// Bytes of samples so far.
    pub(super) data: u64,
    samples: usize,
}

/// The samples of one track.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) id: u32,
    pub(super) timescale: u32,
    defaults: Defaults,
    /// Seconds after the film's beginning at which its clock stands at nought.
    nought: f64,
    /// When the first is decoded, in ticks.
    first: Option<u64>,
    /// When the next would be.
    next: u64,
    pub(super) sizes: Vec<u32>,
    pub(super) durations: Vec<(u32, u32)>,
    pub(super) later: Vec<(u32, i32)>,
    /// Counted from 1; none at all where all are.
    pub(super) syncs: Vec<u32>,
    /// Where samples lie beside each other among the data, and how many.
    pub(super) chunks: Vec<(u64, u32)>,
    /// The earliest time shown, counted from the first decoded.
    pub(super) shown: Option<i64>,
    /// The end of the last shown, counted likewise.
    pub(super) end: i64,
}

/// Samples beside each other.
#[derive(Debug)]
struct Run {
    track: usize,
    offset: u64,
    bytes: u64,
    samples: u32,
}

impl Gatherer {
    /// Takes the next bytes; `data` gets those of samples.
    ///
    /// # Errors
    /// `encoder.failed` when they are not what ffmpeg writes; `limit.packets`; what `data` returns.
    pub(crate) fn push(
        &mut self,
        mut bytes: &[u8],
        data: &mut dyn FnMut(&[u8]) -> Result<(), MediaError>,
    ) -> Result<(), MediaError> {
        while !bytes.is_empty() {
            if self.passing > 0 {
                let count = self.passing.min(bytes.len() as u64) as usize;
                data(&bytes[..count])?;
                self.passing -= count as u64;
                self.data += count as u64;
                bytes = &bytes[count..];
                continue;
            }
            let wanted = self.wanted()?;
            let count = wanted.min(bytes.len());
            self.pending.extend_from_slice(&bytes[..count]);
            bytes = &bytes[count..];
            if self.wanted()? == 0 {
                self.take()?;
            }
        }
        Ok(())
    }

    /// How many bytes are missing until the box that has begun can be looked at.
    fn wanted(&self) -> Result<usize, MediaError> {
        let have = self.pending.len();
        if have < 8 {
            return Ok(8 - have);
        }
        let (size, header) = match u32_at(&self.pending, 0)? {
            1 if have < 16 => return Ok(16 - have),
            1 => (u64_at(&self.pending, 8)?, 16),
            size => (u64::from(size), 8),
        };
        if size < header {
            return Err(broken("a box without an end"));
        }
        if self.pending[4..8] == *b"mdat" {
            return Ok(0);
        }
        if size > BOX_BYTES_MAX {
            return Err(broken("a box is too large"));
        }
        Ok(size as usize - have)
    }

    fn take(&mut self) -> Result<(), MediaError> {
        let whole = std::mem::take(&mut self.pending);
        let header = if u32_at(&whole, 0)? == 1 { 16 } else { 8 };
        match &whole[4..8] {
            b"ftyp" if self.brands.is_empty() => self.brands = whole,
            b"moov" if self.moov.is_empty() => {
                self.moov = whole[header..].to_vec();
                self.tracks = tracks(&self.moov)?;
            }
            b"moof" => self.fragment = (self.fragment(&whole, header)?, whole.len() as u64),
            b"mdat" => {
                let size = match header {
                    16 => u64_at(&whole, 8)?,
                    _ => u64::from(u32_at(&whole, 0)?),
                };
                self.passing = size - header as u64;
                self.place(header as u64)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Says of the last fragment's samples where they are, now that it is known how they are wrapped.
    fn place(&mut self, header: u64) -> Result<(), MediaError> {
        let (runs, tables) = std::mem::take(&mut self.fragment);
        for run in runs {
            let at = run.offset.checked_sub(tables + header);
            let at = at.filter(|at| at.saturating_add(run.bytes) <= self.passing);
            let at = at.ok_or_else(|| broken("a sample outside of its fragment"))?;
            let track = &mut self.tracks[run.track];
            track.chunks.push((self.data + at, run.samples));
        }
        Ok(())
    }

    fn fragment(&mut self, moof: &[u8], header: usize) -> Result<Vec<Run>, MediaError> {
        let mut runs = Vec::new();
        for found in list(moof, header..moof.len())? {
            if found.kind == *b"traf" {
                self.part(moof, &found, &mut runs)?;
            }
        }
        Ok(runs)
    }

    fn part(&mut self, moof: &[u8], part: &Found, runs: &mut Vec<Run>) -> Result<(), MediaError> {
        let inside = list(moof, part.body.clone())?;
        let mut number = 0;
        let (defaults, time) = part::header(moof, &inside, |id| {
            let found = self.tracks.iter().position(|track| track.id == id);
            number = found.ok_or_else(|| broken("a fragment of no track"))?;
            Ok(self.tracks[number].defaults)
        })?;
        let track = &mut self.tracks[number];
        if time > TIME_MAX {
            return Err(broken("a time without end"));
        }
        track.go_on_at(time)?;
        for found in inside.iter().filter(|b| b.kind == *b"trun") {
            let (offset, bytes, samples) = track.run(moof, found.body.start, defaults)?;
            self.samples += samples as usize;
            if self.samples > UNITS_MAX {
                return Err(too_many());
            }
            runs.push(Run {
                track: number,
                offset,
                bytes,
                samples,
            });
        }
        Ok(())
    }

    /// Bytes of all samples.
    pub(crate) fn data_bytes(&self) -> u64 {
        self.data
    }
}

fn tracks(moov: &[u8]) -> Result<Vec<Gathered>, MediaError> {
    let mut tracks = Vec::new();
    for found in list(moov, 0..moov.len())? {
        if found.kind != *b"trak" {
            continue;
        }
        let clock = find(moov, found.body.clone(), &[b"mdia", b"mdhd"])?;
        let clock = clock.ok_or_else(|| broken("no clock"))?;
        let at = match moov.get(clock.start) {
            Some(0) => 12,
            _ => 20,
        };
        let timescale = u32_at(moov, clock.start + at)?;
        if timescale == 0 {
            return Err(broken("a clock that stands"));
        }
        tracks.push(Gathered {
            id: track_id(moov, &found)?,
            timescale,
            nought: nought(moov, &found, timescale)?,
            ..Gathered::default()
        });
    }
    let Some(extends) = find(moov, 0..moov.len(), &[b"mvex"])? else {
        return Err(broken("no fragments are announced"));
    };
    for found in list(moov, extends)?.iter().filter(|b| b.kind == *b"trex") {
        let at = found.body.start;
        let id = u32_at(moov, at + 4)?;
        if let Some(track) = tracks.iter_mut().find(|track| track.id == id) {
            track.defaults = Defaults {
                duration: u32_at(moov, at + 12)?,
                size: u32_at(moov, at + 16)?,
                flags: u32_at(moov, at + 20)?,
            };
        }
    }
    Ok(tracks)
}

/// What a track's edits say of when it begins: a wait, and the tick that comes then.
fn nought(moov: &[u8], track: &Found, timescale: u32) -> Result<f64, MediaError> {
    let Some(edits) = find(moov, track.body.clone(), &[b"edts", b"elst"])? else {
        return Ok(0.0);
    };
    let scale = movie_scale(moov).filter(|scale| *scale > 0);
    let scale = scale.ok_or_else(|| broken("no clock"))?;
    let long = moov.get(edits.start) == Some(&1);
    let mut wait = 0.0;
    for n in 0..u32_at(moov, edits.start + 4)?.min(2) as usize {
        let at = edits.start + 8 + n * if long { 20 } else { 12 };
        let (length, tick) = match long {
            true => (u64_at(moov, at)?, u64_at(moov, at + 8)? as i64),
            false => {
                let tick = u32_at(moov, at + 4)? as i32;
                (u64::from(u32_at(moov, at)?), i64::from(tick))
            }
        };
        if tick >= 0 {
            return Ok(wait - tick as f64 / f64::from(timescale));
        }
        wait += length as f64 / f64::from(scale);
    }
    Ok(wait)
}

pub(super) fn track_id(moov: &[u8], track: &Found) -> Result<u32, MediaError> {
    let header = find(moov, track.body.clone(), &[b"tkhd"])?;
    let header = header.ok_or_else(|| broken("no track header"))?;
    match moov.get(header.start) {
        Some(0) => u32_at(moov, header.start + 12),
        _ => u32_at(moov, header.start + 20),
    }
}

impl Gathered {
    /// The next sample is decoded at `time`: the one before it lasts until then.
    fn go_on_at(&mut self, time: u64) -> Result<(), MediaError> {
        if self.first.is_none() {
            (self.first, self.next) = (Some(time), time);
        }
        let Some(last) = self.durations.last_mut().filter(|_| time != self.next) else {
            return Ok(());
        };
        let (ticks, begun) = (last.1, self.next - u64::from(last.1));
        last.0 -= 1;
        if last.0 == 0 {
            self.durations.pop();
        }
        let lasts = time.checked_sub(begun).and_then(|t| u32::try_from(t).ok());
        let lasts = lasts.ok_or_else(|| {
            broken(&format!(
                "its clock went from {begun} and {ticks} ticks to {time}"
            ))
        })?;
        add(&mut self.durations, lasts);
        self.next = time;
        Ok(())
    }

    /// Where a run of samples begins behind its fragment's beginning, how many bytes they are, and how many samples.
    fn run(
        &mut self,
        moof: &[u8],
        at: usize,
        defaults: Defaults,
    ) -> Result<(u64, u64, u32), MediaError> {
        let flags = u32_at(moof, at)? & 0xff_ffff;
        let count = u32_at(moof, at + 4)?;
        if count as usize > UNITS_MAX {
            return Err(too_many());
        }
        let mut at = at + 8;
        let mut next = |wanted: u32| -> Result<Option<u32>, MediaError> {
            if flags & wanted == 0 {
                return Ok(None);
            }
            let value = u32_at(moof, at)?;
            at += 4;
            Ok(Some(value))
        };
        let offset = next(0x1)?.ok_or_else(|| broken("a run without a place"))?;
        let mut first_flags = next(0x4)?;
        let mut bytes = 0;
        for _ in 0..count {
            let duration = next(0x100)?.unwrap_or(defaults.duration);
            let size = next(0x200)?.unwrap_or(defaults.size);
            let own_flags = next(0x400)?;
            let shown_after = next(0x800)?.unwrap_or(0) as i32;
            let flags = first_flags.take().or(own_flags).unwrap_or(defaults.flags);
            self.sizes.push(size);
            add(&mut self.durations, duration);
            add(&mut self.later, shown_after);
            if flags & NOT_SYNC == 0 {
                self.syncs.push(self.sizes.len() as u32);
            }
            let shown = (self.next - self.first.unwrap_or(0)) as i64 + i64::from(shown_after);
            self.shown = Some(self.shown.map_or(shown, |earliest| earliest.min(shown)));
            self.end = self.end.max(shown + i64::from(duration));
            self.next += u64::from(duration);
            bytes += u64::from(size);
        }
        Ok((offset.into(), bytes, count))
    }

    /// Ticks from the first decoded to the end of the last.
    pub(super) fn total(&self) -> u64 {
        self.next - self.first.unwrap_or(0)
    }

    /// When its first is shown, in seconds.
    pub(super) fn start(&self) -> f64 {
        let ticks = self.first.unwrap_or(0) as f64 + self.shown.unwrap_or(0) as f64;
        self.nought + ticks / f64::from(self.timescale)
    }
}

fn too_many() -> MediaError {
    let message = format!("it has more than {UNITS_MAX} packets");
    MediaError::limit("limit.packets", message)
}

/// Adds a value to runs of equal ones.
fn add<T: PartialEq>(runs: &mut Vec<(u32, T)>, value: T) {
    match runs.last_mut() {
        Some((count, last)) if *last == value => *count += 1,
        _ => runs.push((1, value)),
    }
}
