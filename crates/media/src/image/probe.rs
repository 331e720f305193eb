//! The few facts that decide whether an image is taken and what it will cost.

use super::{Format, HeifReader, ImageLimits, decode::guarded, headers};
use crate::MediaError;

/// What the headers say, for admission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    /// The format, from the bytes.
    pub format: Format,
    /// Width in pixels once the picture is upright.
    pub width: u32,
    /// Height in pixels once the picture is upright.
    pub height: u32,
    /// Frames; 1 for a still image.
    pub frames: u32,
    /// Whether pixels can be transparent.
    pub has_alpha: bool,
    /// Bits per sample.
    pub bit_depth: u8,
}

/// Reads the headers of an image without decoding it. HEIC and AVIF need a reader.
///
/// # Errors
/// `input.empty`, `input.unsupported`, `input.corrupt`, `limit.pixels`, `limit.frames`.
pub fn probe(
    bytes: &[u8],
    limits: &ImageLimits,
    heif: Option<&dyn HeifReader>,
) -> Result<Probe, MediaError> {
    guarded(|| {
        let headers = headers::read(bytes, limits, heif)?;
        let (width, height) = headers
            .orientation
            .upright_size(headers.width, headers.height);
        Ok(Probe {
            format: headers.format,
            width,
            height,
            frames: headers.frames,
            has_alpha: headers.has_alpha,
            bit_depth: headers.bit_depth,
        })
    })
}
