//! What is known about a film or a recording once it was looked at.
//!
//! Times named `_us` are microseconds; times named `_pts` are ticks of their stream's time base.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{AudioTimeline, Container, Orientation, VideoTimeline};

/// A fraction, always reduced, never with a zero below.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ratio {
    /// Above the line.
    pub num: u32,
    /// Below the line.
    pub den: u32,
}

impl Ratio {
    /// `num / den` in lowest terms; nothing when either is zero.
    pub fn new(num: u32, den: u32) -> Option<Self> {
        if num == 0 || den == 0 {
            return None;
        }
        let (mut a, mut b) = (num, den);
        while b != 0 {
            (a, b) = (b, a % b);
        }
        Some(Self {
            num: num / a,
            den: den / a,
        })
    }

    /// Reads `30000/1001` or `16:9`.
    pub fn parse(text: &str) -> Option<Self> {
        let (num, den) = text.split_once(['/', ':'])?;
        Self::new(num.parse().ok()?, den.parse().ok()?)
    }

    /// Its value.
    pub fn as_f64(self) -> f64 {
        f64::from(self.num) / f64::from(self.den)
    }
}

/// The facts of [`super::inspect()`], and the document that they were taken from.
#[derive(Debug, Clone)]
pub struct Inspection {
    /// The facts.
    pub info: MediaInfo,
    /// All that ffprobe says about format, streams, chapters and programs.
    pub ffprobe: serde_json::Value,
}

/// The facts about one file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MediaInfo {
    /// What the file is.
    pub container: Container,
    /// Its size.
    pub bytes: u64,
    /// Where the first picture or sound begins on the file's own clock; may be negative.
    pub start_us: i64,
    /// From the first picture or sound to the end of the last, measured from all packets.
    pub duration_us: u64,
    /// What the headers say, which may be wrong.
    pub declared_duration_us: Option<u64>,
    /// Whether the packets end long before the headers say so: the file was cut off.
    pub ends_early: bool,
    /// Bits per second over the measured duration.
    pub bit_rate: u64,
    /// Films, in file order, without attached pictures. The first one is what gets encoded.
    pub video: Vec<VideoStream>,
    /// Sound, in file order.
    pub audio: Vec<AudioStream>,
    /// Subtitles, in file order.
    pub subtitles: Vec<SubtitleStream>,
    /// Cover art.
    pub pictures: Vec<AttachedPicture>,
    /// Chapters, in time order.
    pub chapters: Vec<Chapter>,
    /// Tags of the whole file: title, artist, creation_time, ... with lower-case names.
    pub tags: BTreeMap<String, String>,
}

/// A stream of pictures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VideoStream {
    /// Its number in the file.
    pub index: u32,
    /// As ffprobe names it: `h264`, `hevc`, `vp9`, ...
    pub codec: String,
    /// As ffprobe names it: `High`, `Main 10`, ...
    pub profile: Option<String>,
    /// As the codec numbers it: 41 is H.264's 4.1.
    pub level: Option<i32>,
    /// Stored width in pixels.
    pub width: u32,
    /// Stored height in pixels.
    pub height: u32,
    /// As ffprobe names it: `yuv420p`, `yuv422p10le`, ...
    pub pixel_format: Option<String>,
    /// Bits per sample.
    pub bit_depth: u8,
    /// How the numbers become colours.
    pub color: Color,
    /// The kind of high dynamic range, if any.
    pub hdr: Option<Hdr>,
    /// How the stored picture must be turned to be upright.
    pub orientation: Orientation,
    /// Width of a stored pixel over its height.
    pub sample_aspect: Ratio,
    /// Width in square pixels, upright.
    pub display_width: u32,
    /// Height in square pixels, upright.
    pub display_height: u32,
    /// Pictures per second: exact when `timeline.constant_rate`, else the usual rate.
    pub frame_rate: Ratio,
    /// Whether pictures are stored as two fields.
    pub interlaced: bool,
    /// Seconds per tick.
    pub time_base: Ratio,
    /// What the packets say.
    pub timeline: VideoTimeline,
    /// Bits per second, measured.
    pub bit_rate: u64,
    /// ISO 639-2.
    pub language: Option<String>,
}

/// A stream of sound.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AudioStream {
    /// Its number in the file.
    pub index: u32,
    /// As ffprobe names it: `aac`, `opus`, ...
    pub codec: String,
    /// As ffprobe names it: `LC`, `HE-AAC`, ...
    pub profile: Option<String>,
    /// How many.
    pub channels: u32,
    /// As ffprobe names it: `stereo`, `5.1(side)`, ...
    pub channel_layout: Option<String>,
    /// Samples per second.
    pub sample_rate: u32,
    /// Seconds per tick.
    pub time_base: Ratio,
    /// What the packets say.
    pub timeline: AudioTimeline,
    /// Bits per second, measured.
    pub bit_rate: u64,
    /// ISO 639-2.
    pub language: Option<String>,
    /// What the file calls it.
    pub title: Option<String>,
    /// Whether players should choose it by themselves.
    pub is_default: bool,
}

impl AudioStream {
    /// Seconds on the file's clock from the first sample that is heard to the end of the last.
    pub fn heard(&self) -> std::ops::Range<f64> {
        let (base, line) = (self.time_base.as_f64(), &self.timeline);
        let dropped = |samples: u32| f64::from(samples) / f64::from(self.sample_rate.max(1));
        let first = line.first_pts as f64 * base;
        // What lies before zero is there for decoders alone, whether the file says so again or not.
        let start = match first + dropped(line.lead_samples) {
            early if first < 0.0 => early.max(0.0),
            start => start,
        };
        let end = line.end_pts as f64 * base - dropped(line.tail_samples);
        start..end.max(start)
    }
}

/// A stream of subtitles.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubtitleStream {
    /// Its number in the file.
    pub index: u32,
    /// As ffprobe names it: `subrip`, `mov_text`, `hdmv_pgs_subtitle`, ...
    pub codec: String,
    /// Whether it is text, and so can become WebVTT.
    pub is_text: bool,
    /// ISO 639-2.
    pub language: Option<String>,
    /// What the file calls it.
    pub title: Option<String>,
}

/// A picture that belongs to the whole file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AttachedPicture {
    /// Its number in the file.
    pub index: u32,
    /// `mjpeg` or `png`.
    pub codec: String,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
}

/// A named part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Chapter {
    /// Where it begins on the file's own clock.
    pub start_us: i64,
    /// Where it ends.
    pub end_us: i64,
    /// Its name.
    pub title: Option<String>,
}

/// How numbers become colours, as ffprobe names it; absent where the stream does not say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Color {
    /// `bt709`, `bt2020`, ...
    pub primaries: Option<String>,
    /// `bt709`, `smpte2084`, `arib-std-b67`, ...
    pub transfer: Option<String>,
    /// `bt709`, `bt2020nc`, `smpte170m`, ...
    pub matrix: Option<String>,
    /// `tv` or `pc`.
    pub range: Option<String>,
}

/// Kinds of high dynamic range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hdr {
    /// Perceptual quantiser (SMPTE ST 2084) with static metadata.
    Hdr10,
    /// Hybrid log-gamma.
    Hlg,
    /// Dolby Vision. `compatibility` says what the base layer is: 0 nothing that others can show,
    /// 1 HDR10, 2 SDR, 4 HLG.
    DolbyVision {
        /// 5, 7, 8, ...
        profile: u8,
        /// Of the base layer.
        compatibility: u8,
    },
}
