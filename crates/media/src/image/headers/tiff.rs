//! The first directory of a TIFF.

use std::borrow::Cow;
use std::io::Cursor;

use tiff::ColorType;
use tiff::decoder::{Decoder, Limits};
use tiff::tags::Tag;

use super::{Headers, Model, be16, be32, block, le16, le32};
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
        ColorType::Gray(_) if palette_marker(bytes).is_some() => Model::Rgb,
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
///
/// It takes pictures with a palette for grey ones, because the crate reads no palettes: the samples are
/// then indices.
pub(crate) fn open<'a>(
    bytes: &'a [u8],
    limits: &ImageLimits,
) -> Result<Decoder<Cursor<Cow<'a, [u8]>>>, MediaError> {
    let mut allowed = Limits::default();
    allowed.ifd_value_size = limits.metadata_bytes_max;
    // Eight bytes per pixel: four samples of 16 bits.
    allowed.decoding_buffer_size =
        usize::try_from(limits.pixels_max.saturating_mul(8)).unwrap_or(usize::MAX);
    allowed.intermediate_buffer_size = allowed.decoding_buffer_size;
    let mut bytes = Cow::Borrowed(bytes);
    if let Some(marker) = palette_marker(&bytes) {
        let black_is_zero = if bytes[0] == b'I' { [1, 0] } else { [0, 1] };
        bytes.to_mut()[marker..marker + 2].copy_from_slice(&black_is_zero);
    }
    Ok(Decoder::new(Cursor::new(bytes))
        .map_err(refused)?
        .with_limits(allowed))
}

/// Where the first directory says that samples are indices into a palette, if it does.
pub(crate) fn palette_marker(bytes: &[u8]) -> Option<usize> {
    let little = bytes.first()? == &b'I';
    let read16 = |at| {
        if little {
            le16(bytes, at)
        } else {
            be16(bytes, at)
        }
    };
    let directory = if little {
        le32(bytes, 4)
    } else {
        be32(bytes, 4)
    }? as usize;
    // BigTIFF has other directories.
    if read16(2)? != 42 {
        return None;
    }
    let entries = (0..usize::from(read16(directory)?)).map(|n| directory + 2 + 12 * n);
    let entry = entries
        .into_iter()
        .find(|&entry| read16(entry) == Some(262))?;
    (read16(entry + 8)? == 3).then_some(entry + 8)
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
