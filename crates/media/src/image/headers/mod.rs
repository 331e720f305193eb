//! What the headers of an image say, read without decoding and almost without allocating. Admission,
//! inspection and every decoder start here, so that they agree about one file.

mod bmp;
mod gif;
mod ifd;
mod jpeg;
mod png;
mod tiff;
mod webp;

use std::borrow::Cow;

pub(crate) use self::bmp::{Bitmap, Compression};
pub(crate) use self::jpeg::Jpeg;
pub(crate) use self::png::Ancillary as PngColor;
pub(crate) use self::tiff::{open as open_tiff, palette_marker, refused as tiff_refused};
pub(crate) use self::webp::{Frame as WebpFrame, frames as webp_frames};
use super::orientation::Orientation;
use super::{Cicp, Format, HeifProbe, HeifReader, ImageLimits};
use crate::MediaError;
use crate::sniff::{Sniffed, sniff};

/// What a stored sample means, before any profile is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Model {
    Gray,
    Rgb,
    Cmyk,
}

/// The facts about one file; metadata blocks are still raw.
#[derive(Debug, Clone)]
pub(crate) struct Headers<'a> {
    pub(crate) format: Format,
    /// Size as stored, before orientation.
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) orientation: Orientation,
    pub(crate) model: Model,
    pub(crate) bit_depth: u8,
    pub(crate) has_alpha: bool,
    /// 1 for a still image.
    pub(crate) frames: u32,
    /// How often an animation plays; 0 means for ever.
    pub(crate) loops: u32,
    pub(crate) duration_ms: u64,
    pub(crate) progressive: bool,
    pub(crate) gain_map: bool,
    pub(crate) icc: Option<Cow<'a, [u8]>>,
    pub(crate) cicp: Option<Cicp>,
    /// A TIFF structure that starts with its byte order mark.
    pub(crate) exif: Option<Cow<'a, [u8]>>,
    pub(crate) xmp: Option<Cow<'a, [u8]>>,
    /// IPTC-IIM records.
    pub(crate) iptc: Option<Cow<'a, [u8]>>,
}

impl Headers<'_> {
    fn still(format: Format, width: u32, height: u32) -> Self {
        Self {
            format,
            width,
            height,
            orientation: Orientation::default(),
            model: Model::Rgb,
            bit_depth: 8,
            has_alpha: false,
            frames: 1,
            loops: 0,
            duration_ms: 0,
            progressive: false,
            gain_map: false,
            icc: None,
            cicp: None,
            exif: None,
            xmp: None,
            iptc: None,
        }
    }
}

/// Recognises the format of `bytes`.
///
/// # Errors
/// `input.empty`, or `input.unsupported` for anything but a raster image.
pub(crate) fn format(bytes: &[u8]) -> Result<Format, MediaError> {
    if bytes.is_empty() {
        return Err(MediaError::empty());
    }
    match sniff(bytes) {
        Sniffed::Image(format) => Ok(format),
        Sniffed::Svg => Err(MediaError::unsupported(
            "SVG drawings are not accepted: they can carry scripts and have no fixed pixels; \
             export the drawing as PNG",
        )),
        Sniffed::Video(media_type) | Sniffed::Audio(media_type) => Err(MediaError::unsupported(
            format!("this is {media_type}, not an image"),
        )),
        Sniffed::Unknown => Err(MediaError::unsupported(
            "the bytes are no known image format",
        )),
    }
}

