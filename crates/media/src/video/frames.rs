//! Still pictures out of a film, by decoding as little as possible.

use std::path::Path;

use super::filters::{AS_RGB, shaped};
use super::plan::PlannedSource;
use super::{Ffmpeg, MediaInfo, VideoStream};
use crate::MediaError;
use crate::ffmpeg::Input;
use crate::image::Pixels;
use crate::image::pixels::Layout;
use crate::mp4::Reads;

/// Key frames are all decoded in one go while there are at most this many for each wanted one;
/// beyond, starting a process for each is cheaper.
const SURPLUS_MAX: usize = 6;
/// Seconds before an exact moment at which reading begins.
const SEEK_BEFORE: f64 = 0.5;

/// A picture and when it is shown.
#[derive(Debug, Clone)]
pub struct Moment {
    /// Microseconds after the film's first picture.
    pub time_us: u64,
    /// Upright, in square pixels, in sRGB.
    pub pixels: Pixels,
}

/// At most `count_max` key frames, spread evenly, each at most `side_max` pixels on its longer
/// side. `each` gets them in order of time.
///
/// The source must be in a container with an index; see [`super::needs_index`].
///
/// # Errors
/// `input.unsupported` without a film; those of reading a source; what `each` returns.
pub fn frames(
    ffmpeg: &Ffmpeg,
    source: &Path,
    info: &MediaInfo,
    count_max: usize,
    side_max: u32,
    each: &mut dyn FnMut(Moment) -> Result<(), MediaError>,
) -> Result<(), MediaError> {
    let film = Film::of(source, info)?;
    let keys = &film.video.timeline.key_pts;
    let wanted = film.spread(count_max);
    let size = film.fitted(side_max, side_max);
    film.keys(ffmpeg, &wanted, size, &mut |index, pixels| {
        let time_us = film.time_us(keys[index]);
        each(Moment { time_us, pixels })
    })
}

/// The picture that is shown `seconds` after the film's first, at most `side_max` pixels on its
/// longer side; the last one beyond the end.
///
/// # Errors
/// `input.unsupported` without a film; those of reading a source.
pub fn frame_at(
    ffmpeg: &Ffmpeg,
    source: &Path,
    info: &MediaInfo,
    seconds: f64,
    side_max: u32,
) -> Result<Pixels, MediaError> {
    let film = Film::of(source, info)?;
    let line = &film.video.timeline;
    let length = (line.end_pts - line.first_pts) as f64 * film.video.time_base.as_f64();
    let picture = 1.0 / film.video.frame_rate.as_f64();
    let seconds = seconds.clamp(0.0, (length - picture).max(0.0));
    let size = film.fitted(side_max, side_max);
    film.exact(ffmpeg, seconds, size)
}

/// A film that pictures are taken out of.
pub(super) struct Film<'a> {
    path: &'a Path,
    source: PlannedSource,
    pub(super) video: &'a VideoStream,
}

impl<'a> Film<'a> {
    pub(super) fn of(path: &'a Path, info: &'a MediaInfo) -> Result<Self, MediaError> {
        let none = || MediaError::unsupported("there is no film in it");
        let video = info.video.first().ok_or_else(none)?;
        Ok(Self {
            path,
            source: PlannedSource::of(info.container, video)?,
            video,
        })
    }

    /// Numbers of at most so many key frames, evenly apart.
    pub(super) fn spread(&self, count_max: usize) -> Vec<usize> {
        let keys = self.video.timeline.key_pts.len();
        let count = keys.min(count_max.max(1));
        (0..count).map(|n| n * keys / count).collect()
    }

    /// What is read where the key frames with these numbers are wanted.
    pub(super) fn keys_read(&self, wanted: &[usize]) -> Reads {
        let all = &self.video.timeline.key_pts;
        let pts = match self.are_read_together(wanted) {
            true => all.clone(),
            false => wanted.iter().map(|index| all[*index]).collect(),
        };
        let stream = self.video.index;
        Reads::Keys { stream, pts }
    }

