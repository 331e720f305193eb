//! The parameters of steps that make streams and files of films and recordings.

use super::Format;
use serde::{Deserialize, Serialize};

/// What pictures that move are coded in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VideoCodec {
    /// Plays everywhere.
    #[default]
    H264,
    /// Plays on Apple's devices and newer televisions, in less than H.264 needs.
    Hevc,
    /// Plays in browsers, likewise.
    Vp9,
    /// Plays in new browsers and devices, in the least.
    Av1,
}

impl VideoCodec {
    /// The name in recipes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::H264 => "h264",
            Self::Hevc => "hevc",
            Self::Vp9 => "vp9",
            Self::Av1 => "av1",
        }
    }

    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// The streams that a video is made into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ladder {
    /// From the lowest to the highest of each codec; those above the source are dropped.
    pub rungs: Vec<Rung>,
    /// Most channels of sound: 2 mixes surround down, 6 keeps 5.1.
    #[serde(default = "stereo", skip_serializing_if = "is_stereo")]
    pub channels_max: u8,
    /// Whether a source that is already what a rung should be serves as it is.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub pass_through: bool,
    /// Processor seconds that one task should take, which sets how many segments it makes; 60 unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunk_cpu_s: Option<u32>,
    /// What segments are wrapped in.
    #[serde(
        rename = "segments",
        default,
        skip_serializing_if = "Packaging::is_default"
    )]
    pub packaging: Packaging,
}

/// What a video's segments are wrapped in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Packaging {
    /// Fragments of MP4 behind an initialisation segment (CMAF): HLS and DASH.
    #[default]
    Cmaf,
    /// MPEG-2 transport streams: HLS for old players.
    Ts,
}

impl Packaging {
    /// As in recipes and databases.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cmaf => "cmaf",
            Self::Ts => "ts",
        }
    }

    /// The packaging of that name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Cmaf, Self::Ts]
            .into_iter()
            .find(|p| p.as_str() == name)
    }

    /// Of its segments' files.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Cmaf => "m4s",
            Self::Ts => "ts",
        }
    }

    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

const fn stereo() -> u8 {
    2
}

const fn is_stereo(channels: &u8) -> bool {
    *channels == stereo()
}

const fn yes() -> bool {
    true
}

const fn is_yes(value: &bool) -> bool {
    *value
}

/// One stream of a ladder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rung {
    /// In URLs: lower-case letters, digits, `-`.
    pub name: String,
    /// Lines of a landscape picture; the shorter side of any.
    pub height: u32,
    /// Peak of the pictures, in kilobits per second.
    pub video_kbps: u32,
    /// Of the sound, in kilobits per second.
    pub audio_kbps: u32,
    /// What its pictures are coded in.
    #[serde(default, skip_serializing_if = "VideoCodec::is_default")]
    pub codec: VideoCodec,
    /// Most pictures per second; without it 60.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame_rate_max: Option<u32>,
}

/// The profile of files that are made to be taken away.
pub const DOWNLOAD: &str = "download";

/// A finished stream as one file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Download {
    /// Which rung; the highest that there is where the source has less, and without a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rung: Option<String>,
}

/// The streams that a recording is made into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sounds {
    /// Bit rates in kilobits per second, rising.
    pub kbps: Vec<u32>,
    /// Most channels: 2 mixes down what has more, 6 keeps 5.1.
    pub channels: u8,
}

/// How loud a result is (EBU R 128).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Loudness {
    /// Of the whole, in LUFS.
    pub target_lufs: f64,
    /// No peak between samples above this, in dBTP.
    pub true_peak_dbtp: f64,
}

/// Plain files to take away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Downloads {
    /// Each is a task of its own.
    pub files: Vec<SoundFile>,
}

/// A recording as one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SoundFile {
    /// `mp3`, `opus` or `m4a`.
    pub format: Format,
    /// Kilobits per second.
    pub kbps: u32,
}
