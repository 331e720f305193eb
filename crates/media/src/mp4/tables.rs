//! The sample tables of ordinary MP4 files: when each picture is shown, without reading pictures.
//!
//! Walking through all packets of a film of two hours means reading gigabytes; its tables are a
//! few megabytes. Only what is common is understood here: for fragments, several edits or
//! anything odd there is no answer, and the caller counts packets instead.

use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::slice::ChunksExact;

use super::boxes::{find, list, u32_at, u64_at};

/// Largest `moov` that is read, in bytes.
pub(super) const MOOV_BYTES_MAX: u64 = 128 << 20;
/// Most samples of one track: twelve hours of 240 pictures per second.
pub(super) const SAMPLES_MAX: usize = 12 * 3600 * 240;
/// Most boxes beside each other in a file.
const BOXES_MAX: usize = 10_000;

/// One track and all its samples.
#[derive(Debug)]
pub(crate) struct TrackTable {
    /// As the file numbers it, and ffprobe shows it as a stream's `id`.
    pub(crate) id: u32,
    /// In decoding order. Sound in constant bytes per sample is one entry.
    pub(crate) entries: Vec<TableEntry>,
}

/// One sample of a table; times are in the track's ticks, with its edit applied.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TableEntry {
    pub(crate) pts: i64,
    pub(crate) duration: i64,
    pub(crate) bytes: u64,
    pub(crate) is_sync: bool,
}

/// Handler and first codec of each track of a file whose `moov` has at most so many bytes; nothing where it has none.
pub(crate) fn handlers(
    file: &mut (impl Read + Seek + ?Sized),
    bytes_max: u64,
) -> Option<Vec<([u8; 4], [u8; 4])>> {
    let length = file.seek(SeekFrom::End(0)).ok()?;
    let moov = moov(file, length, bytes_max)?;
    let inside = list(&moov, 0..moov.len()).ok()?;
    let track = |body: Range<usize>| {
        let find = |path: &[&[u8; 4]]| find(&moov, body.clone(), path).ok()?;
        let word = |at: usize| moov.get(at..at + 4)?.try_into().ok();
        let handler = word(find(&[b"mdia", b"hdlr"])?.start + 8)?;
        let codecs = find(&[b"mdia", b"minf", b"stbl", b"stsd"]);
        let codec = codecs.and_then(|stsd| word(stsd.start + 12));
        Some((handler, codec.unwrap_or_default()))
    };
    let tracks = inside.iter().filter(|b| b.kind == *b"trak");
    Some(tracks.filter_map(|b| track(b.body.clone())).collect())
}

/// The tables of an ordinary file; nothing where it is not one. Samples that lie beyond the end
/// of the file are left out.
pub(crate) fn read(file: &mut (impl Read + Seek)) -> Option<Vec<TrackTable>> {
    let length = file.seek(SeekFrom::End(0)).ok()?;
    let moov = moov(file, length, MOOV_BYTES_MAX)?;
    let inside = list(&moov, 0..moov.len()).ok()?;
    if inside.iter().any(|b| b.kind == *b"mvex") {
        return None;
    }
    let movie_scale = movie_scale(&moov)?;
    inside
        .iter()
        .filter(|b| b.kind == *b"trak")
        .map(|track| Track::of(&moov, track.body.clone())?.table(movie_scale, length))
        .collect()
}

/// Whether samples come in fragments behind the index of `file`.
pub(crate) fn is_fragmented(file: &mut (impl Read + Seek + ?Sized)) -> bool {
    let length = file.seek(SeekFrom::End(0)).ok();
    let index = length.and_then(|length| moov(file, length, MOOV_BYTES_MAX));
    index.is_some_and(|index| {
        let inside = list(&index, 0..index.len());
        inside.is_ok_and(|inside| inside.iter().any(|b| b.kind == *b"mvex"))
    })
}

/// Ticks per second of the clock that edits count by.
pub(super) fn movie_scale(moov: &[u8]) -> Option<u32> {
    let movie = find(moov, 0..moov.len(), &[b"mvhd"]).ok()??;
    match moov.get(movie.start)? {
        0 => u32_at(moov, movie.start + 12).ok(),
        _ => u32_at(moov, movie.start + 20).ok(),
    }
}

