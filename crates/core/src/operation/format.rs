//! The formats that renditions are made in.

use serde::{Deserialize, Serialize};

/// A file format that renditions are made in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// The baseline for opaque pictures.
    Jpeg,
    /// The baseline for pictures with alpha.
    Png,
    /// Smaller than JPEG everywhere; also carries animations.
    Webp,
    /// The smallest for stills.
    Avif,
    /// A film as one file.
    Mp4,
    /// Sound as one file: AAC.
    M4a,
    /// Sound as one file that everything plays.
    Mp3,
    /// Sound as one file, the smallest.
    Opus,
    /// Captions: WebVTT.
    Vtt,
    /// Figures.
    Json,
}

impl Format {
    /// The name in API, database and recipe.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Jpeg => "jpeg",
            Self::Png => "png",
            Self::Webp => "webp",
            Self::Avif => "avif",
            Self::Mp4 => "mp4",
            Self::M4a => "m4a",
            Self::Mp3 => "mp3",
            Self::Opus => "opus",
            Self::Vtt => "vtt",
            Self::Json => "json",
        }
    }

    /// What files of it end with.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            other => other.as_str(),
        }
    }

    /// Whether it shows one picture, still or moving, so that several formats of it stand for each other.
    pub const fn is_picture(self) -> bool {
        matches!(self, Self::Jpeg | Self::Png | Self::Webp | Self::Avif)
    }

    /// The format of that name; `jpg` is understood too.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "jpeg" | "jpg" => Some(Self::Jpeg),
            "png" => Some(Self::Png),
            "webp" => Some(Self::Webp),
            "avif" => Some(Self::Avif),
            "mp4" => Some(Self::Mp4),
            "m4a" => Some(Self::M4a),
            "mp3" => Some(Self::Mp3),
            "opus" => Some(Self::Opus),
            "vtt" => Some(Self::Vtt),
            "json" => Some(Self::Json),
            _ => None,
        }
    }

    /// The registered media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Webp => "image/webp",
            Self::Avif => "image/avif",
            Self::Mp4 => "video/mp4",
            Self::M4a => "audio/mp4",
            Self::Mp3 => "audio/mpeg",
            Self::Opus => "audio/ogg; codecs=opus",
            Self::Vtt => "text/vtt; charset=utf-8",
            Self::Json => "application/json",
        }
    }
}
