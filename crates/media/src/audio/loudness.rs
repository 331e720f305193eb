//! How loud a stream is (EBU R 128), and what must be done for it to be as loud as others.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Level;
use super::filters::in_channels;
use crate::MediaError;
use crate::ffmpeg::Input;
use crate::video::{AudioStream, Container, Ffmpeg};

/// Below this everything is gated away: silence, in LUFS.
const SILENCE: f64 = -69.9;
/// What is left of a difference that need not be corrected, in LU.
const NEAR: f64 = 0.3;
/// How often a limited level is corrected.
const CORRECTIONS: usize = 3;
/// What is believed to come through of a further dB, at least: beyond it turning up is only damage.
const PASSED_MIN: f64 = 0.4;

/// What a pass measures.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Loudness {
    /// Of the whole, in LUFS; absent for silence.
    pub integrated_lufs: Option<f64>,
    /// From the quiet to the loud parts, in LU.
    pub range_lu: f64,
    /// The highest peak between samples, in dBTP; absent for silence.
    pub true_peak_dbtp: Option<f64>,
}

/// What two passes find: the stream as it is, and what will become of it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Evened {
    /// The source.
    pub source: Loudness,
    /// What is done to it.
    pub level: Level,
    /// What comes out, in LUFS; absent for silence.
    pub result_lufs: Option<f64>,
}

/// Measures `stream` of `source` as it sounds in `channels`, turned by `level`. Decodes all of it.
///
/// # Errors
/// Those of reading a source: `input.corrupt`, `timeout`, `cancelled`, ...
pub fn loudness(
    ffmpeg: &Ffmpeg,
    source: &Path,
    container: Container,
    stream: &AudioStream,
    channels: u8,
    level: Level,
) -> Result<Loudness, MediaError> {
    let input = Input::new(source, container).option("-threads", ffmpeg.threads().to_string());
    let args = [
        "-map",
        &format!("0:{}", stream.index),
        "-af",
        &format!(
            "{}{}ebur128=metadata=1:peak=true:framelog=verbose,ametadata=mode=print:file=-",
            in_channels(stream, channels),
            level.filters(stream.sample_rate)
        ),
        "-f",
        "null",
        "-",
    ]
    .map(Into::into);
    let mut measured = Loudness {
        integrated_lufs: None,
        range_lu: 0.0,
        true_peak_dbtp: None,
    };
    let mut peak: f64 = 0.0;
    ffmpeg.stream(&[input], &args, None, |output| {
        output.lines(|line| {
            let Some((name, value)) = line.split_once('=') else {
                return Ok(());
            };
            let Ok(value) = value.trim().parse::<f64>() else {
                return Ok(());
            };
            match name {
                "lavfi.r128.I" => measured.integrated_lufs = Some(value),
                "lavfi.r128.LRA" => measured.range_lu = value,
                _ if name.starts_with("lavfi.r128.true_peaks_ch") => peak = peak.max(value),
                _ => {}
            }
            Ok(())
        })
    })?;
    measured.integrated_lufs = measured.integrated_lufs.filter(|loud| *loud > SILENCE);
    measured.true_peak_dbtp = (peak > 0.0).then(|| 20.0 * peak.log10());
    Ok(measured)
}

/// Finds the level that brings `stream` to `target_lufs` with no peak above `peak_dbtp`. Where peaks are held back the
/// result is measured again and what they took is given back.
///
/// # Errors
/// As [`loudness`].
pub fn even(
    ffmpeg: &Ffmpeg,
    source: &Path,
    container: Container,
    stream: &AudioStream,
    channels: u8,
    (target_lufs, peak_dbtp): (f64, f64),
) -> Result<Evened, MediaError> {
    let measure = |level| loudness(ffmpeg, source, container, stream, channels, level);
    let found = measure(Level::default())?;
    let mut level = Level::reaching(&found, target_lufs, peak_dbtp);
    let mut result_lufs = found.integrated_lufs.map(|loud| loud + level.gain_db);
    let mut before: Option<(f64, f64)> = None;
    for _ in 0..CORRECTIONS {
        if level.limit_dbtp.is_none() {
            break;
        }
        result_lufs = measure(level)?.integrated_lufs;
        let Some(loud) = result_lufs.filter(|loud| (target_lufs - loud).abs() >= NEAR) else {
            break;
        };
        // The more is held back, the less of each dB comes through.
        let passed = before.map_or(1.0, |(gain, quiet)| {
            ((loud - quiet) / (level.gain_db - gain)).clamp(PASSED_MIN, 1.0)
        });
        before = Some((level.gain_db, loud));
        level = level.turned((target_lufs - loud) / passed);
        result_lufs = Some(target_lufs);
    }
    Ok(Evened {
        source: found,
        level,
        result_lufs,
    })
}
