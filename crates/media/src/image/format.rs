//! The image formats that can be read.

use serde::{Deserialize, Serialize};

/// A raster format, as found in the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// JPEG (ITU-T T.81): baseline and progressive, grey, YCbCr, RGB, CMYK and YCCK.
    Jpeg,
    /// PNG (W3C); of an animated PNG the default image.
    Png,
    /// GIF 87a and 89a.
    Gif,
    /// WebP (RFC 9649), still or animated.
    Webp,
    /// AV1 in HEIF, read through a [`super::HeifReader`].
    Avif,
    /// HEVC in HEIF, read through a [`super::HeifReader`].
    Heic,
    /// TIFF 6.0 and BigTIFF, first page.
    Tiff,
    /// Windows and OS/2 bitmaps.
    Bmp,
}

impl Format {
    const ALL: [Self; 8] = [
        Self::Jpeg,
        Self::Png,
        Self::Gif,
        Self::Webp,
        Self::Avif,
        Self::Heic,
        Self::Tiff,
        Self::Bmp,
    ];

    /// The registered media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Gif => "image/gif",
            Self::Webp => "image/webp",
            Self::Avif => "image/avif",
            Self::Heic => "image/heic",
            Self::Tiff => "image/tiff",
            Self::Bmp => "image/bmp",
        }
    }

    /// The usual ending of a file name, without a dot.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            _ => self.name(),
        }
    }

    /// The name used in the API and in recipes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "jpeg",
            Self::Png => "png",
            Self::Gif => "gif",
            Self::Webp => "webp",
            Self::Avif => "avif",
            Self::Heic => "heic",
            Self::Tiff => "tiff",
            Self::Bmp => "bmp",
        }
    }

    /// The format called `name` (see [`Format::name`]).
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
