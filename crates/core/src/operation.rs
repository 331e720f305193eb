//! The operations a step can name: their parameters, their queue and what they cost.
//!
//! What an operation *does* is the worker's; what it *is* must be known wherever tasks are planned.

mod format;
mod streams;

pub use format::Format;
pub use streams::{
    DOWNLOAD, Download, Downloads, Ladder, Loudness, Packaging, Rung, SoundFile, Sounds, VideoCodec,
};

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How a variant relates to its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fit {
    /// Scaled to a width; never enlarged.
    Width,
    /// Scaled and cropped around the focus to fill width and height exactly; never enlarged.
    Cover,
    /// The full size.
    Original,
}

/// One size of a picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// The profile's name in URLs: lower-case letters, digits, `-`.
    pub name: String,
    /// How it is cut.
    pub fit: Fit,
    /// In pixels; for `width` and `cover`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// In pixels; for `cover` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
}

/// Makes the baseline variants.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Resize {
    /// The sizes to make.
    pub variants: Vec<Variant>,
    /// JPEG quality, 1 to 100.
    pub jpeg_quality: u8,
}

/// Further formats of every variant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Compress {
    /// The encodings to add, in order.
    pub formats: Vec<Encoding>,
}

/// How a further format is encoded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Encoding {
    /// `webp` or `avif`.
    pub format: Format,
    /// The encoder's own scale, 1 to 100.
    pub quality: u8,
    /// WebP: method 0 (fast) to 6. AVIF: speed 0 (slow) to 9. Without it, what measurements chose: see
    /// `docs/decisions/0001-image-encoders.md`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effort: Option<u8>,
    /// Other values for some variants, by name.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub variants: std::collections::BTreeMap<String, Tuning>,
}

/// Quality and effort of one variant, where they differ from the encoding's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tuning {
    /// Instead of the encoding's quality.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<u8>,
    /// Instead of the encoding's effort.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effort: Option<u8>,
}

impl Encoding {
    /// Quality and effort for the variant `name`.
    pub fn tuning(&self, name: &str) -> (u8, Option<u8>) {
        let own = self.variants.get(name);
        (
            own.and_then(|t| t.quality).unwrap_or(self.quality),
            own.and_then(|t| t.effort).or(self.effort),
        )
    }
}

/// What a step does, with its parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "operation")]
pub enum Operation {
    /// Reads dimensions, colour, camera and position.
    #[serde(rename = "image.inspect")]
    Inspect,
    /// The gate before anything is shown.
    #[serde(rename = "moderate")]
    Moderate,
    /// Makes the baseline variants.
    #[serde(rename = "image.resize")]
    Resize(Resize),
    /// Makes the baseline variants with the configured mark on them.
    #[serde(rename = "image.watermark")]
    Watermark,
    /// Adds further formats.
    #[serde(rename = "image.compress")]
    Compress(Compress),
    /// Makes BlurHash and average colour.
    #[serde(rename = "image.placeholder")]
    Placeholder,
    /// Warms the CDN.
    #[serde(rename = "distribute")]
    Distribute,
    /// Flips the generation visible; the core does it, no worker.
    #[serde(rename = "publish")]
    Publish,
    /// Encodes again, slowly, while nothing else waits.
    #[serde(rename = "image.squeeze")]
    Squeeze(Compress),
    /// Reads containers, streams, colour and duration.
    #[serde(rename = "video.inspect")]
    VideoInspect,
    /// Decides which rungs and chunks there are, and so how many tasks the steps after it have.
    #[serde(rename = "video.plan")]
    VideoPlan(Ladder),
    /// Makes the first segment of the lowest rung alone, so that watching can begin.
    #[serde(rename = "video.lead")]
    VideoLead,
    /// Makes one chunk of all rungs.
    #[serde(rename = "video.encode")]
    VideoEncode,
    /// Makes one piece of all sounds.
    #[serde(rename = "video.audio")]
    VideoAudio,
    /// Chooses the picture that stands for the video; image operations go on from it.
    #[serde(rename = "video.poster")]
    VideoPoster,
    /// Makes sheets of small pictures for scrubbing.
    #[serde(rename = "video.storyboard")]
    VideoStoryboard,
    /// Decodes all that was made and compares it with the source.
    #[serde(rename = "video.verify")]
    VideoVerify,
    /// Makes WebVTT of the texts that a video carries with it.
    #[serde(rename = "video.captions")]
    VideoCaptions,
    /// Puts a finished stream and its sound into one file.
    #[serde(rename = "video.download")]
    VideoDownload(Download),
    /// Reads containers, streams, tags and duration of a recording.
    #[serde(rename = "audio.inspect")]
    AudioInspect,
    /// Measures how loud the sound is, and so by how much all of it is turned up or down.
    #[serde(rename = "audio.loudness")]
    AudioLoudness(Loudness),
    /// Decides which pieces there are, and so how many tasks the steps after it have.
    #[serde(rename = "audio.plan")]
    AudioPlan(Sounds),
    /// Makes one piece at all bit rates.
    #[serde(rename = "audio.encode")]
    AudioEncode,
    /// Makes one plain file.
    #[serde(rename = "audio.download")]
    AudioDownload(Downloads),
    /// Draws the shape of the wave.
    #[serde(rename = "audio.waveform")]
    AudioWaveform,
    /// Takes out the picture that a recording carries; image operations go on from it.
    #[serde(rename = "audio.cover")]
    AudioCover,
    /// Sees that nothing is missing and that all pieces join.
    #[serde(rename = "audio.verify")]
    AudioVerify,
}

