//! What an image may ask of this machine. Checked from headers, before anything is allocated.

use serde::{Deserialize, Serialize};

/// Limits on one input image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
