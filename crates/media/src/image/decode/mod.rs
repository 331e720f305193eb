//! From bytes to upright 8-bit sRGB pixels.
//!
//! What a broken file leads to is decided here once for all formats: a header that cannot be right and
//! picture data that ends early are `input.corrupt` (a half-grey picture is never passed on as finished),
//! while broken metadata and broken profiles are ignored.

mod bmp;
mod canvas;
mod fax;
mod gif;
mod heif;
mod jpeg;
mod png;
mod tiff;
mod webp;

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::color::Raster;
use super::headers::{self, Headers};
use super::{Format, Frame, HeifReader, ImageLimits, Pixels};
use crate::MediaError;

/// How to decode.
#[derive(Clone, Copy, Default)]
pub struct DecodeOptions<'a> {
    /// What the image may ask for.
    pub limits: ImageLimits,
    /// Leaves RGB values in the space of the file's own profile, which the pixels then carry, instead of
    /// converting them to sRGB. Grey and CMYK are always converted.
    pub keep_profile: bool,
    /// Who reads HEIC and AVIF; without one they are refused.
    pub heif: Option<&'a dyn HeifReader>,
}

/// What [`decode_frames`] found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnimationInfo {
    /// How often the animation plays; 0 means for ever.
    pub loops: u32,
    /// How many frames were handed over.
    pub frames: u32,
}

/// Decodes the picture, or the first frame of an animation, upright and in 8-bit sRGB.
///
/// The layout is RGBA only when the file can hold transparency.
///
/// # Errors
/// `input.empty`, `input.unsupported`, `input.corrupt`, `limit.pixels`, `limit.frames` (also though only
/// one frame is wanted: such a file is never worth a rendition), `decoder.crashed`.
pub fn decode(bytes: &[u8], options: &DecodeOptions<'_>) -> Result<Pixels, MediaError> {
    guarded(|| {
        let headers = headers::read(bytes, &options.limits, options.heif)?;
        let raster = raster(bytes, &headers, options)?;
        Ok(upright(raster, &headers, options))
    })
}

/// Decodes all frames of a GIF or an animated WebP, each composed onto the whole canvas, and hands them
/// over one after the other; only one exists at a time. Other images have one frame with a delay of 0.
///
/// All frames have one size and one layout.
///
/// # Errors
/// As [`decode`], and whatever `each` returns.
pub fn decode_frames(
    bytes: &[u8],
    options: &DecodeOptions<'_>,
    each: &mut dyn FnMut(Frame) -> Result<(), MediaError>,
) -> Result<AnimationInfo, MediaError> {
    guarded(|| {
        let headers = headers::read(bytes, &options.limits, options.heif)?;
        let mut frames = 0;
        let mut pass_on = |raster: Raster, delay_ms| {
            frames += 1;
            each(Frame {
                pixels: upright(raster, &headers, options),
                delay_ms,
            })
        };
        match headers.format {
            Format::Gif if headers.frames > 1 => {
                gif::frames(bytes, &headers, &options.limits, &mut pass_on)?
            }
            Format::Webp if headers.frames > 1 => {
                webp::frames(bytes, &headers, &options.limits, &mut pass_on)?
            }
            _ => pass_on(raster(bytes, &headers, options)?, 0)?,
        }
        Ok(AnimationInfo {
            loops: headers.loops,
            frames,
        })
    })
}

fn raster(
    bytes: &[u8],
    headers: &Headers<'_>,
    options: &DecodeOptions<'_>,
) -> Result<Raster, MediaError> {
    let limits = &options.limits;
    match headers.format {
        Format::Jpeg => jpeg::decode(bytes, limits),
        Format::Png => png::decode(bytes, limits),
        Format::Gif => gif::decode(bytes, headers, limits),
        Format::Webp => webp::decode(bytes, headers, limits),
        Format::Tiff => tiff::decode(bytes, headers, limits),
        Format::Bmp => bmp::decode(bytes, headers, limits),
        Format::Avif | Format::Heic => {
            heif::decode(bytes, headers::heif_reader(options.heif)?, limits)
        }
    }
}

fn upright(raster: Raster, headers: &Headers<'_>, options: &DecodeOptions<'_>) -> Pixels {
    let pixels = raster.into_pixels(options.keep_profile);
    let turn = headers.orientation;
    if turn.tag() == 1 {
        return pixels;
    }
    let (width, height, layout, icc) = (
        pixels.width(),
        pixels.height(),
        pixels.layout(),
        pixels.icc.clone(),
    );
    let data = turn.apply(pixels.into_data(), width, height, layout.channels());
    let (width, height) = turn.upright_size(width, height);
    let mut pixels = Pixels::new(width, height, layout, data);
    pixels.icc = icc;
    pixels
}

/// Runs a decoder; a panic in it becomes an error. The one place where this happens.
pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T, MediaError>) -> Result<T, MediaError> {
    // Whatever the closure leaves half done is dropped with it.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(MediaError::crash(
            "the decoder gave up on this file unexpectedly",
        ))
    })
}

/// How long a frame of an animation is really shown: viewers take 10 ms and less, which older software
/// wrote for "as fast as you can", as 100 ms.
pub(super) fn shown_delay(delay_ms: u32) -> u32 {
    if delay_ms <= 10 { 100 } else { delay_ms }
}

/// A zeroed buffer of a size that was checked against the limits before.
fn buffer<T: Clone + Default>(
    width: u32,
    height: u32,
    channels: usize,
) -> Result<Vec<T>, MediaError> {
    let length = (width as usize)
        .checked_mul(height as usize)
        .and_then(|pixels| pixels.checked_mul(channels))
        .ok_or_else(|| {
            MediaError::limit("limit.pixels", format!("{width}x{height} is too large"))
        })?;
    Ok(vec![T::default(); length])
}
