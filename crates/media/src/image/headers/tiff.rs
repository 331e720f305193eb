//! The first page of a TIFF.

use std::borrow::Cow;
use std::io::Cursor;

use tiff::ColorType;
use tiff::decoder::{Decoder, Limits};

use super::ifd::Directory;
use super::{Headers, Model, block};
use crate::MediaError;
use crate::image::orientation::Orientation;
use crate::image::{Format, ImageLimits};

/// Tags that the decoder reads in full. It keeps 32 bytes for each of their values.
const STRUCTURAL: [u16; 23] = [
    256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 284, 292, 317, 320, 322, 323, 324, 325,
    338, 339, 347, 530,
];
/// Most values of a structural tag: a hundred thousand strips are plenty.
const VALUES_MAX: u64 = 1 << 20;

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
    if let Some(directory) = Directory::first(bytes) {
        let kept = |tag| {
            directory
                .find(tag)
                .and_then(|entry| block(entry.data?, limits))
        };
        headers.orientation = Orientation::from_tag(directory.number(274).unwrap_or(1));
        headers.xmp = kept(700);
        headers.iptc = kept(33_723);
        headers.icc = kept(34_675);
    }
    // EXIF is a TIFF itself, so the file is its own block.
    headers.exif = block(bytes, limits);
    Ok(headers)
}

/// A decoder whose allocations are bound by the picture's own size and the file's.
///
/// It takes pictures with a palette for grey ones, because the crate reads no palettes: the samples are
/// then indices.
///
/// # Errors
/// `input.corrupt` for a directory that cannot be true, `limit.pixels`.
pub(crate) fn open<'a>(
    bytes: &'a [u8],
    limits: &ImageLimits,
) -> Result<Decoder<Cursor<Cow<'a, [u8]>>>, MediaError> {
    let broken = || MediaError::corrupt("the directory of the TIFF is broken");
    let directory = Directory::first(bytes).ok_or_else(broken)?;
    let (width, height) = directory
        .number(256)
        .zip(directory.number(257))
        .ok_or_else(broken)?;
    limits.check(width, height, 1)?;
    for tag in STRUCTURAL {
        if directory
            .find(tag)
            .is_some_and(|entry| entry.data.is_none() || entry.count > VALUES_MAX)
        {
            return Err(broken());
        }
    }

    let mut allowed = Limits::default();
    // Ten bytes per pixel: five samples of 16 bits.
    allowed.decoding_buffer_size =
        (width as usize * height as usize * 10).max(32 * VALUES_MAX as usize);
    allowed.intermediate_buffer_size = allowed.decoding_buffer_size.max(bytes.len());
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
    let directory = Directory::first(bytes)?;
    let entry = directory.find(262)?;
    (directory.number(262) == Some(3) && entry.data?.len() == 2).then_some(entry.at)
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
