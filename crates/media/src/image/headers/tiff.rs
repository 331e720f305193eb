//! The first directory of a TIFF.

use std::borrow::Cow;
use std::io::Cursor;

use tiff::ColorType;
use tiff::decoder::{Decoder, Limits};
use tiff::tags::Tag;

use super::{Headers, Model, block};
use crate::MediaError;
use crate::image::orientation::Orientation;
use crate::image::{Format, ImageLimits};

/// Reads the tags of the first page.
///
/// # Errors
/// `input.corrupt` for a broken directory, `input.unsupported` for sample layouts that are not read.
pub(super) fn read<'a>(bytes: &'a [u8], limits: &ImageLimits) -> Result<Headers<'a>, MediaError> {
    let mut decoder = open(bytes, limits)?;
    let (width, height) = decoder.dimensions().map_err(refused)?;
    let color = decoder.colortype().map_err(refused)?;
    let mut headers = Headers::still(Format::Tiff, width, height);
    headers.bit_depth = color.bit_depth();
    headers.model = match color {
        ColorType::Gray(_) | ColorType::GrayA(_) | ColorType::Multiband { .. } => Model::Gray,
        ColorType::CMYK(_) | ColorType::CMYKA(_) => Model::Cmyk,
        _ => Model::Rgb,
    };
    headers.has_alpha = matches!(
        color,
        ColorType::RGBA(_) | ColorType::GrayA(_) | ColorType::Multiband { num_samples: 2, .. }
    );
    if let Ok(Some(value)) = decoder.find_tag_unsigned::<u32>(Tag::Orientation) {
        headers.orientation = Orientation::from_tag(value);
    }
    let mut kept = |tag| {
        let data = decoder.get_tag_u8_vec(tag).ok()?;
        (!data.is_empty() && data.len() <= limits.metadata_bytes_max).then_some(Cow::Owned(data))
    };
    headers.icc = kept(Tag::IccProfile);
    headers.xmp = kept(Tag::Unknown(700));
    headers.iptc = kept(Tag::Unknown(33723));
    // EXIF is a TIFF itself, so the file is its own block.
    headers.exif = block(bytes, limits);
    Ok(headers)
}

/// A decoder whose allocations are bound by the picture's own size.
pub(crate) fn open<'a>(
    bytes: &'a [u8],
    limits: &ImageLimits,
) -> Result<Decoder<Cursor<&'a [u8]>>, MediaError> {
    let mut allowed = Limits::default();
    allowed.ifd_value_size = limits.metadata_bytes_max;
    // Eight bytes per pixel: four samples of 16 bits.
    allowed.decoding_buffer_size =
        usize::try_from(limits.pixels_max.saturating_mul(8)).unwrap_or(usize::MAX);
    allowed.intermediate_buffer_size = allowed.decoding_buffer_size;
    Ok(Decoder::new(Cursor::new(bytes))
        .map_err(refused)?
        .with_limits(allowed))
}

/// Tells what the crate does not do from what the file does wrong.
pub(crate) fn refused(error: tiff::TiffError) -> MediaError {
    match error {
        tiff::TiffError::UnsupportedError(what) => {
            MediaError::unsupported(format!("this kind of TIFF: {what}"))
        }
        tiff::TiffError::LimitsExceeded => MediaError::limit(
            "limit.pixels",
            "the TIFF needs more memory than its size allows",
        ),
        other => MediaError::corrupt(format!("the TIFF is broken: {other}")),
    }
}