    /// What is read where the picture of a moment is wanted.
    pub(super) fn moment_read(&self, seconds: f64) -> Reads {
        let at = self.source.start_seconds() + seconds;
        Reads::Pictures {
            stream: self.video.index,
            seconds: at - SEEK_BEFORE..at,
        }
    }

    fn are_read_together(&self, wanted: &[usize]) -> bool {
        self.video.timeline.key_pts.len() <= wanted.len().saturating_mul(SURPLUS_MAX)
    }

    /// Ticks as microseconds after the first picture.
    pub(super) fn time_us(&self, pts: i64) -> u64 {
        let ticks = (pts - self.video.timeline.first_pts).max(0);
        (ticks as f64 * self.video.time_base.as_f64() * 1e6).round() as u64
    }

    /// The largest size of the film's shape in a box, never larger than the film.
    pub(super) fn fitted(&self, width_max: u32, height_max: u32) -> (u32, u32) {
        let (w, h) = (
            f64::from(self.video.display_width),
            f64::from(self.video.display_height),
        );
        let scale = (f64::from(width_max) / w)
            .min(f64::from(height_max) / h)
            .min(1.0);
        // Even, as pictures with halved colour must be.
        let side = |side: f64| ((side * scale / 2.0).round() as u32 * 2).max(2);
        (side(w), side(h))
    }

    /// The key frames with these numbers (rising), in this size.
    pub(super) fn keys(
        &self,
        ffmpeg: &Ffmpeg,
        wanted: &[usize],
        size: (u32, u32),
        each: &mut dyn FnMut(usize, Pixels) -> Result<(), MediaError>,
    ) -> Result<(), MediaError> {
        if self.are_read_together(wanted) {
            return self.all_keys(ffmpeg, wanted, size, each);
        }
        for &index in wanted {
            let (_, pixels) = self.key(ffmpeg, index, size)?;
            each(index, pixels)?;
        }
        Ok(())
    }

    /// The key frame with this number and when it is shown, in this size.
    pub(super) fn key(
        &self,
        ffmpeg: &Ffmpeg,
        index: usize,
        size: (u32, u32),
    ) -> Result<(u64, Pixels), MediaError> {
        let time_us = self.time_us(self.video.timeline.key_pts[index]);
        let pixels = self.first_after(ffmpeg, time_us as f64 / 1e6, size)?;
        Ok((time_us, pixels))
    }

    /// One process that reads and decodes nothing but key frames.
    fn all_keys(
        &self,
        ffmpeg: &Ffmpeg,
        wanted: &[usize],
        size: (u32, u32),
        each: &mut dyn FnMut(usize, Pixels) -> Result<(), MediaError>,
    ) -> Result<(), MediaError> {
        let input = self
            .opened(ffmpeg)
            .option("-discard", "nokey")
            .option("-skip_frame", "nokey");
        let graph = self.graph("", size);
        let mut wanted = wanted.iter().copied().peekable();
        let mut index = 0;
        let args = output(&graph, None);
        ffmpeg.stream(&[input], &args, None, |output| {
            let mut picture = vec![0; size.0 as usize * size.1 as usize * 3];
            while wanted.peek().is_some() && output.fill(&mut picture)? {
                if wanted.next_if_eq(&index).is_some() {
                    each(index, pixels(size, picture.clone()))?;
                }
                index += 1;
            }
            // A reader that leaves early would make ffmpeg fail.
            while output.fill(&mut picture)? {}
            Ok(())
        })?;
        Ok(())
    }

    /// The first picture that a decoder gives from the key frame at or before `seconds` on.
    fn first_after(
        &self,
        ffmpeg: &Ffmpeg,
        seconds: f64,
        size: (u32, u32),
    ) -> Result<Pixels, MediaError> {
        let graph = self.graph("", size);
        self.one(
            ffmpeg,
            self.opened_at(ffmpeg, seconds + 0.001),
            &graph,
            size,
        )
    }

