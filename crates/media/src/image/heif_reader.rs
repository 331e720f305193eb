//! The border to whoever can read HEIF (HEIC and AVIF). Their decoders are C code, which never runs
//! in this process: the caller passes a reader that asks a sandboxed child.

use super::{Cicp, ImageLimits};
use crate::MediaError;

/// What the headers of a HEIF file say.
#[derive(Debug, Clone, Default)]
pub struct HeifProbe {
    /// Width in pixels once rotations, mirrorings and croppings of the file are applied.
    pub width: u32,
    /// Height in pixels, likewise.
    pub height: u32,
    /// Whether an alpha image belongs to the primary one.
    pub has_alpha: bool,
    /// Bits per sample of the luma plane.
    pub bit_depth: u8,
    /// Whether a gain map is attached.
    pub gain_map: bool,
    /// The ICC profile.
    pub icc: Option<Vec<u8>>,
    /// The colour code points.
    pub nclx: Option<Cicp>,
    /// The EXIF block, with or without its leading offset.
    pub exif: Option<Vec<u8>>,
    /// The XMP packet.
    pub xmp: Option<Vec<u8>>,
}

/// A decoded primary image: interleaved RGB or RGBA, upright, alpha straight.
#[derive(Debug, Clone)]
pub struct RawImage {
    /// Pixels per row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// 3 (RGB) or 4 (RGBA).
    pub channels: u8,
    /// 8: one byte per sample; 16: two bytes per sample, little endian, using the whole 16-bit range.
    pub bit_depth: u8,
    /// Rows without padding.
    pub data: Vec<u8>,
    /// The ICC profile that the samples are in; it wins over `nclx`.
    pub icc: Option<Vec<u8>>,
    /// The colour code points of the samples; absent means sRGB.
    pub nclx: Option<Cicp>,
}

/// Reads HEIC and AVIF in a place where a memory error harms nobody.
pub trait HeifReader: Send + Sync {
    /// Reads the headers.
    ///
    /// # Errors
    /// Whatever the reader found: `input.corrupt`, `input.unsupported`, `decoder.crashed`, ...
    fn probe(&self, bytes: &[u8], limits: &ImageLimits) -> Result<HeifProbe, MediaError>;

    /// Decodes the primary image.
    ///
    /// # Errors
    /// As [`HeifReader::probe`], and `limit.pixels`, `timeout`.
    fn decode(&self, bytes: &[u8], limits: &ImageLimits) -> Result<RawImage, MediaError>;
}
