//! Everything worth knowing about an image that its pixels need not be decoded for.

use serde::Serialize;

use super::headers::{self, Model};
use super::metadata::{self, Metadata};
use super::{Format, HeifReader, ImageLimits, color, decode::guarded};
use crate::MediaError;

/// How to inspect.
#[derive(Clone, Copy, Default)]
pub struct InspectOptions<'a> {
    /// What the image may ask for.
    pub limits: ImageLimits,
    /// Whether GPS positions are read at all.
    pub record_positions: bool,
    /// Who reads HEIC and AVIF; without one they are refused.
    pub heif: Option<&'a dyn HeifReader>,
}

/// The facts; absent ones are left out of the JSON.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ImageInfo {
    /// The format, from the bytes.
    pub format: Format,
    /// Its registered media type.
    pub media_type: &'static str,
    /// Width in pixels once upright.
    pub width: u32,
    /// Height in pixels once upright.
    pub height: u32,
    /// The EXIF orientation as stored, 1 to 8. For HEIC and AVIF 1: their own boxes turn the picture.
    pub orientation: u8,
    /// `srgb`, `display-p3`, `adobe-rgb`, `prophoto-rgb`, `rec2020`, `rgb` (some other), `gray`, `cmyk`, `lab`.
    pub color_space: &'static str,
    /// The description inside of the ICC profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub icc_profile: Option<String>,
    /// Bits per sample.
    pub bit_depth: u8,
    /// Whether pixels can be transparent.
    pub has_alpha: bool,
    /// Whether there is more than one frame.
    pub animated: bool,
    /// Frames; 1 for a still image.
    pub frames: u32,
    /// How often an animation plays; 0 means for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loops: Option<u32>,
    /// How long an animation plays once, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// Whether the picture is stored in passes (progressive JPEG, interlaced PNG).
    pub progressive: bool,
    /// Whether a gain map for brighter screens is attached (renditions leave it out).
    pub gain_map: bool,
    /// `pq` or `hlg` when the picture is high dynamic range.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transfer: Option<&'static str>,
    /// What EXIF, XMP and IPTC say.
    #[serde(flatten)]
    pub metadata: Metadata,
}

/// Inspects an image without decoding its pixels.
///
/// # Errors
/// `input.empty`, `input.unsupported`, `input.corrupt`, `limit.pixels`, `limit.frames`, `decoder.crashed`.
/// Metadata never fails an image.
pub fn inspect(bytes: &[u8], options: &InspectOptions<'_>) -> Result<ImageInfo, MediaError> {
    let (mut info, blocks) = guarded(|| {
        let headers = headers::read(bytes, &options.limits, options.heif)?;
        let (width, height) = headers
            .orientation
            .upright_size(headers.width, headers.height);
        let animated = headers.frames > 1;
        let info = ImageInfo {
            format: headers.format,
            media_type: headers.format.media_type(),
            width,
            height,
            orientation: headers.orientation.tag(),
            color_space: "srgb",
            icc_profile: None,
            bit_depth: headers.bit_depth,
            has_alpha: headers.has_alpha,
            animated,
            frames: headers.frames,
            loops: animated.then_some(headers.loops),
            duration_ms: animated.then_some(headers.duration_ms),
            progressive: headers.progressive,
            gain_map: headers.gain_map,
            transfer: headers.cicp.and_then(color::Cicp::hdr_transfer),
            metadata: Metadata::default(),
        };
        Ok((info, headers))
    })?;
    // Profiles and metadata are guarded apart, so that a panic over them costs only them.
    if let Ok((space, profile)) = guarded(|| Ok(color_of(&blocks))) {
        (info.color_space, info.icc_profile) = (space, profile);
    }
    let read = || {
        metadata::read(
            blocks.exif.as_deref(),
            blocks.xmp.as_deref(),
            blocks.iptc.as_deref(),
            options.record_positions,
        )
    };
    info.metadata = guarded(|| Ok(read())).unwrap_or_default();
    Ok(info)
}

fn color_of(headers: &headers::Headers<'_>) -> (&'static str, Option<String>) {
    let described = headers.icc.as_deref().and_then(color::describe);
    let (space, profile) = described.map_or((None, None), |(space, name)| (Some(space), name));
    let space = match headers.model {
        Model::Gray => "gray",
        Model::Cmyk => "cmyk",
        Model::Rgb => match (headers.cicp, space) {
            (Some(cicp), None) => color::name(cicp),
            (_, Some(space)) => space,
            (None, None) => "srgb",
        },
    };
    (space, profile)
}