/// What is in the box of the index, whose file has this length.
pub(super) fn moov(
    file: &mut (impl Read + Seek + ?Sized),
    length: u64,
    bytes_max: u64,
) -> Option<Vec<u8>> {
    let mut at = 0;
    for _ in 0..BOXES_MAX {
        if length.checked_sub(at)? < 8 {
            return None;
        }
        file.seek(SeekFrom::Start(at)).ok()?;
        let mut header = [0; 16];
        let read = (length - at).min(16) as usize;
        file.read_exact(&mut header[..read]).ok()?;
        let (size, skipped) = match u32_at(&header, 0).ok()? {
            0 => (length - at, 8),
            1 => (u64_at(&header, 8).ok()?, 16),
            size => (u64::from(size), 8),
        };
        match &header[4..8] {
            b"moof" => return None,
            b"moov" if size <= bytes_max && size <= length - at => {
                let mut body = vec![0; size.checked_sub(skipped)? as usize];
                file.seek(SeekFrom::Start(at + skipped)).ok()?;
                file.read_exact(&mut body).ok()?;
                return Some(body);
            }
            _ if size < skipped => return None,
            _ => at = at.checked_add(size)?,
        }
    }
    None
}

/// The boxes of one track.
pub(super) struct Track<'a> {
    pub(super) moov: &'a [u8],
    pub(super) body: Range<usize>,
    table: Range<usize>,
    handler: [u8; 4],
    pub(super) is_sound: bool,
    pub(super) timescale: u32,
}

impl<'a> Track<'a> {
    pub(super) fn of(moov: &'a [u8], body: Range<usize>) -> Option<Self> {
        let media = |path: &[&[u8; 4]]| find(moov, body.clone(), path).ok()?;
        let table = media(&[b"mdia", b"minf", b"stbl"])?;
        let header = media(&[b"mdia", b"mdhd"])?;
        let handler = media(&[b"mdia", b"hdlr"])?;
        let timescale = match moov.get(header.start)? {
            0 => u32_at(moov, header.start + 12).ok()?,
            _ => u32_at(moov, header.start + 20).ok()?,
        };
        let handler = moov.get(handler.start + 8..handler.start + 12)?;
        let handler: [u8; 4] = handler.try_into().ok()?;
        Some(Self {
            moov,
            table,
            handler,
            is_sound: handler == *b"soun",
            timescale,
            body,
        })
    }

    pub(super) fn handler(&self) -> &[u8; 4] {
        &self.handler
    }

    pub(super) fn id(&self) -> Option<u32> {
        let header = find(self.moov, self.body.clone(), &[b"tkhd"]).ok()??;
        match self.moov.get(header.start)? {
            0 => u32_at(self.moov, header.start + 12).ok(),
            _ => u32_at(self.moov, header.start + 20).ok(),
        }
    }