/// Which workers may claim a task. Workers announce the queues they serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Queue {
    /// Pictures: bound by processor and memory.
    Image,
    /// Video and sound: likewise, for longer.
    Video,
    /// Waiting for somebody else: classifiers, CDNs.
    Network,
}

impl Queue {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Image, Self::Video, Self::Network];

    /// Those whose tasks share processors.
    pub const BUSY: &'static [Self] = &[Self::Image, Self::Video];

    /// Those whose tasks wait for somebody else.
    pub const WAITING: &'static [Self] = &[Self::Network];

    /// The wanted ones among those that share processors, or else among those that wait, from the first wanted to the last.
    pub fn among(wanted: &[Self]) -> &'static [Self] {
        let sets = [Self::BUSY, Self::WAITING];
        let served = sets.map(|all| Self::served(all, wanted));
        served.into_iter().find(|s| !s.is_empty()).unwrap_or(&[])
    }

    /// Those of `all` from the first wanted to the last. There are two at most in a set, so the wanted stand side by side.
    pub fn served(all: &'static [Self], wanted: &[Self]) -> &'static [Self] {
        let is_wanted = |queue: &Self| wanted.contains(queue);
        let end = all.iter().rposition(is_wanted).map_or(0, |last| last + 1);
        let begin = all.iter().position(is_wanted).unwrap_or(end);
        &all[begin..end]
    }

    /// The name in database, configuration and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Video => "video",
            Self::Network => "network",
        }
    }

    /// The queue of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|q| q.as_str() == name)
    }
}

/// How urgent an upload is beside others of its tenant. Each has its own share, so that none starves another.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// Somebody waits for it: eight times the share of what is normal.
    High,
    /// What says nothing.
    #[default]
    Normal,
    /// Imports in bulk: an eighth of the share of what is normal.
    Low,
}

impl Priority {
    /// All of them, the most urgent first.
    pub const ALL: &'static [Self] = &[Self::High, Self::Normal, Self::Low];

