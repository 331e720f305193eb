//! WebP, by the image-webp crate.

use std::io::Cursor;

use image_webp::{DecodingError, WebPDecoder};

use super::{buffer, shown_delay};
use crate::MediaError;
use crate::image::ImageLimits;
use crate::image::color::{Channels, Raster, Samples, Space};
use crate::image::headers::Headers;

pub(super) fn decode(
    bytes: &[u8],
    headers: &Headers<'_>,
    limits: &ImageLimits,
) -> Result<Raster, MediaError> {
    let mut decoder = open(bytes, headers, limits)?;
    let mut data = buffer(headers.width, headers.height, channels(&decoder).count())?;
    decoder.read_image(&mut data).map_err(refused)?;
    Ok(raster(headers, channels(&decoder), data))
}

pub(super) fn frames(
    bytes: &[u8],
    headers: &Headers<'_>,
    limits: &ImageLimits,
    each: &mut dyn FnMut(Raster, u32) -> Result<(), MediaError>,
) -> Result<(), MediaError> {
    let mut decoder = open(bytes, headers, limits)?;
    for _ in 0..decoder.num_frames() {
        let mut data = buffer(headers.width, headers.height, channels(&decoder).count())?;
        let delay = decoder.read_frame(&mut data).map_err(refused)?;
        each(
            raster(headers, channels(&decoder), data),
            shown_delay(delay),
        )?;
    }
    Ok(())
}

fn open<'a>(
    bytes: &'a [u8],
    headers: &Headers<'_>,
    limits: &ImageLimits,
) -> Result<WebPDecoder<Cursor<&'a [u8]>>, MediaError> {
    let mut decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(refused)?;
    decoder.set_memory_limit(
        usize::try_from(limits.pixels_max.saturating_mul(4)).unwrap_or(usize::MAX),
    );
    if decoder.dimensions() != (headers.width, headers.height) {
        return Err(MediaError::corrupt(
            "the sizes in the WebP contradict each other",
        ));
    }
    Ok(decoder)
}

fn channels(decoder: &WebPDecoder<Cursor<&[u8]>>) -> Channels {
    if decoder.has_alpha() {
        Channels::Rgba
    } else {
        Channels::Rgb
    }
}

fn raster(headers: &Headers<'_>, channels: Channels, data: Vec<u8>) -> Raster {
    Raster {
        width: headers.width,
        height: headers.height,
        channels,
        samples: Samples::U8(data),
        space: headers
            .icc
            .as_ref()
            .map_or(Space::Srgb, |icc| Space::Icc(icc.to_vec())),
    }
}

fn refused(error: DecodingError) -> MediaError {
    match error {
        DecodingError::MemoryLimitExceeded | DecodingError::ImageTooLarge => MediaError::limit(
            "limit.pixels",
            "the WebP needs more memory than its size allows",
        ),
        DecodingError::IoError(_) => MediaError::corrupt("the WebP ends early"),
        other => MediaError::corrupt(format!("the WebP is broken: {other}")),
    }
}
