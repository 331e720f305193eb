//! Copies of ordinary MP4 files that hold only some of their samples, for who reads a part of a file that is far away.
//!
//! A copy has an index of its own before everything else. It names the samples that have arrived; those that have not
//! lie, as it says, at the end of the file. So a reader who goes beyond what was fetched meets the end and fails, as
//! with a file that was cut off, and never takes a hole for a picture.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

use super::boxes::{Found, Writer, list, u32_at};
use super::spans::Spans;
use super::tables::{MOOV_BYTES_MAX, Track, moov, movie_scale};
use super::units::{Unit, units};

/// Ranges that lie so near to each other are fetched as one: asking costs more than some bytes.
const GAP_BYTES: u64 = 32 << 10;
/// What ffmpeg reads of each stream when it opens a file: five seconds, and five million bytes of all together.
const OPENING_SECONDS: f64 = 7.0;
const OPENING_BYTES: u64 = 6_000_000;
/// Texts and the like are opened without reading many of them.
const OPENING_OTHERS: usize = 4;
/// Seconds more than asked for at both ends: clocks are rounded, and pictures are stored in another order than shown.
const MARGIN: f64 = 1.0;
/// Samples more than asked for at the end, for filters that look ahead over a gap.
const AHEAD: usize = 16;
/// Most samples of all tracks, which are held in memory: four hours of 60 pictures per second with five languages.
pub(super) const UNITS_MAX: usize = 4 << 20;
/// Largest `ftyp` box.
const BRANDS_BYTES_MAX: u64 = 4096;

/// What of a file somebody reads besides its beginning. Streams are numbered as ffmpeg does, seconds are on the file's own clock.
#[derive(Debug, Clone, PartialEq)]
pub enum Reads {
    /// Nothing: it is only opened.
    Opening,
    /// What is shown in this time and all that decoding it takes.
    Pictures {
        /// The stream.
        stream: u32,
        /// From when to when; a reader seeks to the start.
        seconds: Range<f64>,
    },
    /// What is heard in this time.
    Sound {
        /// The streams.
        streams: Vec<u32>,
        /// From when to when; a reader seeks to the start.
        seconds: Range<f64>,
    },
    /// Pictures that stand for themselves, by the ticks at which they are shown.
    Keys {
        /// The stream.
        stream: u32,
        /// The pictures.
        pts: Vec<i64>,
    },
    /// All of these streams.
    Streams(Vec<u32>),
}

/// An ordinary MP4 file, as far as its copies need to know it.
#[derive(Debug)]
pub struct Excerpt {
    /// Everything before the samples: brands, index, the header of the box they are in.
    front: Vec<u8>,
    /// Of the original.
    bytes: u64,
    parts: Vec<Part>,
}

/// One track.
#[derive(Debug)]
struct Part {
    kind: Kind,
    seconds_per_tick: f64,
    /// In decoding order.
    units: Vec<Unit>,
    /// Where the offsets of its units are in `front`.
    offsets_at: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Pictures,
    Sound,
    /// Names of chapters, which are read when a file is opened.
    Chapters,
    Other,
}

impl Excerpt {
    /// Reads the index of `file`. Nothing where it is not an ordinary MP4 file: then it must be read whole.
    pub fn of(file: &mut (impl Read + Seek)) -> Option<Self> {
        let bytes = file.seek(SeekFrom::End(0)).ok()?;
        let brands = brands(file, bytes)?;
        let index = moov(file, bytes, MOOV_BYTES_MAX)?;
        let inside = list(&index, 0..index.len()).ok()?;
        // Fragments have indexes of their own, and a compressed index would keep its offsets.
        if inside.iter().any(|b| matches!(&b.kind, b"mvex" | b"cmov")) {
            return None;
        }
        let scale = movie_scale(&index)?;
        let tracks: Vec<Track<'_>> = inside
            .iter()
            .filter(|b| b.kind == *b"trak")
            .map(|b| Track::of(&index, b.body.clone()))
            .collect::<Option<_>>()?;
        let chapters: Vec<u32> = tracks.iter().flat_map(Track::chapters).collect();
        let mut chunks: Vec<u64> = tracks
            .iter()
            .map(Track::chunks)
            .collect::<Option<Vec<_>>>()?
            .concat();
        chunks.push(bytes);
        chunks.sort_unstable();
        let (mut parts, mut left) = (Vec::new(), UNITS_MAX);
        let mut maps = Vec::new();
        for track in &tracks {
            let (units, map) = units(track, scale, &chunks)?;
            let kind = match track.handler() {
                b"vide" => Kind::Pictures,
                b"soun" => Kind::Sound,
                _ if track.id().is_some_and(|id| chapters.contains(&id)) => Kind::Chapters,
                _ => Kind::Other,
            };
            left = left.checked_sub(units.len())?;
            parts.push(Part {
                kind,
                seconds_per_tick: 1.0 / f64::from(track.timescale.max(1)),
                units,
                offsets_at: 0,
            });
            maps.push(map);
        }
        if parts.is_empty() {
            return None;
        }
        let mut excerpt = Self {
            front: Vec::new(),
            bytes,
            parts,
        };
        excerpt.write_front(&brands, &index, &maps)?;
        Some(excerpt)
    }

