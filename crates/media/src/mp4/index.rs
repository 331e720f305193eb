//! The index of what was gathered: with it before them, the samples are an ordinary MP4 file.

use super::boxes::{Found, Writer, broken, find, list, u32_at};
use super::gather::{Gathered, Gatherer, track_id};
use crate::MediaError;

impl Gatherer {
    /// What goes before the samples: together they are an ordinary MP4 file. Nothing where no sample came.
    ///
    /// # Errors
    /// `encoder.failed` when what ffmpeg wrote makes no sense.
    pub(crate) fn index(&self) -> Result<Option<Vec<u8>>, MediaError> {
        if self.tracks.iter().all(|track| track.sizes.is_empty()) {
            return Ok(None);
        }
        // Offsets are of eight bytes each, so that the index is as long with any of them.
        let length = self.front(0)?.len() as u64;
        self.front(length).map(Some)
    }

    fn front(&self, data_at: u64) -> Result<Vec<u8>, MediaError> {
        let clock = Clock::of(&self.tracks);
        let mut w = Writer(self.brands.clone());
        let inside = list(&self.moov, 0..self.moov.len())?;
        let mut done = Ok(());
        w.boxed(b"moov", |w| {
            done = inside.iter().try_for_each(|found| match &found.kind {
                b"mvhd" => self.movie(w, found, &clock),
                b"trak" => self.track(w, found, &clock, data_at),
                b"mvex" => Ok(()),
                _ => {
                    w.bytes(&self.moov[found.whole.clone()]);
                    Ok(())
                }
            });
        });
        done?;
        w.u32(1);
        w.bytes(b"mdat");
        w.u64(self.data + 16);
        Ok(w.0)
    }

    fn movie(&self, w: &mut Writer, found: &Found, clock: &Clock) -> Result<(), MediaError> {
        let body = &self.moov[found.body.clone()];
        let rest = match body.first() {
            Some(0) => body.get(20..),
            _ => body.get(32..),
        };
        let rest = rest.ok_or_else(|| broken("a header ends early"))?;
        let longest = self.tracks.iter().map(|t| clock.wait(t) + clock.length(t));
        w.full(b"mvhd", 1, 0, |w| {
            w.zeros(16);
            w.u32(clock.scale);
            w.u64(longest.max().unwrap_or(0));
            w.bytes(rest);
        });
        Ok(())
    }

    /// A track's box, with the tables of what was gathered. One without a sample is left out: it has nothing to say.
    fn track(
        &self,
        w: &mut Writer,
        found: &Found,
        clock: &Clock,
        data_at: u64,
    ) -> Result<(), MediaError> {
        let id = track_id(&self.moov, found)?;
        let track = self.tracks.iter().find(|track| track.id == id);
        let track = track.ok_or_else(|| broken("a track without an id"))?;
        if track.sizes.is_empty() {
            return Ok(());
        }
        let copy = Copy {
            moov: &self.moov,
            track,
            clock,
            data_at,
        };
        copy.boxed(w, found)
    }
}

/// By what all tracks begin: at the first that is shown or heard.
struct Clock {
    scale: u32,
    start: f64,
}

impl Clock {
    fn of(tracks: &[Gathered]) -> Self {
        let used = || tracks.iter().filter(|track| !track.sizes.is_empty());
        Self {
            // The film is the first track, and its edits are exact by its own clock.
            scale: used().next().map_or(1000, |track| track.timescale),
            start: used().map(Gathered::start).fold(f64::INFINITY, f64::min),
        }
    }

    fn wait(&self, track: &Gathered) -> u64 {
        match track.sizes.is_empty() {
            true => 0,
            false => ((track.start() - self.start) * f64::from(self.scale)).round() as u64,
        }
    }

    fn length(&self, track: &Gathered) -> u64 {
        let shown = (track.end - track.shown.unwrap_or(0)) as f64;
        (shown * f64::from(self.scale) / f64::from(track.timescale)).ceil() as u64
    }
}

/// Copies a track's boxes, with other tables in them.
struct Copy<'a> {
    moov: &'a [u8],
    track: &'a Gathered,
    clock: &'a Clock,
    data_at: u64,
}

