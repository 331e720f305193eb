//! HEIC and AVIF: asks the reader, and checks what it answers before trusting it.

use crate::MediaError;
use crate::image::color::{Channels, Raster, Samples, Space};
use crate::image::{HeifReader, ImageLimits};

pub(super) fn decode(
    bytes: &[u8],
    reader: &dyn HeifReader,
    limits: &ImageLimits,
) -> Result<Raster, MediaError> {
    let raw = reader.decode(bytes, limits)?;
    limits.check(raw.width, raw.height, 1)?;
    let nonsense =
        || MediaError::crash("the HEIF reader returned an image that contradicts itself");
    let channels = match raw.channels {
        3 => Channels::Rgb,
        4 => Channels::Rgba,
        _ => return Err(nonsense()),
    };
    let bytes_per_sample = match raw.bit_depth {
        8 => 1,
        16 => 2,
        _ => return Err(nonsense()),
    };
    if raw.data.len()
        != raw.width as usize * raw.height as usize * channels.count() * bytes_per_sample
    {
        return Err(nonsense());
    }
    let samples = if bytes_per_sample == 1 {
        Samples::U8(raw.data)
    } else {
        Samples::U16(
            raw.data
                .as_chunks::<2>()
                .0
                .iter()
                .map(|&pair| u16::from_le_bytes(pair))
                .collect(),
        )
    };
    let space = match (raw.icc, raw.nclx) {
        // A file may carry both; light that a profile cannot describe is described by the code points.
        (_, Some(cicp)) if cicp.hdr_transfer().is_some() => Space::Cicp(cicp),
        (Some(icc), _) => Space::Icc(icc),
        (None, Some(cicp)) => Space::Cicp(cicp),
        (None, None) => Space::Srgb,
    };
    Ok(Raster {
        width: raw.width,
        height: raw.height,
        channels,
        samples,
        space,
    })
}
