//! JPEG, by zune-jpeg in strict mode: it fails where data ends early instead of filling up with grey.

use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;

use crate::MediaError;
use crate::image::ImageLimits;
use crate::image::color::{Channels, Raster, Samples, Space};
use crate::image::headers::Jpeg;

/// Most scans of a progressive file. Each costs a pass over all coefficients; encoders write about ten.
const SCANS_MAX: usize = 100;

pub(super) fn decode(bytes: &[u8], limits: &ImageLimits) -> Result<Raster, MediaError> {
    let jpeg = Jpeg::parse(bytes, limits)?;
    let end = end_of_input(&jpeg, bytes);
    let has_icc = jpeg.headers.icc.is_some();
    let decoded = run(&bytes[..end], jpeg.frame.components, has_icc);
    // Stray bytes and odd metadata make a strict decoder fail on headers that are fine otherwise.
    let (channels, mut data, ycck) = match decoded {
        Err(Failure::Header(_)) => run(&jpeg.bare(end), jpeg.frame.components, has_icc),
        other => other,
    }
    .map_err(|failure| refused(failure.into_inner()))?;
    if channels == Channels::Cmyk {
        to_inks(&mut data, ycck, jpeg.adobe.is_some());
    }
    let space = jpeg
        .headers
        .icc
        .map_or(Space::Srgb, |icc| Space::Icc(icc.into_owned()));
    let (width, height) = (jpeg.headers.width, jpeg.headers.height);
    Ok(Raster {
        width,
        height,
        channels,
        samples: Samples::U8(data),
        space,
    })
}

/// Where the decoder's input ends.
///
/// At an end-of-image marker the decoder makes up the blocks that are missing; without the marker it
/// reports them, but also reports a last row of blocks that is so short that it sits in its read-ahead.
/// So the marker is withheld where a row of blocks cannot be that short: each takes at least two bits,
/// and the read-ahead is 64 bits.
fn end_of_input(jpeg: &Jpeg<'_>, bytes: &[u8]) -> usize {
    if jpeg.headers.progressive || jpeg.frame.blocks_per_mcu_row <= 32 {
        return bytes.len();
    }
    jpeg.end_of_only_scan().unwrap_or(bytes.len())
}

enum Failure {
    Header(DecodeErrors),
    Data(DecodeErrors),
}

impl Failure {
    fn into_inner(self) -> DecodeErrors {
        match self {
            Self::Header(error) | Self::Data(error) => error,
        }
    }
}

/// Decodes grey to RGB at once unless a profile has to see the grey, and leaves four components alone.
fn run(bytes: &[u8], components: u8, has_icc: bool) -> Result<(Channels, Vec<u8>, bool), Failure> {
    let options = DecoderOptions::new_fast()
        .set_strict_mode(true)
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX))
        .jpeg_set_max_scans(SCANS_MAX)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(Failure::Header)?;
    let stored = decoder.input_colorspace().unwrap_or(ColorSpace::YCbCr);
    let (channels, output) = match components {
        1 if has_icc => (Channels::Gray, ColorSpace::Luma),
        4 => (Channels::Cmyk, stored),
        _ => (Channels::Rgb, ColorSpace::RGB),
    };
    decoder.set_options(options.jpeg_set_out_colorspace(output));
    let size = decoder
        .output_buffer_size()
        .ok_or(Failure::Header(DecodeErrors::ZeroError))?;
    let mut data = vec![0; size];
    decoder.decode_into(&mut data).map_err(Failure::Data)?;
    Ok((channels, data, stored == ColorSpace::YCCK))
}

/// Turns four stored components into amounts of ink. Files with an Adobe segment store them inverted;
/// in YCCK the first three are, besides, the YCbCr of the inverse.
fn to_inks(data: &mut [u8], ycck: bool, adobe: bool) {
    for [c, m, y, k] in data.as_chunks_mut::<4>().0 {
        if ycck {
            let (luma, cb, cr) = (f32::from(*c), f32::from(*m) - 128.0, f32::from(*y) - 128.0);
            let rgb = [
                luma + 1.402 * cr,
                luma - 0.344_136 * cb - 0.714_136 * cr,
                luma + 1.772 * cb,
            ];
            [*c, *m, *y] = rgb.map(|v| 255 - (v + 0.5) as u8);
        }
        if adobe {
            [*c, *m, *y, *k] = [*c, *m, *y, *k].map(|v| 255 - v);
        }
    }
}

fn refused(error: DecodeErrors) -> MediaError {
    match error {
        DecodeErrors::Unsupported(_) => {
            MediaError::unsupported("this coding process of JPEG is not supported")
        }
        DecodeErrors::ExhaustedData | DecodeErrors::IoErrors(_) => {
            MediaError::corrupt("the JPEG ends early")
        }
        other => MediaError::corrupt(format!("the JPEG is broken: {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::to_inks;

    #[test]
    fn stored_components_become_inks() {
        let inks = |stored: [u8; 4], ycck, adobe| {
            let mut data = stored;
            to_inks(&mut data, ycck, adobe);
            data
        };
        assert_eq!(inks([10, 20, 30, 40], false, false), [10, 20, 30, 40]);
        assert_eq!(inks([10, 20, 30, 40], false, true), [245, 235, 225, 215]);
        // As libjpeg converts them.
        assert_eq!(inks([0, 255, 255, 255], true, true), [178, 0, 225, 0]);
    }
}