    /// The numbers of a table whose rows are `width` words, after `skip` bytes of header that end
    /// with the number of rows.
    pub(super) fn rows(
        &self,
        kind: &[u8; 4],
        skip: usize,
        width: usize,
    ) -> Option<ChunksExact<'a, u8>> {
        let found = find(self.moov, self.table.clone(), &[kind]).ok()??;
        let count = u32_at(self.moov, found.start + skip - 4).ok()? as usize;
        let rows = self.moov.get(found.start + skip..found.end)?;
        let rows = rows.get(..count.checked_mul(width * 4)?)?;
        Some(rows.chunks_exact(width * 4))
    }

    fn table(&self, movie_scale: u32, file_bytes: u64) -> Option<TrackTable> {
        let steps = self.steps()?;
        let total = Self::total(&steps)?;
        let id = self.id()?;
        if let Some(constant) = self.constant_size()? {
            // Uncompressed sound: every sample counts, none needs to be looked at.
            let shift = self.shift(movie_scale, 0, total)?;
            let whole = TableEntry {
                pts: -shift,
                duration: total,
                bytes: self.samples()? * u64::from(constant),
                is_sync: true,
            };
            let fits = whole.bytes <= file_bytes;
            return (self.is_sound && fits).then_some(TrackTable {
                id,
                entries: vec![whole],
            });
        }
        let entries = self.entries(&steps, file_bytes)?;
        let first = entries.iter().map(|e| e.pts).min().unwrap_or(0);
        let shift = self.shift(movie_scale, first, total)?;
        let entries = entries
            .into_iter()
            .map(|entry| TableEntry {
                pts: entry.pts.saturating_sub(shift),
                ..entry
            })
            // What an encoder needed to get going is decoded and not heard.
            .filter(|entry| !self.is_sound || entry.pts.saturating_add(entry.duration) > 0)
            .collect();
        Some(TrackTable { id, entries })
    }

    /// How many samples in a row last how many ticks.
    pub(super) fn steps(&self) -> Option<Vec<(u32, u32)>> {
        let rows = self.rows(b"stts", 8, 2)?;
        Some(rows.map(|row| (word(row, 0), word(row, 1))).collect())
    }

    /// Ticks of all samples together.
    pub(super) fn total(steps: &[(u32, u32)]) -> Option<i64> {
        steps.iter().try_fold(0_i64, |sum, (n, ticks)| {
            sum.checked_add(i64::from(*n) * i64::from(*ticks))
        })
    }

    /// Bytes of each sample, where all have as many.
    pub(super) fn constant_size(&self) -> Option<Option<u32>> {
        let sizes = find(self.moov, self.table.clone(), &[b"stsz"]).ok()??;
        let constant = u32_at(self.moov, sizes.start + 4).ok()?;
        Some((constant != 0).then_some(constant))
    }

    /// How many samples there are.
    pub(super) fn samples(&self) -> Option<u64> {
        let sizes = find(self.moov, self.table.clone(), &[b"stsz"]).ok()??;
        u32_at(self.moov, sizes.start + 8).ok().map(u64::from)
    }

    fn entries(&self, steps: &[(u32, u32)], file_bytes: u64) -> Option<Vec<TableEntry>> {
        let sizes = self.rows(b"stsz", 12, 1)?;
        if sizes.len() > SAMPLES_MAX {
            return None;
        }
        let offsets = self.offsets(sizes.clone())?;
        let later = self.later()?;
        let syncs = self.syncs()?;
        let (mut steps, mut later) = (runs(steps), runs(&later));
        let mut decoded: i64 = 0;
        let mut entries = Vec::with_capacity(sizes.len());
        for (n, size) in sizes.enumerate() {
            let duration = i64::from(steps.next()?);
            let shown_after = i64::from(later.next()?);
            let bytes = u64::from(word(size, 0));
            if offsets[n].saturating_add(bytes) <= file_bytes {
                entries.push(TableEntry {
                    pts: decoded + shown_after,
                    duration,
                    bytes,
                    is_sync: syncs
                        .as_ref()
                        .is_none_or(|syncs| syncs.binary_search(&(n as u32 + 1)).is_ok()),
                });
            }
            decoded = decoded.checked_add(duration)?;
        }
        Some(entries)
    }

    /// How many samples in a row are shown how many ticks after they are decoded.
    pub(super) fn later(&self) -> Option<Vec<(u32, i32)>> {
        if !self.has(b"ctts") {
            return Some(vec![(u32::MAX, 0)]);
        }
        let rows = self.rows(b"ctts", 8, 2)?;
        Some(
            rows.map(|row| (word(row, 0), word(row, 1) as i32))
                .collect(),
        )
    }

    /// The numbers of samples that stand for themselves, from 1; nothing where all do.
    pub(super) fn syncs(&self) -> Option<Option<Vec<u32>>> {
        match self.has(b"stss") {
            true => Some(Some(
                self.rows(b"stss", 8, 1)?.map(|r| word(r, 0)).collect(),
            )),
            false => Some(None),
        }
    }

    /// Where each chunk begins in the file.
    pub(super) fn chunks(&self) -> Option<Vec<u64>> {
        if self.has(b"co64") {
            let rows = self.rows(b"co64", 8, 2)?;
            let long = rows.map(|r| u64::from(word(r, 0)) << 32 | u64::from(word(r, 1)));
            return Some(long.collect());
        }
        let rows = self.rows(b"stco", 8, 1)?;
        Some(rows.map(|r| u64::from(word(r, 0))).collect())
    }

    /// Runs of chunks with as many samples each, of one description: the chunks, how many, which.
    fn chunk_runs(&self, chunks: usize) -> Option<Vec<(Range<usize>, u32, u32)>> {
        let runs: Vec<&[u8]> = self.rows(b"stsc", 8, 3)?.collect();
        let run = |(n, run): (usize, &&[u8])| {
            let first = (word(run, 0) as usize).checked_sub(1)?;
            let end = match runs.get(n + 1) {
                Some(next) => (word(next, 0) as usize).checked_sub(1)?,
                None => chunks,
            };
            (first <= end && end <= chunks).then(|| (first..end, word(run, 1), word(run, 2)))
        };
        runs.iter().enumerate().map(run).collect()
    }

    /// How many samples each chunk has.
    pub(super) fn chunk_samples(&self) -> Option<Vec<u32>> {
        let runs = self.chunk_runs(self.chunks()?.len())?;
        let counts = runs
            .into_iter()
            .flat_map(|(chunks, samples, _)| std::iter::repeat_n(samples, chunks.len()));
        Some(counts.collect())
    }

    /// The first sample of each run of those that share a description, from 0, and which it is.
    pub(super) fn descriptions(&self) -> Option<Vec<(u32, u32)>> {
        let mut found: Vec<(u32, u32)> = Vec::new();
        let mut at: u32 = 0;
        for (chunks, samples, description) in self.chunk_runs(self.chunks()?.len())? {
            if found.last().is_none_or(|last| last.1 != description) {
                found.push((at, description));
            }
            at = at.checked_add(samples.checked_mul(u32::try_from(chunks.len()).ok()?)?)?;
        }
        Some(found)
    }

    /// The whole box that says how many samples each chunk has.
    pub(super) fn map(&self) -> Option<&'a [u8]> {
        let inside = list(self.moov, self.table.clone()).ok()?;
        let found = inside.into_iter().find(|b| b.kind == *b"stsc")?;
        self.moov.get(found.whole)
    }

    /// Where each sample begins in the file.
    pub(super) fn offsets(&self, mut sizes: ChunksExact<'a, u8>) -> Option<Vec<u64>> {
        let chunks = self.chunks()?;
        let mut offsets = Vec::with_capacity(sizes.len());
        for (run, samples, _) in self.chunk_runs(chunks.len())? {
            for chunk in &chunks[run] {
                let mut at = *chunk;
                for size in sizes.by_ref().take(samples as usize) {
                    offsets.push(at);
                    at = at.checked_add(u64::from(word(size, 0)))?;
                }
            }
        }
        sizes.next().is_none().then_some(offsets)
    }

    fn has(&self, kind: &[u8; 4]) -> bool {
        matches!(find(self.moov, self.table.clone(), &[kind]), Ok(Some(_)))
    }

    /// How many ticks the track's edit takes off its times: none without one. Nothing where the
    /// edits are more than a start: `first` is the earliest time shown, `total` the length.
    pub(super) fn shift(&self, movie_scale: u32, first: i64, total: i64) -> Option<i64> {
        let path: [&[u8; 4]; 2] = [b"edts", b"elst"];
        let Some(found) = find(self.moov, self.body.clone(), &path).ok()? else {
            return Some(0);
        };
        let long = *self.moov.get(found.start)? == 1;
        let count = u32_at(self.moov, found.start + 4).ok()?;
        let edit = |n: usize| -> Option<(u64, i64)> {
            let at = found.start + 8 + n * if long { 20 } else { 12 };
            Some(if long {
                (
                    u64_at(self.moov, at).ok()?,
                    u64_at(self.moov, at + 8).ok()? as i64,
                )
            } else {
                let start = u32_at(self.moov, at + 4).ok()? as i32;
                (u64::from(u32_at(self.moov, at).ok()?), i64::from(start))
            })
        };
        let ticks = |movie: u64| {
            (movie as f64 * f64::from(self.timescale) / f64::from(movie_scale.max(1))).round()
        };
        // A wait before the track, then the track.
        let (wait, (length, start)) = match (count, edit(0)?) {
            (1, edit) => (0.0, edit),
            (2, (wait, -1)) => (ticks(wait), edit(1)?),
            _ => return None,
        };
        let starts_at_first = if self.is_sound {
            (0..i64::from(self.timescale)).contains(&start)
        } else {
            start == first
        };
        // Movie ticks are coarse; a length of none means all of it.
        let slack = 2.0 * f64::from(self.timescale) / f64::from(movie_scale.max(1)) + 1.0;
        let whole = length == 0 || ticks(length) + slack >= total.saturating_sub(start) as f64;
        (starts_at_first && whole).then_some(start.saturating_sub(wait as i64))
    }
}

pub(super) fn word(row: &[u8], n: usize) -> u32 {
    row.get(n * 4..n * 4 + 4)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, u32::from_be_bytes)
}

/// A value for each sample out of (count, value) pairs.
pub(super) fn runs<T: Copy>(pairs: &[(u32, T)]) -> impl Iterator<Item = T> + '_ {
    pairs
        .iter()
        .flat_map(|(count, value)| std::iter::repeat_n(*value, *count as usize))
}