    fn write_front(&mut self, brands: &[u8], index: &[u8], maps: &[Vec<u8>]) -> Option<()> {
        let mut w = Writer(brands.to_vec());
        let mut tracks = self.parts.iter_mut().zip(maps);
        let mut whole = Some(());
        w.boxed(b"moov", |w| {
            whole = list(index, 0..index.len()).ok().and_then(|inside| {
                inside.iter().try_for_each(|found| match &found.kind {
                    b"trak" => {
                        let (part, map) = tracks.next()?;
                        copy_track(w, index, found, part, map)
                    }
                    _ => {
                        w.bytes(&index[found.whole.clone()]);
                        Some(())
                    }
                })
            });
        });
        whole?;
        w.u32(1);
        w.bytes(b"mdat");
        w.u64(self.bytes.checked_add(16)?);
        self.front = w.0;
        let nowhere = self.file_bytes().to_be_bytes();
        for part in &self.parts {
            let all = part.offsets_at..part.offsets_at + part.units.len() * 8;
            for offset in self.front[all].chunks_exact_mut(8) {
                offset.copy_from_slice(&nowhere);
            }
        }
        Some(())
    }

    /// Bytes of a copy, most of them a hole.
    fn file_bytes(&self) -> u64 {
        self.front.len() as u64 + self.bytes
    }

    /// Bytes of the original.
    pub fn original_bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes that every copy has, before any sample.
    pub fn front_bytes(&self) -> u64 {
        self.front.len() as u64
    }

    /// Makes the empty `file` a copy without any sample.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn begin(&self, file: &File) -> io::Result<()> {
        file.write_all_at(&self.front, 0)?;
        file.set_len(self.file_bytes())
    }

    /// Writes bytes of the original from `offset` on. Nobody finds them before [`Self::admit`].
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write(&self, file: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
        file.write_all_at(bytes, self.front_bytes() + offset)
    }

    /// Names the samples that `added` completes in the copy's index; `there` is all that was written, `added` included.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn admit(&self, file: &File, there: &Spans, added: &Spans) -> io::Result<()> {
        let near: Vec<Range<u64>> = added.iter().collect();
        let is_new = |unit: &Unit| {
            let range = unit.range();
            let first = near.partition_point(|span| span.end <= range.start);
            near.get(first).is_some_and(|span| span.start < range.end) && there.holds(&range)
        };
        for part in &self.parts {
            let mut at = 0;
            for run in part.units.chunk_by(|a, b| is_new(a) == is_new(b)) {
                if is_new(&run[0]) {
                    let offset = |unit: &Unit| (unit.offset + self.front_bytes()).to_be_bytes();
                    let offsets: Vec<u8> = run.iter().flat_map(offset).collect();
                    file.write_all_at(&offsets, (part.offsets_at + at * 8) as u64)?;
                }
                at += run.len();
            }
        }
        Ok(())
    }

    /// The bytes of the original that these readers come to see, and those of opening it.
    pub fn spans(&self, reads: &[Reads]) -> Spans {
        let mut ranges = Vec::new();
        for part in &self.parts {
            ranges.extend(part.opening().iter().map(Unit::range));
        }
        for reading in reads {
            self.read(reading, &mut |unit| ranges.push(unit.range()));
        }
        // What lies beyond the end cannot be fetched, and is not found in the copy either.
        for range in &mut ranges {
            range.end = range.end.min(self.bytes);
        }
        Spans::joined(ranges, GAP_BYTES)
    }

    fn read(&self, reading: &Reads, each: &mut dyn FnMut(&Unit)) {
        let part = |stream: &u32| self.parts.get(*stream as usize);
        match reading {
            Reads::Opening => {}
            Reads::Pictures { stream, seconds } => {
                if let Some(part) = part(stream) {
                    let first = part.sync_before(seconds.start - MARGIN);
                    part.units[first..part.end_of(seconds.end)]
                        .iter()
                        .for_each(each);
                }
            }
            Reads::Sound { streams, seconds } => {
                // A seek goes to a key picture first, and then to what is heard with it.
                let films = self.parts.iter().filter(|p| p.kind == Kind::Pictures);
                let key = |part: &Part| {
                    let first = part.sync_before(seconds.start - MARGIN);
                    part.units.get(first).map(|unit| part.seconds(unit.dts))
                };
                let from = films.filter_map(key).fold(seconds.start, f64::min);
                for part in streams.iter().filter_map(part) {
                    let first = part.sync_before(from - MARGIN);
                    part.units[first..part.end_of(seconds.end)]
                        .iter()
                        .for_each(&mut *each);
                }
            }
            Reads::Keys { stream, pts } => {
                let is_one = |unit: &&Unit| unit.is_sync && pts.binary_search(&unit.pts).is_ok();
                if let Some(part) = part(stream) {
                    part.units.iter().filter(is_one).for_each(each);
                }
            }
            Reads::Streams(streams) => {
                for part in streams.iter().filter_map(part) {
                    part.units.iter().for_each(&mut *each);
                }
            }
        }
    }

    /// Where a reader finds the beginning of all that is shown or heard of `stream` in these seconds.
    pub(crate) fn positions(&self, stream: u32, seconds: &Range<f64>) -> Vec<u64> {
        let Some(part) = self.parts.get(stream as usize) else {
            return Vec::new();
        };
        let is_inside = |unit: &&Unit| {
            seconds.contains(&part.seconds(unit.pts)) && unit.range().end <= self.bytes
        };
        let found = part.units.iter().filter(is_inside);
        found.map(|unit| unit.offset + self.front_bytes()).collect()
    }
}

