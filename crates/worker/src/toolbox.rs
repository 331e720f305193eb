//! What operations work with, made once per process.

use crate::classifier::Classifier;
use mediaflow_engine::ModerationConfig;
use mediaflow_media::image::heif::HeifHelper;
use mediaflow_media::image::{DecodeOptions, ImageLimits};

/// Codecs, limits and the classifier.
pub struct Toolbox {
    /// `[limits.image]`.
    pub(crate) limits: ImageLimits,
    /// The process that decodes what has no memory-safe decoder.
    pub(crate) heif: HeifHelper,
    /// Who scores pictures, where one is configured.
    pub(crate) classifier: Option<Classifier>,
}

impl Toolbox {
    /// # Errors
    /// A sentence for the operator: the classifier's address is no address.
    pub fn new(
        limits: ImageLimits,
        heif: HeifHelper,
        moderation: &ModerationConfig,
    ) -> Result<Self, String> {
        let classifier = Classifier::new(&moderation.classifier)?;
        Ok(Self {
            limits,
            heif,
            classifier,
        })
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
