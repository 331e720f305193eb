//! What an image may ask of this machine. Checked from headers, before anything is allocated.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::MediaError;

/// Limits on one input image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ImageLimits {
    /// Largest width times height of one frame, in pixels (`limit.pixels`).
    pub pixels_max: u64,
    /// Largest width or height, in pixels (`limit.pixels`).
    pub side_max: u32,
    /// Most frames of an animation that are kept; more fail with `limit.frames`.
    pub frames_max: u32,
    /// Largest sum of the pixels of all frames of an animation (`limit.frames`).
    pub animation_pixels_max: u64,
    /// Largest ICC, EXIF, XMP or IPTC block that is read, in bytes; larger ones are ignored.
    pub metadata_bytes_max: usize,
}

impl Default for ImageLimits {
    fn default() -> Self {
        Self {
            pixels_max: 100_000_000,
            side_max: 30_000,
            frames_max: 1_000,
            animation_pixels_max: 200_000_000,
            metadata_bytes_max: 8 << 20,
        }
    }
}

impl ImageLimits {
    /// Refuses an image whose headers ask for more than is allowed.
    ///
    /// # Errors
    /// `input.corrupt` for a picture without pixels, `limit.pixels`, `limit.frames`.
    pub fn check(&self, width: u32, height: u32, frames: u32) -> Result<(), MediaError> {
        if width == 0 || height == 0 {
            return Err(MediaError::corrupt(
                "the image has a width or height of zero",
            ));
        }
        let pixels = u64::from(width) * u64::from(height);
        if width > self.side_max || height > self.side_max {
            let message = format!(
                "{width}x{height}: no side may exceed {} pixels",
                self.side_max
            );
            return Err(MediaError::limit("limit.pixels", message));
        }
        if pixels > self.pixels_max {
            let message = format!("{width}x{height} is more than {} pixels", self.pixels_max);
            return Err(MediaError::limit("limit.pixels", message));
        }
        if frames > self.frames_max {
            let message = format!("the animation has more than {} frames", self.frames_max);
            return Err(MediaError::limit("limit.frames", message));
        }
        if frames > 1 && pixels.saturating_mul(u64::from(frames)) > self.animation_pixels_max {
            let message = format!(
                "{frames} frames of {width}x{height} are more than {} pixels together",
                self.animation_pixels_max
            );
            return Err(MediaError::limit("limit.frames", message));
        }
        Ok(())
    }
}