    /// The name in the API and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Normal => "normal",
            Self::Low => "low",
        }
    }

    /// The priority of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|p| p.as_str() == name)
    }

    /// The number in databases, from 0 for the most urgent.
    pub const fn number(self) -> u8 {
        match self {
            Self::High => 0,
            Self::Normal => 1,
            Self::Low => 2,
        }
    }

    /// By how much its tenant's weight counts.
    pub const fn share(self) -> u64 {
        match self {
            Self::High => 64,
            Self::Normal => 8,
            Self::Low => 1,
        }
    }

    /// Whether it is what an upload has that says nothing.
    pub fn is_normal(&self) -> bool {
        *self == Self::Normal
    }
}

/// What a task needs from a worker before it may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Peak memory in bytes.
    pub memory_bytes: u64,
    /// Expected processor time in milliseconds; orders the queue fairly between tenants.
    pub cpu_ms: u32,
}

/// What is known of an asset before any task ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Facts {
    /// Width times height of one picture.
    pub pixels: u64,
    /// Pictures in the file.
    pub frames: u32,
    /// Size of the original in bytes.
    pub bytes: u64,
}

/// Pixels of the longer side of a video's poster: enough for the largest variant.
pub const POSTER_SIDE_MAX: u64 = 2160;

const MIB: u64 = 1 << 20;

