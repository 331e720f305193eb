//! The closed list of containers that are opened. Playlists, concatenation scripts, image
//! sequences and text art are absent: they name other files.

use serde::{Deserialize, Serialize};

/// A container whose demuxer may be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Container {
    /// MP4, MOV, 3GP, M4A.
    Mov,
    /// Matroska and WebM.
    Matroska,
    /// MPEG-2 transport stream.
    MpegTs,
    /// MPEG program stream.
    MpegPs,
    /// MPEG-1 or MPEG-2 video without a container.
    MpegVideo,
    /// Audio Video Interleave.
    Avi,
    /// Flash Video.
    Flv,
    /// Ogg.
    Ogg,
    /// Windows Media.
    Asf,
    /// RIFF, RIFX, RF64 waves.
    Wav,
    /// AIFF and AIFF-C.
    Aiff,
    /// MPEG audio frames, with or without ID3 tags.
    Mp3,
    /// Free Lossless Audio Codec.
    Flac,
    /// AAC frames with ADTS headers.
    Aac,
    /// Core Audio Format.
    Caf,
    /// AMR frames, as telephones record.
    Amr,
    /// What our own steps leave for each other; nothing that is uploaded is taken for it.
    Nut,
}

impl Container {
    /// The container of a media type as [`crate::sniff`] gives it.
    pub fn of_media_type(media_type: &str) -> Option<Self> {
        Some(match media_type {
            "video/mp4" | "video/quicktime" | "video/3gpp" | "video/3gpp2" | "audio/mp4"
            | "audio/3gpp" | "audio/3gpp2" => Self::Mov,
            "video/webm" | "video/x-matroska" | "audio/webm" | "audio/x-matroska" => Self::Matroska,
            "video/mp2t" => Self::MpegTs,
            "video/mpeg" => Self::MpegPs,
            "video/mpv" => Self::MpegVideo,
            "video/x-msvideo" => Self::Avi,
            "video/x-flv" | "audio/x-flv" => Self::Flv,
            "video/ogg" | "audio/ogg" => Self::Ogg,
            "video/x-ms-asf" | "audio/x-ms-wma" => Self::Asf,
            "audio/wav" => Self::Wav,
            "audio/aiff" => Self::Aiff,
            "audio/mpeg" => Self::Mp3,
            "audio/flac" => Self::Flac,
            "audio/aac" => Self::Aac,
            "audio/x-caf" => Self::Caf,
            "audio/amr" => Self::Amr,
            _ => return None,
        })
    }

    /// The name of ffmpeg's demuxer.
    pub(crate) fn demuxer(self) -> &'static str {
        match self {
            Self::Mov => "mov",
            Self::Matroska => "matroska",
            Self::MpegTs => "mpegts",
            Self::MpegPs => "mpeg",
            Self::MpegVideo => "mpegvideo",
            Self::Avi => "avi",
            Self::Flv => "flv",
            Self::Ogg => "ogg",
            Self::Asf => "asf",
            Self::Wav => "wav",
            Self::Aiff => "aiff",
            Self::Mp3 => "mp3",
            Self::Flac => "flac",
            Self::Aac => "aac",
            Self::Caf => "caf",
            Self::Amr => "amr",
            Self::Nut => "nut",
        }
    }

    /// Whether ffmpeg finds a given time in it exactly. In the others a seek guesses by bytes or
    /// loses presentation times, so that a chunk would begin many frames off.
    pub fn is_indexed(self) -> bool {
        matches!(self, Self::Mov | Self::Matroska)
    }
}
