//! TIFF, by the tiff crate: strips and tiles, grey, palette, RGB, CMYK, 1 to 16 bits, first page.

use ::tiff::ColorType;
use ::tiff::decoder::DecodingResult;
use ::tiff::tags::Tag;

use super::fax;
use crate::MediaError;
use crate::image::ImageLimits;
use crate::image::color::{Channels, Raster, Samples, Space};
use crate::image::headers::{self, Headers, open_tiff, tiff_refused};

pub(super) fn decode(
    bytes: &[u8],
    headers: &Headers<'_>,
    limits: &ImageLimits,
) -> Result<Raster, MediaError> {
    let mut decoder = open_tiff(bytes, limits)?;
    let color = decoder.colortype().map_err(tiff_refused)?;
    if let Some(gray) = fax::group3(&mut decoder, bytes, headers)? {
        let samples = Samples::U8(gray);
        return Ok(Raster {
            width: headers.width,
            height: headers.height,
            channels: Channels::Gray,
            samples,
            space: Space::Srgb,
        });
    }
    let mut result = DecodingResult::U8(Vec::new());
    let layout = decoder
        .read_image_to_buffer(&mut result)
        .map_err(tiff_refused)?;
    if result.as_buffer(0).as_bytes().len() < layout.complete_len {
        return Err(MediaError::limit(
            "limit.pixels",
            "the planes of the TIFF need too much memory",
        ));
    }
    let (width, height) = (headers.width as usize, headers.height as usize);
    let planes = if layout.planes > 1 { layout.planes } else { 1 };
    let (channels, samples) = match (color, result) {
        (ColorType::Gray(bits @ (1 | 2 | 4 | 8)), DecodingResult::U8(packed))
            if headers::palette_marker(bytes).is_some() =>
        {
            let map = decoder
                .get_tag_u16_vec(Tag::ColorMap)
                .map_err(tiff_refused)?;
            (
                Channels::Rgb,
                Samples::U8(paint(&unpack(&packed, width, height, bits), &map)?),
            )
        }
        (ColorType::Gray(bits @ (1 | 2 | 4)), DecodingResult::U8(packed)) => {
            let scale = 255 / ((1u16 << bits) - 1) as u8;
            let gray = unpack(&packed, width, height, bits)
                .into_iter()
                .map(|v| v * scale)
                .collect();
            (Channels::Gray, Samples::U8(gray))
        }
        (color, DecodingResult::U8(data)) => pick(color, data, planes, Samples::U8)?,
        (color, DecodingResult::U16(data)) => pick(color, data, planes, Samples::U16)?,
        (color, _) => return Err(unsupported(color)),
    };
    let space = headers
        .icc
        .as_ref()
        .map_or(Space::Srgb, |icc| Space::Icc(icc.to_vec()));
    Ok(Raster {
        width: headers.width,
        height: headers.height,
        channels,
        samples,
        space,
    })
}

fn unsupported(color: ColorType) -> MediaError {
    MediaError::unsupported(format!("a TIFF with samples of the kind {color:?}"))
}

/// Brings whole samples into one of our layouts: interleaved, and without channels that nobody can name.
fn pick<T: Copy>(
    color: ColorType,
    data: Vec<T>,
    planes: usize,
    samples: fn(Vec<T>) -> Samples,
) -> Result<(Channels, Samples), MediaError> {
    let (stored, channels) = match color {
        ColorType::Gray(_) => (1, Channels::Gray),
        ColorType::GrayA(_) => (2, Channels::GrayAlpha),
        ColorType::Multiband { num_samples: 2, .. } => (2, Channels::GrayAlpha),
        ColorType::RGB(_) => (3, Channels::Rgb),
        ColorType::RGBA(_) => (4, Channels::Rgba),
        ColorType::CMYK(_) => (4, Channels::Cmyk),
        ColorType::CMYKA(_) => (5, Channels::Cmyk),
        // The crate has converted what was JPEG inside; other YCbCr it leaves alone.
        other => return Err(unsupported(other)),
    };
    let data = if planes > 1 {
        let plane = data.len() / planes;
        (0..plane)
            .flat_map(|n| (0..stored.min(planes)).map(move |p| p * plane + n))
            .map(|at| data[at])
            .collect()
    } else {
        data
    };
    let data = if stored > channels.count() {
        data.chunks_exact(stored)
            .flat_map(|pixel| &pixel[..channels.count()])
            .copied()
            .collect()
    } else {
        data
    };
    Ok((channels, samples(data)))
}

/// Samples of less than a byte; each row starts a new byte.
fn unpack(packed: &[u8], width: usize, height: usize, bits: u8) -> Vec<u8> {
    let bits = usize::from(bits);
    let mask = ((1u16 << bits) - 1) as u8;
    let row_bytes = (width * bits).div_ceil(8);
    let rows = packed.chunks_exact(row_bytes.max(1)).take(height);
    rows.flat_map(|row| {
        (0..width).map(move |x| row[x * bits / 8] >> (8 - bits - x * bits % 8) & mask)
    })
    .collect()
}

/// The map holds all reds, then all greens, then all blues, of 16 bits each.
fn paint(indices: &[u8], map: &[u16]) -> Result<Vec<u8>, MediaError> {
    let entries = map.len() / 3;
    // Some writers put 8-bit values there.
    let shift = if map.iter().any(|v| *v > 255) { 8 } else { 0 };
    let mut out = Vec::with_capacity(indices.len() * 3);
    for &index in indices {
        let index = usize::from(index);
        if index >= entries {
            return Err(MediaError::corrupt(
                "the TIFF uses colours that its palette does not have",
            ));
        }
        out.extend([0, 1, 2].map(|plane| (map[plane * entries + index] >> shift) as u8));
    }
    Ok(out)
}
