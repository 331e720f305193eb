//! By how much sound is turned up or down: one gain for the whole, and a limiter for the few peaks
//! that it would bring too high.
//!
//! All pieces get the same, and the limiter forgets within a fraction of the second that each piece
//! is begun early, so nothing is heard where they join.

use serde::{Deserialize, Serialize};

use super::Loudness;

/// Most that is turned up, in dB: beyond it noise is all that there is.
const GAIN_MAX: f64 = 30.0;
/// Most that is turned down.
const GAIN_MIN: f64 = -60.0;
/// Peaks between samples show when there are so many times as many samples.
const FINER: u32 = 4;
/// Milliseconds in which the limiter lets go.
const RELEASE_MS: u32 = 50;

/// A gain, and where it ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Level {
    /// In dB.
    pub gain_db: f64,
    /// The height in dBTP at which peaks are held back; absent where none gets so high.
    pub limit_dbtp: Option<f64>,
}

impl Level {
    /// What brings sound that was measured as `loudness` to `target_lufs`, with no peak above `peak_dbtp`.
    /// Silence stays as it is.
    pub fn reaching(loudness: &Loudness, target_lufs: f64, peak_dbtp: f64) -> Self {
        let (Some(loud), Some(peak)) = (loudness.integrated_lufs, loudness.true_peak_dbtp) else {
            return Self::default();
        };
        let gain_db = (target_lufs - loud).clamp(GAIN_MIN, GAIN_MAX);
        Self {
            gain_db,
            limit_dbtp: (peak + gain_db > peak_dbtp).then_some(peak_dbtp),
        }
    }

    /// The same with `more_db` added.
    pub(super) fn turned(self, more_db: f64) -> Self {
        Self {
            gain_db: (self.gain_db + more_db).clamp(GAIN_MIN, GAIN_MAX),
            ..self
        }
    }

    /// ffmpeg's filters for it, on sound of `sample_rate`; each ends with a comma.
    pub(super) fn filters(self, sample_rate: u32) -> String {
        let mut graph = String::new();
        if self.gain_db != 0.0 {
            graph += &format!("volume={:.2}dB,", self.gain_db);
        }
        if let Some(limit) = self.limit_dbtp {
            let (fine, height) = (sample_rate * FINER, 10_f64.powf(limit / 20.0));
            graph += &format!(
                "aresample={fine},alimiter=level=disabled:latency=1:attack=5:release={RELEASE_MS}:limit={height:.6},\
                 aresample={sample_rate},"
            );
        }
        graph
    }
}
