//! The shape of a recording for a player to draw: the lowest and highest sample of each step.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::MediaError;
use crate::ffmpeg::Input;
use crate::image::Pixels;
use crate::image::pixels::Layout;
use crate::video::{AudioStream, Container, Ffmpeg};

/// Pairs of peaks, in the JSON form that waveform players read (version 2 of "audiowaveform").
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waveform {
    /// Of the form: 2.
    pub version: u8,
    /// All channels are mixed to one.
    pub channels: u8,
    /// Samples per second of what was measured.
    pub sample_rate: u32,
    /// Samples per pair.
    pub samples_per_pixel: u32,
    /// Of each number.
    pub bits: u8,
    /// Pairs.
    pub length: u32,
    /// Lowest, highest, lowest, highest, ...; -128 to 127.
    pub data: Vec<i8>,
}

/// Measures `stream` of `source` in about `pairs` steps.
///
/// # Errors
/// Those of reading a source: `input.corrupt`, `timeout`, `cancelled`, ...
pub fn waveform(
    ffmpeg: &Ffmpeg,
    source: &Path,
    container: Container,
    stream: &AudioStream,
    pairs: u32,
) -> Result<Waveform, MediaError> {
    let line = &stream.timeline;
    let seconds = (line.end_pts - line.first_pts) as f64 * stream.time_base.as_f64();
    let samples = seconds * f64::from(stream.sample_rate);
    let step = ((samples / f64::from(pairs.max(1))).ceil() as u32).max(1);
    let input = Input::new(source, container).option("-threads", ffmpeg.threads().to_string());
    let args = [
        "-map",
        &format!("0:{}", stream.index),
        "-ac",
        "1",
        "-ar",
        &stream.sample_rate.to_string(),
        "-c:a",
        "pcm_s16le",
        "-f",
        "s16le",
        "pipe:1",
    ]
    .map(Into::into);
    let mut data = Vec::new();
    let mut open: Option<(i16, i16)> = None;
    let mut counted = 0;
    let mut close = |open: &mut Option<(i16, i16)>| {
        if let Some((low, high)) = open.take() {
            data.extend([(low >> 8) as i8, (high >> 8) as i8]);
        }
    };
    ffmpeg.stream(&[input], &args, None, |output| {
        let mut buffer = vec![0; 64 << 10];
        let mut kept = 0;
        loop {
            let read = output.read(&mut buffer[kept..])?;
            let filled = kept + read;
            for sample in buffer[..filled].chunks_exact(2) {
                let sample = i16::from_le_bytes([sample[0], sample[1]]);
                let (low, high) = open.unwrap_or((sample, sample));
                open = Some((low.min(sample), high.max(sample)));
                counted += 1;
                if counted == step {
                    close(&mut open);
                    counted = 0;
                }
            }
            // A pipe may end a read in the middle of a sample.
            kept = filled % 2;
            buffer.copy_within(filled - kept..filled, 0);
            if read == 0 {
                return Ok(());
            }
        }
    })?;
    close(&mut open);
    Ok(Waveform {
        version: 2,
        channels: 1,
        sample_rate: stream.sample_rate,
        samples_per_pixel: step,
        bits: 8,
        length: (data.len() / 2) as u32,
        data,
    })
}

impl Waveform {
    /// A picture of it: `color` (red, green, blue) on transparency, `width` by `height` pixels.
    pub fn picture(&self, width: u32, height: u32, color: [u8; 3]) -> Pixels {
        let (width, height) = (width.max(1), height.max(1));
        let mut data = vec![0; width as usize * height as usize * 4];
        let middle = f64::from(height) / 2.0;
        let pairs: Vec<(i8, i8)> = self.data.chunks_exact(2).map(|p| (p[0], p[1])).collect();
        for x in 0..width as usize {
            let at = |x: usize| x * pairs.len() / width as usize;
            let end = at(x + 1).max(at(x) + 1).min(pairs.len());
            let Some(part) = pairs.get(at(x)..end).filter(|part| !part.is_empty()) else {
                continue;
            };
            let low = part.iter().map(|p| p.0).min().unwrap_or(0);
            let high = part.iter().map(|p| p.1).max().unwrap_or(0);
            let row = |value: i8| middle - f64::from(value) / 128.0 * middle;
            let top = (row(high).floor().max(0.0) as usize).min(height as usize - 1);
            let bottom = (row(low).ceil() as usize).clamp(top + 1, height as usize);
            for y in top..bottom {
                let pixel = (y * width as usize + x) * 4;
                data[pixel..pixel + 3].copy_from_slice(&color);
                data[pixel + 3] = 255;
            }
        }
        Pixels::new(width, height, Layout::Rgba, data)
    }
}
