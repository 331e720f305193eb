//! The picture that stands for a film: not the black one that it begins with.

use std::path::Path;

use super::frames::Film;
use super::{Ffmpeg, MediaInfo, Moment, frame_at};
use crate::MediaError;
use crate::image::Pixels;
use crate::mp4::Reads;

/// How many key frames are compared.
const CANDIDATES: usize = 12;
/// Only the first part of a film is looked at, so that a poster gives no ending away.
const PART: f64 = 0.4;
/// Size at which pictures are compared, in pixels of the longer side.
const SMALL: u32 = 160;

/// The best of some key frames, at most `side_max` pixels on its longer side.
///
/// # Errors
/// `input.unsupported` without a film; those of reading a source.
pub fn poster(
    ffmpeg: &Ffmpeg,
    source: &Path,
    info: &MediaInfo,
    side_max: u32,
) -> Result<Moment, MediaError> {
    let film = Film::of(source, info)?;
    let wanted = candidates(&film);
    let mut best: Option<(f64, usize)> = None;
    let size = film.fitted(SMALL, SMALL);
    film.keys(ffmpeg, &wanted, size, &mut |index, pixels| {
        let score = interest(&pixels);
        if best.is_none_or(|(most, _)| score > most) {
            best = Some((score, index));
        }
        Ok(())
    })?;
    let size = film.fitted(side_max, side_max);
    let (time_us, pixels) = match best {
        Some((score, index)) if score > DULL => film.key(ffmpeg, index, size)?,
        // All key frames are black or blank: a film with one key frame often fades in.
        _ => {
            let time_us = middle_us(&film);
            let seconds = time_us as f64 / 1e6;
            (time_us, frame_at(ffmpeg, source, info, seconds, side_max)?)
        }
    };
    Ok(Moment { time_us, pixels })
}

/// What [`poster`] reads.
pub(super) fn reads(film: &Film<'_>) -> Vec<Reads> {
    let middle = film.moment_read(middle_us(film) as f64 / 1e6);
    vec![film.keys_read(&candidates(film)), middle]
}

/// Where the part ends that is looked at.
fn until(film: &Film<'_>) -> i64 {
    let line = &film.video.timeline;
    line.first_pts + ((line.end_pts - line.first_pts) as f64 * PART) as i64
}

/// The key frames that are compared.
fn candidates(film: &Film<'_>) -> Vec<usize> {
    let (until, keys) = (until(film), &film.video.timeline.key_pts);
    let early = keys.partition_point(|pts| *pts <= until).max(1);
    let early = early.min(keys.len());
    let count = early.min(CANDIDATES);
    (0..count).map(|n| n * early / count).collect()
}

fn middle_us(film: &Film<'_>) -> u64 {
    film.time_us((film.video.timeline.first_pts + until(film)) / 2)
}

/// A picture that scores less has nothing in it.
const DULL: f64 = 6.0;

/// How much there is to see: contrast and edges, less where it is nearly black or white.
fn interest(pixels: &Pixels) -> f64 {
    let width = pixels.width() as usize;
    let luma: Vec<f64> = pixels
        .data()
        .chunks_exact(3)
        .map(|p| 0.2126 * f64::from(p[0]) + 0.7152 * f64::from(p[1]) + 0.0722 * f64::from(p[2]))
        .collect();
    let count = luma.len() as f64;
    let mean = luma.iter().sum::<f64>() / count;
    let deviation = (luma.iter().map(|l| (l - mean).powi(2)).sum::<f64>() / count).sqrt();
    let edges: f64 = luma
        .chunks_exact(width)
        .flat_map(|row| row.windows(2))
        .map(|pair| (pair[0] - pair[1]).abs())
        .sum::<f64>()
        / count;
    let lit = (mean.min(255.0 - mean) / 40.0).clamp(0.1, 1.0);
    (deviation + 2.0 * edges) * lit
}
