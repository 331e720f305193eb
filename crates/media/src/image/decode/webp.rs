//! WebP: the image-webp crate decodes pictures. Frames of animations are cut out and decoded as if each
//! were a file, and composed here, because the crate's own composing rounds opaque pixels.

use std::io::Cursor;

use image_webp::{DecodingError, WebPDecoder};

use super::canvas::Canvas;
use super::{buffer, shown_delay};
use crate::MediaError;
use crate::image::ImageLimits;
use crate::image::color::{Channels, Raster, Samples, Space};
use crate::image::headers::{Headers, WebpFrame, webp_frames};

pub(super) fn decode(
    bytes: &[u8],
    headers: &Headers<'_>,
    limits: &ImageLimits,
) -> Result<Raster, MediaError> {
    if let Some(frame) = webp_frames(bytes).next() {
        let mut canvas = Canvas::new(headers)?;
        draw(&mut canvas, &frame, limits)?;
        return Ok(canvas.raster());
    }
    let (channels, data) = picture(bytes, (headers.width, headers.height), limits)?;
    Ok(Raster {
        width: headers.width,
        height: headers.height,
        channels,
        samples: Samples::U8(data),
        space: headers
            .icc
            .as_ref()
            .map_or(Space::Srgb, |icc| Space::Icc(icc.to_vec())),
    })
}

pub(super) fn frames(
    bytes: &[u8],
    headers: &Headers<'_>,
    limits: &ImageLimits,
    each: &mut dyn FnMut(Raster, u32) -> Result<(), MediaError>,
) -> Result<(), MediaError> {
    let mut canvas = Canvas::new(headers)?;
    for frame in webp_frames(bytes) {
        draw(&mut canvas, &frame, limits)?;
        each(canvas.raster(), shown_delay(frame.delay_ms))?;
        if frame.dispose {
            canvas.clear(canvas.area(frame.at, frame.size));
        }
    }
    Ok(())
}

fn draw(
    canvas: &mut Canvas,
    frame: &WebpFrame<'_>,
    limits: &ImageLimits,
) -> Result<(), MediaError> {
    let (channels, mut data) = picture(&frame.as_file(), frame.size, limits)?;
    if channels == Channels::Rgb {
        data = data
            .as_chunks::<3>()
            .0
            .iter()
            .flat_map(|&[r, g, b]| [r, g, b, 255])
            .collect();
    }
    let area = canvas.area(frame.at, frame.size);
    canvas.draw(area, &data, frame.size.0, frame.blend);
    Ok(())
}

fn picture(
    bytes: &[u8],
    (width, height): (u32, u32),
    limits: &ImageLimits,
) -> Result<(Channels, Vec<u8>), MediaError> {
    let mut decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(refused)?;
    decoder.set_memory_limit(
        usize::try_from(limits.pixels_max.saturating_mul(4)).unwrap_or(usize::MAX),
    );
    if decoder.dimensions() != (width, height) {
        return Err(MediaError::corrupt(
            "the sizes in the WebP contradict each other",
        ));
    }
    let channels = if decoder.has_alpha() {
        Channels::Rgba
    } else {
        Channels::Rgb
    };
    let mut data = buffer(width, height, channels.count())?;
    decoder.read_image(&mut data).map_err(refused)?;
    Ok((channels, data))
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