impl Operation {
    /// The name in recipes, API and database.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Inspect => "image.inspect",
            Self::Moderate => "moderate",
            Self::Resize(_) => "image.resize",
            Self::Watermark => "image.watermark",
            Self::Compress(_) => "image.compress",
            Self::Placeholder => "image.placeholder",
            Self::Distribute => "distribute",
            Self::Publish => "publish",
            Self::Squeeze(_) => "image.squeeze",
            Self::VideoInspect => "video.inspect",
            Self::VideoPlan(_) => "video.plan",
            Self::VideoLead => "video.lead",
            Self::VideoEncode => "video.encode",
            Self::VideoAudio => "video.audio",
            Self::VideoPoster => "video.poster",
            Self::VideoStoryboard => "video.storyboard",
            Self::VideoVerify => "video.verify",
            Self::VideoCaptions => "video.captions",
            Self::VideoDownload(_) => "video.download",
            Self::AudioInspect => "audio.inspect",
            Self::AudioLoudness(_) => "audio.loudness",
            Self::AudioPlan(_) => "audio.plan",
            Self::AudioEncode => "audio.encode",
            Self::AudioDownload(_) => "audio.download",
            Self::AudioWaveform => "audio.waveform",
            Self::AudioCover => "audio.cover",
            Self::AudioVerify => "audio.verify",
        }
    }

    /// The queue its tasks wait in.
    pub const fn queue(&self) -> Queue {
        match self {
            Self::Moderate | Self::Distribute | Self::Publish => Queue::Network,
            Self::Inspect
            | Self::Resize(_)
            | Self::Watermark
            | Self::Compress(_)
            | Self::Placeholder
            | Self::Squeeze(_) => Queue::Image,
            Self::VideoInspect
            | Self::VideoPlan(_)
            | Self::VideoLead
            | Self::VideoEncode
            | Self::VideoAudio
            | Self::VideoPoster
            | Self::VideoStoryboard
            | Self::VideoVerify
            | Self::VideoCaptions
            | Self::VideoDownload(_)
            | Self::AudioInspect
            | Self::AudioLoudness(_)
            | Self::AudioPlan(_)
            | Self::AudioEncode
            | Self::AudioDownload(_)
            | Self::AudioWaveform
            | Self::AudioCover
            | Self::AudioVerify => Queue::Video,
        }
    }

    /// Lanes are claimed in ascending order: 0 makes assets viewable, 1 completes them, 9 runs
    /// only while nothing else waits.
    pub const fn lane(&self) -> u8 {
        match self {
            Self::Compress(_)
            | Self::VideoEncode
            | Self::VideoPoster
            | Self::VideoStoryboard
            | Self::VideoCaptions
            | Self::AudioDownload(_)
            | Self::AudioWaveform => 1,
            Self::VideoVerify | Self::VideoDownload(_) | Self::AudioVerify => 2,
            Self::Squeeze(_) => 9,
            _ => 0,
        }
    }

    /// How long one attempt may take, unless the step says otherwise.
    pub const fn timeout(&self) -> Duration {
        match self {
            Self::Moderate | Self::Distribute => Duration::from_secs(60),
            // A film may have to be read whole, and decoded to the picture that is wanted; a recording can be a day's.
            Self::Squeeze(_)
            | Self::VideoInspect
            | Self::VideoPoster
            | Self::VideoStoryboard
            | Self::VideoAudio
            | Self::VideoEncode
            | Self::VideoVerify
            | Self::VideoDownload(_)
            | Self::AudioLoudness(_)
            | Self::AudioDownload(_)
            | Self::AudioWaveform => Duration::from_secs(3600),
            _ => Duration::from_secs(600),
        }
    }

    /// What one task of it needs, estimated from the asset's facts.
    pub fn cost(&self, facts: Facts) -> Cost {
        let decoded = facts.pixels.saturating_mul(4);
        if let Some(ns_per_byte) = self.cpu_ns_per_byte() {
            // ffmpeg reads a stream from a file: none of it grows with the recording.
            let cpu_ms = facts.bytes.saturating_mul(ns_per_byte) / 1_000_000;
            return Cost {
                memory_bytes: 128 * MIB,
                cpu_ms: u32::try_from(cpu_ms).unwrap_or(u32::MAX).max(1),
            };
        }
        // Decoding, colour conversion and the turned copy hold the picture up to twice; the
        // cascade below it at most once more. Encoders hold planes and what they refer to.
        let (pictures, fixed, cpu_ns_per_pixel) = match self {
            Self::Distribute | Self::Publish => {
                return Cost {
                    memory_bytes: MIB,
                    cpu_ms: 1,
                };
            }
            Self::Inspect => (0, 8 * MIB, 1),
            Self::Moderate | Self::Placeholder => (2, 8 * MIB, 5),
            Self::Resize(_) | Self::Watermark => (3, 16 * MIB, 15),
            Self::Compress(_) => (5, 32 * MIB, 500),
            Self::Squeeze(_) => (6, 32 * MIB, 2000),
            // Of one picture: decoders and encoders hold several, and none holds the whole film.
            // Some 40 bytes of each packet are held while a film is looked at: a two-hour film has a million of them.
            Self::VideoInspect | Self::VideoPlan(_) => (2, 192 * MIB, 100),
            Self::VideoPoster | Self::VideoStoryboard => (12, 96 * MIB, 500),
            // Measured: 40 bytes per pixel decode 4K of 10 bits with four threads. What is encoded is known to
            // the plan alone, which adds it.
            Self::VideoLead | Self::VideoEncode | Self::VideoVerify => (10, 192 * MIB, 20_000),
            _ => (0, 128 * MIB, 1_000),
        };
        // Sizes come from untrusted headers: a sum that wrapped would let a bomb in as a trifle.
        let memory_bytes = decoded
            .saturating_mul(pictures)
            .saturating_add(facts.bytes)
            .saturating_add(fixed);
        let animated = u64::from(facts.frames.max(1));
        let cpu_ns = facts
            .pixels
            .saturating_mul(cpu_ns_per_pixel)
            .saturating_mul(animated);
        Cost {
            memory_bytes,
            cpu_ms: u32::try_from(cpu_ns / 1_000_000).unwrap_or(u32::MAX).max(1),
        }
    }

    /// Of operations on sound: what a byte of a compressed recording costs, measured on a slow core. Before anything
    /// is known of the file its size is all there is to go by.
    const fn cpu_ns_per_byte(&self) -> Option<u64> {
        match self {
            Self::AudioInspect | Self::AudioPlan(_) | Self::AudioCover => Some(10),
            Self::AudioVerify => Some(50),
            Self::AudioWaveform => Some(250),
            Self::AudioLoudness(_) => Some(600),
            Self::AudioEncode | Self::AudioDownload(_) => Some(2000),
            _ => None,
        }
    }
}
