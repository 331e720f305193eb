//! What an excerpt can have or not have: samples, one by one, and where they are.

use std::ops::Range;

use super::boxes::{Writer, find};
use super::tables::{SAMPLES_MAX, Track, runs, word};

/// What has an offset of its own in an excerpt's index: a sample, or a chunk of uncompressed sound.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unit {
    pub(super) offset: u64,
    pub(super) dts: i64,
    pub(super) pts: i64,
    pub(super) bytes: u32,
    pub(super) is_sync: bool,
}

impl Unit {
    pub(super) fn range(&self) -> Range<u64> {
        self.offset..self.offset.saturating_add(self.bytes.into())
    }
}

/// A track's units, and the `stsc` box that says how many samples each has. `chunks` are the beginnings of all chunks
/// of the file, and its end.
pub(super) fn units(
    track: &Track<'_>,
    movie_scale: u32,
    chunks: &[u64],
) -> Option<(Vec<Unit>, Vec<u8>)> {
    let steps = track.steps()?;
    let total = Track::total(&steps)?;
    if let Some(constant) = track.constant_size()? {
        let shift = track.shift(movie_scale, 0, total)?;
        let units = uncompressed(track, &steps, chunks, shift)?;
        // As long as its samples say, if they say it truly; old sound does not.
        let bytes = |count: u64| count.saturating_mul(constant.into());
        let is_whole = bytes(track.samples()?) <= *chunks.last()?;
        return (track.is_sound && is_whole).then_some((units, track.map()?.to_vec()));
    }
    let sizes = track.rows(b"stsz", 12, 1)?;
    if sizes.len() > SAMPLES_MAX {
        return None;
    }
    let offsets = track.offsets(sizes.clone())?;
    let later = track.later()?;
    let syncs = track.syncs()?;
    let (mut durations, mut later) = (runs(&steps), runs(&later));
    let mut dts: i64 = 0;
    let mut units = Vec::with_capacity(sizes.len());
    for (n, size) in sizes.enumerate() {
        let shown_after = i64::from(later.next()?);
        units.push(Unit {
            offset: offsets[n],
            dts,
            pts: dts.checked_add(shown_after)?,
            bytes: word(size, 0),
            is_sync: syncs
                .as_ref()
                .is_none_or(|syncs| syncs.binary_search(&(n as u32 + 1)).is_ok()),
        });
        dts = dts.checked_add(durations.next()?.into())?;
    }
    let first = units.iter().map(|unit| unit.pts).min().unwrap_or(0);
    let shift = track.shift(movie_scale, first, total)?;
    for unit in &mut units {
        unit.dts = unit.dts.saturating_sub(shift);
        unit.pts = unit.pts.saturating_sub(shift);
    }
    Some((units, one_by_one(&track.descriptions()?)))
}

/// Chunks of samples that all have one size.
fn uncompressed(
    track: &Track<'_>,
    steps: &[(u32, u32)],
    chunks: &[u64],
    shift: i64,
) -> Option<Vec<Unit>> {
    let mut steps = steps.iter().copied();
    let mut step = (0, 0);
    let mut dts = 0_i64.saturating_sub(shift);
    let mut units = Vec::new();
    for (offset, samples) in track.chunks()?.into_iter().zip(track.chunk_samples()?) {
        // Old files count the samples of all channels together as one byte each. What is true is where the next begins.
        let end = chunks[chunks.partition_point(|at| *at <= offset)..].first()?;
        units.push(Unit {
            offset,
            dts,
            pts: dts,
            bytes: u32::try_from(end - offset).ok()?,
            is_sync: true,
        });
        let mut left = samples;
        while left > 0 {
            if step.0 == 0 {
                step = steps.next()?;
            }
            let taken = left.min(step.0);
            dts = dts.checked_add(i64::from(taken).checked_mul(step.1.into())?)?;
            (left, step.0) = (left - taken, step.0 - taken);
        }
    }
    Some(units)
}

/// An `stsc` box that says of each sample that it is a chunk. `descriptions` are the first sample of each run of those
/// that share a description, counted from 0, and its number.
fn one_by_one(descriptions: &[(u32, u32)]) -> Vec<u8> {
    let mut w = Writer::default();
    w.full(b"stsc", 0, 0, |w| {
        w.u32(descriptions.len() as u32);
        for (first, description) in descriptions {
            w.u32(first + 1);
            w.u32(1);
            w.u32(*description);
        }
    });
    w.0
}

impl Track<'_> {
    /// The tracks that name this one's chapters.
    pub(super) fn chapters(&self) -> Vec<u32> {
        let found = find(self.moov, self.body.clone(), &[b"tref", b"chap"]);
        let body = found.ok().flatten().unwrap_or(0..0);
        let ids = self.moov[body].chunks_exact(4);
        ids.map(|id| word(id, 0)).collect()
    }
}