impl Part {
    fn seconds(&self, ticks: i64) -> f64 {
        ticks as f64 * self.seconds_per_tick
    }

    fn opening(&self) -> &[Unit] {
        let first = self.units.first().map_or(0, |unit| unit.dts);
        let mut bytes = 0;
        let is_needed = |unit: &&Unit| {
            let before = bytes;
            bytes += u64::from(unit.bytes);
            before < OPENING_BYTES && self.seconds(unit.dts - first) < OPENING_SECONDS
        };
        let count = match self.kind {
            Kind::Chapters => self.units.len(),
            Kind::Pictures | Kind::Sound => self.units.iter().take_while(is_needed).count(),
            Kind::Other => self.units.len().min(OPENING_OTHERS),
        };
        &self.units[..count]
    }

    /// The last one at which reading can begin that is stored and shown before this time.
    fn sync_before(&self, seconds: f64) -> usize {
        let end = self
            .units
            .partition_point(|u| self.seconds(u.dts) <= seconds);
        let earlier = self.units[..end].iter();
        let is_it = |unit: &Unit| unit.is_sync && self.seconds(unit.pts) <= seconds;
        earlier.clone().rposition(is_it).unwrap_or(0)
    }

    /// Behind the last one that is shown before this time.
    fn end_of(&self, seconds: f64) -> usize {
        let is_late = |unit: &Unit| self.seconds(unit.dts) >= seconds + MARGIN;
        let first_late = self.units.iter().position(is_late);
        first_late.map_or(self.units.len(), |n| (n + AHEAD).min(self.units.len()))
    }
}

/// The file's brands, which decide how ffmpeg reads it; nothing in files that are older than brands.
fn brands(file: &mut (impl Read + Seek), length: u64) -> Option<Vec<u8>> {
    let mut header = [0; 8];
    file.seek(SeekFrom::Start(0)).ok()?;
    file.read_exact(&mut header).ok()?;
    let size = u64::from(u32_at(&header, 0).ok()?);
    if header[4..] != *b"ftyp" {
        return Some(Vec::new());
    }
    if !(8..=BRANDS_BYTES_MAX.min(length)).contains(&size) {
        return None;
    }
    let mut all = vec![0; size as usize];
    file.seek(SeekFrom::Start(0)).ok()?;
    file.read_exact(&mut all).ok()?;
    Some(all)
}

/// A track's box with the offsets of its units in place of those of its chunks, and `map` in place of how many samples
/// each of these has.
fn copy_track(
    w: &mut Writer,
    index: &[u8],
    found: &Found,
    part: &mut Part,
    map: &[u8],
) -> Option<()> {
    let mut whole = Some(());
    w.boxed(&found.kind, |w| {
        whole = list(index, found.body.clone()).ok().and_then(|inside| {
            inside.iter().try_for_each(|child| match &child.kind {
                b"mdia" | b"minf" | b"stbl" => copy_track(w, index, child, part, map),
                b"stsc" | b"stco" | b"co64" => Some(()),
                _ => {
                    w.bytes(&index[child.whole.clone()]);
                    Some(())
                }
            })
        });
        if found.kind == *b"stbl" {
            // Of two nobody knows which a reader goes by.
            if part.offsets_at != 0 {
                whole = None;
                return;
            }
            w.bytes(map);
            w.full(b"co64", 0, 0, |w| {
                w.u32(part.units.len() as u32);
                part.offsets_at = w.0.len();
                w.zeros(part.units.len() * 8);
            });
        }
    });
    whole
}
