//! What a film may ask of this machine.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AudioStream, MediaInfo, Ratio};
use crate::MediaError;

/// Limits on one video or audio file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MediaLimits {
    /// Longest duration, in seconds (`limit.duration`).
    pub duration_seconds_max: u32,
    /// Largest width times height of a picture, in pixels (`limit.pixels`).
    pub pixels_max: u64,
    /// Most pictures per second (`limit.frame_rate`).
    pub frame_rate_max: u32,
    /// Most streams of all kinds (`limit.streams`).
    pub streams_max: u32,
    /// Most channels of one stream of sound (`limit.channels`).
    pub channels_max: u32,
    /// Most samples per second of a stream of sound (`limit.sample_rate`).
    pub sample_rate_max: u32,
}

impl Default for MediaLimits {
    fn default() -> Self {
        Self {
            duration_seconds_max: 12 * 3600,
            pixels_max: 8192 * 4320,
            frame_rate_max: 240,
            streams_max: 64,
            channels_max: 24,
            sample_rate_max: 384_000,
        }
    }
}

impl MediaLimits {
    /// Refuses too many streams, before their packets are counted.
    ///
    /// # Errors
    /// `limit.streams`.
    pub fn check_streams(&self, streams: usize) -> Result<(), MediaError> {
        if streams > self.streams_max as usize {
            let message = format!("{streams} streams are more than {}", self.streams_max);
            return Err(MediaError::limit("limit.streams", message));
        }
        Ok(())
    }

    /// Refuses what is longer than allowed.
    ///
    /// # Errors
    /// `limit.duration`.
    pub fn check_duration(&self, seconds: f64) -> Result<(), MediaError> {
        if seconds > f64::from(self.duration_seconds_max) {
            let max = self.duration_seconds_max;
            let message = format!("{seconds:.0} s are longer than {max} s");
            return Err(MediaError::limit("limit.duration", message));
        }
        Ok(())
    }

    /// Refuses too large pictures.
    ///
    /// # Errors
    /// `limit.pixels`.
    pub fn check_pixels(&self, width: u32, height: u32) -> Result<(), MediaError> {
        if u64::from(width) * u64::from(height) > self.pixels_max {
            let message = format!("{width}x{height} is more than {} pixels", self.pixels_max);
            return Err(MediaError::limit("limit.pixels", message));
        }
        Ok(())
    }

    /// Refuses what only counting could tell.
    ///
    /// # Errors
    /// `limit.duration`, `limit.frame_rate`, `limit.channels`, `limit.sample_rate`.
    pub fn check(&self, info: &MediaInfo) -> Result<(), MediaError> {
        self.check_duration(info.duration_us as f64 / 1e6)?;
        let too_fast = |rate: &Ratio| rate.as_f64() > f64::from(self.frame_rate_max);
        if let Some(rate) = info.video.iter().map(|v| v.frame_rate).find(too_fast) {
            let message = format!(
                "{:.1} pictures per second are more than {}",
                rate.as_f64(),
                self.frame_rate_max
            );
            return Err(MediaError::limit("limit.frame_rate", message));
        }
        if let Some(audio) = info.audio.iter().find(|a| a.channels > self.channels_max) {
            let message = format!(
                "{} channels are more than {}",
                audio.channels, self.channels_max
            );
            return Err(MediaError::limit("limit.channels", message));
        }
        let too_fine = |a: &&AudioStream| a.sample_rate > self.sample_rate_max;
        if let Some(audio) = info.audio.iter().find(too_fine) {
            let message = format!(
                "{} samples per second are more than {}",
                audio.sample_rate, self.sample_rate_max
            );
            return Err(MediaError::limit("limit.sample_rate", message));
        }
        Ok(())
    }
}