impl Copy<'_> {
    fn boxed(&self, w: &mut Writer, found: &Found) -> Result<(), MediaError> {
        let mut done = Ok(());
        w.boxed(&found.kind, |w| {
            done = list(self.moov, found.body.clone())
                .and_then(|inside| inside.iter().try_for_each(|child| self.child(w, child)));
        });
        done
    }

    fn child(&self, w: &mut Writer, child: &Found) -> Result<(), MediaError> {
        let body = &self.moov[child.body.clone()];
        let short = body.first() == Some(&0);
        let part = |from: usize, to: usize| {
            let part = body.get(from..to.min(body.len()));
            part.ok_or_else(|| broken("a header ends early"))
        };
        match &child.kind {
            b"tkhd" => {
                let flags = u32_at(body, 0)? & 0xff_ffff;
                let rest = part(if short { 24 } else { 36 }, usize::MAX)?;
                w.full(b"tkhd", 1, flags, |w| {
                    w.zeros(16);
                    w.u32(self.track.id);
                    w.u32(0);
                    w.u64(self.clock.wait(self.track) + self.clock.length(self.track));
                    w.bytes(rest);
                });
                self.edits(w);
            }
            b"edts" => {}
            b"mdhd" => {
                let rest = part(if short { 20 } else { 32 }, usize::MAX)?;
                w.full(b"mdhd", 1, 0, |w| {
                    w.zeros(16);
                    w.u32(self.track.timescale);
                    w.u64(self.track.total());
                    w.bytes(rest);
                });
            }
            b"mdia" | b"minf" => self.boxed(w, child)?,
            b"stbl" => {
                let descriptions = find(self.moov, child.body.clone(), &[b"stsd"])?;
                let descriptions = descriptions.ok_or_else(|| broken("no sample description"))?;
                w.boxed(b"stbl", |w| {
                    w.boxed(b"stsd", |w| w.bytes(&self.moov[descriptions]));
                    self.tables(w);
                });
            }
            _ => w.bytes(&self.moov[child.whole.clone()]),
        }
        Ok(())
    }

    /// A wait until its first is shown, then all of it.
    fn edits(&self, w: &mut Writer) {
        let wait = self.clock.wait(self.track);
        w.boxed(b"edts", |w| {
            w.full(b"elst", 1, 0, |w| {
                w.u32(1 + u32::from(wait > 0));
                let shown = self.track.shown.unwrap_or(0);
                let all = (self.clock.length(self.track), shown);
                for (length, start) in (wait > 0).then_some((wait, -1)).into_iter().chain([all]) {
                    w.u64(length);
                    w.u64(start as u64);
                    w.u32(0x1_0000);
                }
            });
        });
    }

    fn tables(&self, w: &mut Writer) {
        let track = self.track;
        w.full(b"stts", 0, 0, |w| {
            w.u32(track.durations.len() as u32);
            for (count, ticks) in &track.durations {
                w.u32(*count);
                w.u32(*ticks);
            }
        });
        if track.later.iter().any(|(_, ticks)| *ticks != 0) {
            w.full(b"ctts", 1, 0, |w| {
                w.u32(track.later.len() as u32);
                for (count, ticks) in &track.later {
                    w.u32(*count);
                    w.u32(*ticks as u32);
                }
            });
        }
        if track.syncs.len() < track.sizes.len() {
            w.full(b"stss", 0, 0, |w| {
                w.u32(track.syncs.len() as u32);
                track.syncs.iter().for_each(|number| w.u32(*number));
            });
        }
        let mut maps: Vec<(u32, u32)> = Vec::new();
        for (number, (_, samples)) in (1..).zip(&track.chunks) {
            if maps.last().is_none_or(|(_, same)| same != samples) {
                maps.push((number, *samples));
            }
        }
        w.full(b"stsc", 0, 0, |w| {
            w.u32(maps.len() as u32);
            for (first, samples) in maps {
                w.u32(first);
                w.u32(samples);
                w.u32(1);
            }
        });
        w.full(b"stsz", 0, 0, |w| {
            w.u32(0);
            w.u32(track.sizes.len() as u32);
            track.sizes.iter().for_each(|size| w.u32(*size));
        });
        w.full(b"co64", 0, 0, |w| {
            w.u32(track.chunks.len() as u32);
            track
                .chunks
                .iter()
                .for_each(|(at, _)| w.u64(self.data_at + at));
        });
    }
}
