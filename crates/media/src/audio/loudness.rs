//! How loud a stream is (EBU R 128), and by how much it must be turned to be as loud as others.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::MediaError;
use crate::ffmpeg::Input;
use crate::video::{Container, Ffmpeg};

/// Below this everything is gated away: silence, in LUFS.
const SILENCE: f64 = -69.9;

/// What a first pass measures.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Loudness {
    /// Of the whole, in LUFS; absent for silence.
    pub integrated_lufs: Option<f64>,
    /// From the quiet to the loud parts, in LU.
    pub range_lu: f64,
    /// The highest peak between samples, in dBTP; absent for silence.
    pub true_peak_dbtp: Option<f64>,
}

impl Loudness {
    /// The gain in dB that brings the whole to `target_lufs`, but no peak above `peak_dbtp`.
    ///
    /// A constant gain: it leaves the dynamics alone, and all pieces get the same.
    pub fn gain_db(&self, target_lufs: f64, peak_dbtp: f64) -> f64 {
        match (self.integrated_lufs, self.true_peak_dbtp) {
            (Some(loud), Some(peak)) => (target_lufs - loud).min(peak_dbtp - peak),
            _ => 0.0,
        }
    }
}

/// Measures the stream number `stream` of `source`, decoding all of it.
///
/// # Errors
/// Those of reading a source: `input.corrupt`, `timeout`, `cancelled`, ...
pub fn loudness(
    ffmpeg: &Ffmpeg,
    source: &Path,
    container: Container,
    stream: u32,
) -> Result<Loudness, MediaError> {
    let input = Input::new(source, container).option("-threads", ffmpeg.threads().to_string());
    let args = [
        "-map",
        &format!("0:{stream}"),
        "-af",
        "ebur128=metadata=1:peak=true:framelog=verbose,ametadata=mode=print:file=-",
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
