//! PNG, by the png crate. Of an animated PNG this is the default image.

use std::io::Cursor;

use ::png::{ColorType, Decoder, DecodingError, Limits, Transformations};

use super::buffer;
use crate::MediaError;
use crate::image::ImageLimits;
use crate::image::color::{Channels, Raster, Samples, Space};
use crate::image::headers;

pub(super) fn decode(bytes: &[u8], limits: &ImageLimits) -> Result<Raster, MediaError> {
    let (headers, color) = headers::read_png(bytes, limits)?;
    // The crate's own buffers: a few rows, besides the largest chunk that it keeps.
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), Limits { bytes: 64 << 20 });
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder.set_transformations(Transformations::EXPAND);
    let mut reader = decoder.read_info().map_err(refused)?;
    let (kind, depth) = reader.output_color_type();
    let channels = match kind {
        ColorType::Grayscale => Channels::Gray,
        ColorType::GrayscaleAlpha => Channels::GrayAlpha,
        ColorType::Rgb | ColorType::Indexed => Channels::Rgb,
        ColorType::Rgba => Channels::Rgba,
    };
    let (width, height) = (headers.width, headers.height);
    let wide = depth == ::png::BitDepth::Sixteen;
    let mut data: Vec<u8> = buffer(width, height, channels.count() * if wide { 2 } else { 1 })?;
    reader.next_frame(&mut data).map_err(refused)?;
    let samples = if wide {
        Samples::U16(
            data.as_chunks::<2>()
                .0
                .iter()
                .map(|&pair| u16::from_be_bytes(pair))
                .collect(),
        )
    } else {
        Samples::U8(data)
    };
    // The order of precedence is that of the PNG standard.
    let space = match (headers.cicp, headers.icc) {
        (Some(cicp), _) => Space::Cicp(cicp),
        (None, Some(icc)) => Space::Icc(icc.into_owned()),
        (None, None) => Space::Png(color),
    };
    Ok(Raster {
        width,
        height,
        channels,
        samples,
        space,
    })
}

fn refused(error: DecodingError) -> MediaError {
    match error {
        DecodingError::LimitsExceeded => {
            MediaError::limit("limit.memory", "a chunk of the PNG is too large")
        }
        DecodingError::IoError(_) => MediaError::corrupt("the PNG ends early"),
        other => MediaError::corrupt(format!("the PNG is broken: {other}")),
    }
}