    fn exact(&self, ffmpeg: &Ffmpeg, seconds: f64, size: (u32, u32)) -> Result<Pixels, MediaError> {
        let (base, first) = (self.video.time_base, self.video.timeline.first_pts);
        // The picture on screen is the last one that began, which a rate of its own finds.
        let step = 0.5 / self.video.frame_rate.as_f64();
        let before = format!(
            "settb={}/{},setpts=PTS-({first}),trim=start={:.6},",
            base.num,
            base.den,
            (seconds - step).max(0.0)
        );
        let graph = self.graph(&before, size);
        let input = self.opened_at(ffmpeg, seconds - SEEK_BEFORE);
        self.one(ffmpeg, input, &graph, size)
    }

    /// One picture every `interval` seconds, by decoding everything.
    pub(super) fn every(
        &self,
        ffmpeg: &Ffmpeg,
        interval: f64,
        size: (u32, u32),
        each: &mut dyn FnMut(Pixels) -> Result<(), MediaError>,
    ) -> Result<(), MediaError> {
        let (base, first) = (self.video.time_base, self.video.timeline.first_pts);
        let before = format!(
            "settb={}/{},setpts=PTS-({first}),fps=1000/{}:start_time=0:round=up,",
            base.num,
            base.den,
            (interval * 1000.0).round()
        );
        let graph = self.graph(&before, size);
        let args = output(&graph, None);
        ffmpeg.stream(&[self.opened(ffmpeg)], &args, None, |output| {
            let mut picture = vec![0; size.0 as usize * size.1 as usize * 3];
            while output.fill(&mut picture)? {
                each(pixels(size, picture.clone()))?;
            }
            Ok(())
        })?;
        Ok(())
    }

    fn one(
        &self,
        ffmpeg: &Ffmpeg,
        input: Input,
        graph: &str,
        size: (u32, u32),
    ) -> Result<Pixels, MediaError> {
        let args = output(graph, Some(1));
        let (_, found) = ffmpeg.stream(&[input], &args, None, |output| {
            let mut picture = vec![0; size.0 as usize * size.1 as usize * 3];
            Ok(output.fill(&mut picture)?.then_some(picture))
        })?;
        let found = found.ok_or_else(|| MediaError::corrupt("no picture could be decoded"))?;
        Ok(pixels(size, found))
    }

    fn graph(&self, before: &str, (width, height): (u32, u32)) -> String {
        let stream = self.source.stream;
        let shaped = shaped(&self.source, width, height);
        format!("[0:{stream}]{before}{shaped}{AS_RGB}[out]")
    }

    fn opened(&self, ffmpeg: &Ffmpeg) -> Input {
        Input::new(self.path, self.source.container)
            .flag("-copyts")
            .flag("-noautorotate")
            .option("-reinit_filter", "0")
            .option("-threads", ffmpeg.threads().to_string())
    }

    fn opened_at(&self, ffmpeg: &Ffmpeg, seconds: f64) -> Input {
        let at = self.source.start_seconds() + seconds;
        let input = self.opened(ffmpeg);
        if seconds <= 0.0 || at <= 0.0 {
            return input;
        }
        input
            .flag("-noaccurate_seek")
            .option("-seek_timestamp", "1")
            .option("-ss", format!("{at:.6}"))
    }
}

fn output(graph: &str, frames: Option<u32>) -> Vec<std::ffi::OsString> {
    let mut args = vec!["-filter_complex", graph, "-map", "[out]"];
    let count = frames.map(|n| n.to_string());
    if let Some(count) = &count {
        args.extend(["-frames:v", count]);
    }
    args.extend([
        "-fps_mode",
        "passthrough",
        "-c:v",
        "rawvideo",
        "-f",
        "rawvideo",
        "pipe:1",
    ]);
    args.into_iter().map(Into::into).collect()
}

fn pixels((width, height): (u32, u32), data: Vec<u8>) -> Pixels {
    Pixels::new(width, height, Layout::Rgb, data)
}
