//! What operations work with, made once per process.

use crate::classifier::Classifier;
use mediaflow_engine::ModerationConfig;
use mediaflow_media::image::heif::HeifHelper;
use mediaflow_media::image::{DecodeOptions, ImageLimits};
use mediaflow_media::video::plan::VideoCodec;
use mediaflow_media::video::{Ffmpeg, MediaLimits};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Codecs, limits and the classifier.
pub struct Toolbox {
    /// `[limits.image]`.
    pub(crate) limits: ImageLimits,
    /// The process that decodes what has no memory-safe decoder.
    pub(crate) heif: HeifHelper,
    /// `[limits.video]`.
    pub(crate) video_limits: MediaLimits,
    /// What encodes video and sound, where it is installed.
    pub(crate) ffmpeg: Option<Ffmpeg>,
    /// For files of attempts that run; emptied at every start.
    pub(crate) scratch: PathBuf,
    /// Who scores pictures, where one is configured.
    pub(crate) classifier: Option<Classifier>,
}

/// What videos need.
pub struct VideoTools {
    /// `[limits.video]`.
    pub limits: MediaLimits,
    /// Where it is installed.
    pub ffmpeg: Option<Ffmpeg>,
    /// An existing folder for the files of attempts.
    pub scratch: PathBuf,
}

impl Toolbox {
    /// # Errors
    /// A sentence for the operator: the classifier's address is no address.
    pub fn new(
        limits: ImageLimits,
        heif: HeifHelper,
        moderation: &ModerationConfig,
        video: VideoTools,
    ) -> Result<Self, String> {
        let classifier = Classifier::new(&moderation.classifier)?;
        Ok(Self {
            limits,
            heif,
            video_limits: video.limits,
            ffmpeg: video.ffmpeg,
            scratch: video.scratch,
            classifier,
        })
    }

    /// What a process with these tools and this configuration can do; sorted, each once.
    pub(crate) fn capabilities(&self, configured: &[String]) -> Vec<String> {
        let codecs = self.ffmpeg.iter().flat_map(Ffmpeg::codecs);
        let found = codecs.map(|codec| match codec {
            VideoCodec::H264 => "h264",
            VideoCodec::Hevc => "hevc",
            VideoCodec::Vp9 => "vp9",
            VideoCodec::Av1 => "av1",
        });
        let all: BTreeSet<String> = found
            .map(str::to_owned)
            .chain(configured.iter().cloned())
            .collect();
        all.into_iter().collect()
    }

    /// How originals are decoded.
    pub(crate) fn decoding(&self, keep_profile: bool) -> DecodeOptions<'_> {
        DecodeOptions {
            limits: self.limits,
            keep_profile,
            heif: Some(&self.heif),
        }
    }
}
