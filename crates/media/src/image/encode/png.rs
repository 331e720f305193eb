//! PNG, the baseline format of images with alpha.

use std::borrow::Cow;

use png::{BitDepth, ColorType, Compression, Info, SrgbRenderingIntent};

use super::{Encoded, Metadata, check_sides, exif};
use crate::MediaError;
use crate::image::{Pixels, pixels::Layout};

/// PNG can hold more, but no other format of a set can.
const SIDE_MAX: u32 = 65_535;

/// How hard to look for a smaller file. The pixels are the same either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PngEffort {
    /// For images that are looked at once.
    Fast,
    /// For images that are served.
    #[default]
    Balanced,
    /// For images that are served for years.
    High,
}

/// Encodes `image` without loss. An alpha channel that hides nothing is left out.
///
/// # Errors
/// `limit.pixels` for a side above 65535, `encoder.failed` otherwise.
pub fn encode(
    image: &Pixels,
    effort: PngEffort,
    metadata: &Metadata<'_>,
) -> Result<Encoded, MediaError> {
    check_sides(image, "PNG", SIDE_MAX)?;
    let opaque = image.layout() == Layout::Rgba && !image.is_transparent();
    let reduced = opaque.then(|| image.clone().without_alpha());
    let image = reduced.as_ref().unwrap_or(image);

    let mut info = Info::with_size(image.width(), image.height());
    info.bit_depth = BitDepth::Eight;
    info.color_type = match image.layout() {
        Layout::Rgb => ColorType::Rgb,
        Layout::Rgba => ColorType::Rgba,
    };
    info.icc_profile = metadata.icc.map(Cow::Borrowed);
    info.exif_metadata = exif::block(metadata).map(Cow::Owned);
    if metadata.icc.is_none() {
        info.srgb = Some(SrgbRenderingIntent::Perceptual);
    }

    let failed = |e: png::EncodingError| MediaError::encoder(format!("PNG: {e}"));
    let mut bytes = Vec::with_capacity(image.bytes() / 2 + 1024);
    let mut encoder = png::Encoder::with_info(&mut bytes, info).map_err(failed)?;
    encoder.set_compression(match effort {
        PngEffort::Fast => Compression::Fast,
        PngEffort::Balanced => Compression::Balanced,
        PngEffort::High => Compression::High,
    });
    let mut writer = encoder.write_header().map_err(failed)?;
    writer.write_image_data(image.data()).map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(Encoded {
        bytes,
        media_type: "image/png",
    })
}
