//! From pixels to files.
//!
//! Every encoder runs on the calling thread, starts none of its own, and sees only pixels that
//! this crate made. None writes metadata beyond what [`Metadata`] names. What quality and speed
//! cost is measured in `docs/decisions/0001-image-encoders.md`.

use crate::MediaError;
use crate::image::Pixels;

pub mod avif;
mod exif;
mod heif;
mod hidden;
pub mod jpeg;
pub mod png;
pub mod webp;
mod yuv;

/// What a rendition may say about itself; everything else of the original stays behind.
#[derive(Debug, Clone, Copy, Default)]
pub struct Metadata<'a> {
    /// The ICC profile of the pixels; `None` means sRGB, which needs no profile.
    pub icc: Option<&'a [u8]>,
    /// Whose picture this is (EXIF `Copyright`).
    pub copyright: Option<&'a str>,
    /// Who made it (EXIF `Artist`).
    pub artist: Option<&'a str>,
}

/// A finished file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// The whole file.
    pub bytes: Vec<u8>,
    /// Its IANA media type.
    pub media_type: &'static str,
}

/// Fails with `limit.pixels` where a format cannot hold the image.
fn check_sides(image: &Pixels, format: &str, side_max: u32) -> Result<(), MediaError> {
    let (w, h) = (image.width(), image.height());
    if w > side_max || h > side_max {
        let text =
            format!("{format} holds at most {side_max} pixels a side; this image has {w}x{h}");
        return Err(MediaError::limit("limit.pixels", text));
    }
    Ok(())
}
