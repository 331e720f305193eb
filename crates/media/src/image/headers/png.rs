//! The chunks of a PNG (W3C PNG third edition).

use std::borrow::Cow;

use super::{Headers, Model, be32, block};
use crate::MediaError;
use crate::image::{Cicp, Format, ImageLimits, metadata};

/// What a PNG says about its colours besides a profile.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ancillary {
    /// Whether an `sRGB` chunk settles the question.
    pub(crate) srgb: bool,
    /// `gAMA`: the exponent of encoding times 100,000.
    pub(crate) gamma: Option<u32>,
    /// `cHRM`: white, red, green and blue, x and y, times 100,000.
    pub(crate) chromaticities: Option<[u32; 8]>,
}

/// Reads every chunk header; only `iCCP` is decompressed, up to the metadata limit.
///
/// # Errors
/// `input.corrupt` when the header chunk is broken or no picture follows.
pub(super) fn read<'a>(
    bytes: &'a [u8],
    limits: &ImageLimits,
) -> Result<(Headers<'a>, Ancillary), MediaError> {
    let broken = || MediaError::corrupt("the PNG header is broken");
    let (kind, header) = chunk(bytes, 8).ok_or_else(broken)?;
    if kind != *b"IHDR" || header.len() != 13 {
        return Err(broken());
    }
    let (width, height) = be32(header, 0).zip(be32(header, 4)).ok_or_else(broken)?;
    let color_type = header[9];
    let mut headers = Headers::still(Format::Png, width, height);
    headers.bit_depth = if color_type == 3 { 8 } else { header[8] };
    headers.model = if matches!(color_type, 0 | 4) {
        Model::Gray
    } else {
        Model::Rgb
    };
    headers.has_alpha = matches!(color_type, 4 | 6);
    headers.progressive = header[12] == 1;

    let mut color = Ancillary::default();
    let mut at = 8 + 12 + header.len();
    let mut has_picture = false;
    // Metadata may follow the picture, so all chunks are visited; a break in them is the decoder's affair.
    while let Some((kind, data)) = chunk(bytes, at) {
        match &kind {
            b"IDAT" => has_picture = true,
            b"IEND" => break,
            b"tRNS" => headers.has_alpha = true,
            b"iCCP" => headers.icc = profile(data, limits).map(Cow::Owned),
            b"sRGB" => color.srgb = true,
            b"gAMA" => color.gamma = be32(data, 0).filter(|g| *g > 0),
            b"cHRM" => color.chromaticities = chromaticities(data),
            b"cICP" => headers.cicp = cicp(data),
            b"eXIf" => {
                headers.exif = block(data, limits);
                headers.orientation = metadata::orientation_of_exif(data);
            }
            b"iTXt" => {
                if let Some(xmp) = data.strip_prefix(b"XML:com.adobe.xmp\0\0\0\0\0") {
                    headers.xmp = block(xmp, limits);
                }
            }
            _ => {}
        }
        at += 12 + data.len();
    }
    // A first chunk that is cut off still tells that the file meant to go on.
    if !has_picture && bytes.get(at + 4..at + 8) != Some(b"IDAT") {
        return Err(MediaError::corrupt("the PNG has no picture"));
    }
    Ok((headers, color))
}

fn chunk(bytes: &[u8], at: usize) -> Option<([u8; 4], &[u8])> {
    let length = be32(bytes, at)? as usize;
    let kind = bytes.get(at + 4..at + 8)?.try_into().ok()?;
    let data = bytes.get(at + 8..at.checked_add(8)?.checked_add(length)?)?;
    Some((kind, data))
}

fn profile(data: &[u8], limits: &ImageLimits) -> Option<Vec<u8>> {
    let name_end = memchr::memchr(0, data.get(..80.min(data.len()))?)?;
    let compressed = data.get(name_end + 2..)?;
    let mut out = Vec::new();
    let mut inflater = std::io::Read::take(
        flate2::read::ZlibDecoder::new(compressed),
        limits.metadata_bytes_max as u64 + 1,
    );
    std::io::Read::read_to_end(&mut inflater, &mut out).ok()?;
    (out.len() <= limits.metadata_bytes_max).then_some(out)
}

fn chromaticities(data: &[u8]) -> Option<[u32; 8]> {
    let mut values = [0; 8];
    for (n, value) in values.iter_mut().enumerate() {
        *value = be32(data, 4 * n)?;
    }
    Some(values)
}

fn cicp(data: &[u8]) -> Option<Cicp> {
    let &[primaries, transfer, matrix, range] = data else {
        return None;
    };
    // Other matrices and narrow range are allowed for video only.
    (matrix == 0 && range == 1).then_some(Cicp {
        primaries: primaries.into(),
        transfer: transfer.into(),
        matrix: 0,
        full_range: true,
    })
}