/// Reads the headers of any supported format and holds them against `limits`.
///
/// # Errors
/// Those of [`format`], `input.corrupt`, `limit.pixels`, `limit.frames`.
pub(crate) fn read<'a>(
    bytes: &'a [u8],
    limits: &ImageLimits,
    heif: Option<&dyn HeifReader>,
) -> Result<Headers<'a>, MediaError> {
    let headers = match format(bytes)? {
        Format::Jpeg => Jpeg::parse(bytes, limits)?.headers,
        Format::Png => png::read(bytes, limits)?.0,
        Format::Gif => gif::read(bytes, limits)?,
        Format::Webp => webp::read(bytes, limits)?,
        Format::Tiff => tiff::read(bytes, limits)?,
        Format::Bmp => bmp::read(bytes, limits)?.headers(bytes, limits),
        format @ (Format::Avif | Format::Heic) => {
            from_probe(format, heif_reader(heif)?.probe(bytes, limits)?, limits)
        }
    };
    limits.check(headers.width, headers.height, headers.frames)?;
    Ok(headers)
}

/// The PNG headers together with the colour chunks that only the decoder needs.
pub(crate) fn read_png<'a>(
    bytes: &'a [u8],
    limits: &ImageLimits,
) -> Result<(Headers<'a>, PngColor), MediaError> {
    png::read(bytes, limits)
}

/// The BMP headers in the form its decoder needs.
pub(crate) fn read_bmp(bytes: &[u8], limits: &ImageLimits) -> Result<Bitmap, MediaError> {
    bmp::read(bytes, limits)
}

/// The reader, or a clear refusal when the caller has none.
pub(crate) fn heif_reader(heif: Option<&dyn HeifReader>) -> Result<&dyn HeifReader, MediaError> {
    heif.ok_or_else(|| MediaError::unsupported("HEIC and AVIF cannot be read on this installation"))
}

fn from_probe<'a>(format: Format, probe: HeifProbe, limits: &ImageLimits) -> Headers<'a> {
    let kept = |block: Option<Vec<u8>>| {
        block
            .filter(|b| b.len() <= limits.metadata_bytes_max)
            .map(Cow::Owned)
    };
    // The reader has turned the picture already, so the EXIF orientation must not turn it again.
    Headers {
        has_alpha: probe.has_alpha,
        bit_depth: probe.bit_depth,
        gain_map: probe.gain_map,
        icc: kept(probe.icc),
        cicp: probe.nclx,
        exif: probe
            .exif
            .map(strip_exif_offset)
            .and_then(|exif| kept(Some(exif))),
        xmp: kept(probe.xmp),
        ..Headers::still(format, probe.width, probe.height)
    }
}

/// HEIF puts a four-byte offset, and sometimes `Exif\0\0`, before the TIFF structure.
fn strip_exif_offset(exif: Vec<u8>) -> Vec<u8> {
    let start = [0, 4, 6, 10]
        .into_iter()
        .find(|&at| matches!(exif.get(at..at + 4), Some(b"II*\0" | b"MM\0*")))
        .unwrap_or_default();
    exif[start..].to_vec()
}

/// A metadata block, unless it is larger than allowed: then it is as if it were not there.
fn block<'a>(data: &'a [u8], limits: &ImageLimits) -> Option<Cow<'a, [u8]>> {
    (!data.is_empty() && data.len() <= limits.metadata_bytes_max).then_some(Cow::Borrowed(data))
}

/// Reads integers at fixed places; `None` past the end.
pub(crate) fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes
        .get(at..at.checked_add(2)?)?
        .try_into()
        .ok()
        .map(u16::from_be_bytes)
}

pub(crate) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..at.checked_add(4)?)?
        .try_into()
        .ok()
        .map(u32::from_be_bytes)
}

pub(crate) fn le16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes
        .get(at..at.checked_add(2)?)?
        .try_into()
        .ok()
        .map(u16::from_le_bytes)
}

pub(crate) fn le24(bytes: &[u8], at: usize) -> Option<u32> {
    let b = bytes.get(at..at.checked_add(3)?)?;
    Some(u32::from(b[0]) | u32::from(b[1]) << 8 | u32::from(b[2]) << 16)
}

pub(crate) fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..at.checked_add(4)?)?
        .try_into()
        .ok()
        .map(u32::from_le_bytes)
}
