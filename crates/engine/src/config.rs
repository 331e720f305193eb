//! The engine's sections of the configuration: defaults, documentation and validation.

use mediaflow_broker::Outlet;
use mediaflow_core::moderation::{ModerationPolicy, Thresholds};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// `[limits.upload]`: what one upload may ask.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UploadLimits {
    /// Largest original, in bytes (`limit.bytes`, 413).
    pub bytes_max: u64,
    /// Uploads whose bodies are being received at the same time; one more is answered 429.
    pub concurrent_max: usize,
    /// What clients bring to where blobs are by themselves (`POST /v1/uploads`) comes in parts when it has more bytes than this: in
    /// parts of so many, or of more where there would be more than 1,000. From 5 MiB to 5 GiB, as S3 takes them.
    pub part_bytes: u64,
    /// Uploads over several requests that one key may have open; one more is answered 429.
    pub open_max: u32,
    /// Free disk space below which uploads are refused (`limit.storage`, 507). Reading and deleting go on.
    pub free_bytes_min: u64,
    /// Longest title, in characters.
    pub title_chars_max: usize,
    /// Most tags of one asset.
    pub tags_max: usize,
    /// Longest tag, in characters.
    pub tag_chars_max: usize,
    /// Largest `metadata` object, in bytes of JSON.
    pub metadata_bytes_max: usize,
    /// Longest pause between two pieces of a body, in seconds (`request.timeout`, 408).
    pub idle_s_max: u64,
}

impl Default for UploadLimits {
    fn default() -> Self {
        Self {
            bytes_max: 4 << 30,
            part_bytes: 64 << 20,
            concurrent_max: 512,
            open_max: 1000,
            free_bytes_min: 512 << 20,
            title_chars_max: 500,
            tags_max: 64,
            tag_chars_max: 100,
            metadata_bytes_max: 64 << 10,
            idle_s_max: 60,
        }
    }
}

impl UploadLimits {
    /// # Errors
    /// Names the setting and what it should be.
    pub fn check(&self) -> Result<(), String> {
        if !(5 << 20..=5 << 30).contains(&self.part_bytes) {
            return Err(
                "limits.upload.part_bytes must be 5242880 to 5368709120 (5 MiB to 5 GiB)".into(),
            );
        }
        Ok(())
    }
}

/// Whether something can be remembered under this name.
///
/// # Errors
/// Names the setting and what it should be.
pub(crate) fn check_name(setting: &str, name: &str) -> Result<(), String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    match (1..=64).contains(&name.len()) && name.chars().all(is_plain) {
        true => Ok(()),
        false => Err(format!(
            "{setting} must be 1 to 64 letters, digits, `-`, `_` or `.`"
        )),
    }
}

/// `[moderation]`: the gate before anything is shown.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ModerationConfig {
    /// `off`: everything passes. `review`: a person decides. `classifier`: scores decide.
    #[schemars(with = "String")]
    pub policy: ModerationPolicy,
    /// Where the classifier is and how long it may take.
    pub classifier: ClassifierConfig,
    /// Scores from which a person decides or the asset is rejected, per label:
    /// `nudity = { review = 0.4, reject = 0.8 }`.
    #[schemars(with = "BTreeMap<String, BTreeMap<String, f32>>")]
    pub thresholds: BTreeMap<String, Thresholds>,
}

/// `[moderation.classifier]`: a gRPC server that speaks `proto/moderation.proto`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ClassifierConfig {
    /// For example `http://127.0.0.1:50051`. Needed when `policy = "classifier"`.
    pub url: Option<String>,
    /// Deadline of one classification, in milliseconds.
    pub deadline_ms: u64,
    /// Failures in a row after which the circuit breaker opens.
    pub breaker_failures: u32,
    /// How long the breaker stays open before one call tries again, in seconds.
    pub breaker_open_s: u64,
}

impl Default for ClassifierConfig {
    fn default() -> Self {
        Self {
            url: None,
            deadline_ms: 10_000,
            breaker_failures: 5,
            breaker_open_s: 15,
        }
    }
}

/// Thresholds of a label that has none of its own.
pub(crate) const THRESHOLDS_DEFAULT: Thresholds = Thresholds {
    review: 0.5,
    reject: 0.9,
};

impl ModerationConfig {
    /// # Errors
    /// Names the setting and what it should be.
    pub fn check(&self) -> Result<(), String> {
        if self.policy == ModerationPolicy::Classifier && self.classifier.url.is_none() {
            return Err("moderation.policy = \"classifier\" needs moderation.classifier.url, for example \"http://127.0.0.1:50051\"".into());
        }
        for (label, t) in &self.thresholds {
            if !t.is_valid() {
                return Err(format!(
                    "moderation.thresholds.{label}: review and reject must be between 0 and 1, and review not above reject"
                ));
            }
        }
        Ok(())
    }
}

/// Where a mark sits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum Position {
    TopLeft,
    Top,
    TopRight,
    Left,
    Center,
    Right,
    BottomLeft,
    Bottom,
    #[default]
    BottomRight,
}

impl Position {
    /// The name in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TopLeft => "top-left",
            Self::Top => "top",
            Self::TopRight => "top-right",
            Self::Left => "left",
            Self::Center => "center",
            Self::Right => "right",
            Self::BottomLeft => "bottom-left",
            Self::Bottom => "bottom",
            Self::BottomRight => "bottom-right",
        }
    }
}

/// `[watermark]`: the mark for assets that ask for one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WatermarkConfig {
    /// A PNG or WebP with alpha. Without it no asset gets a mark.
    pub file: Option<PathBuf>,
    /// Where it sits.
    pub position: Position,
    /// 0 is invisible, 1 opaque.
    pub opacity: f32,
    /// Its width as a fraction of the picture's.
    pub scale: f32,
}

impl Default for WatermarkConfig {
    fn default() -> Self {
        Self {
            file: None,
            position: Position::default(),
            opacity: 0.6,
            scale: 0.2,
        }
    }
}

impl WatermarkConfig {
    /// # Errors
    /// Names the setting and what it should be.
    pub fn check(&self) -> Result<(), String> {
        if !(0.0..=1.0).contains(&self.opacity) {
            return Err("watermark.opacity must be between 0 and 1".into());
        }
        if !(0.01..=1.0).contains(&self.scale) {
            return Err("watermark.scale must be between 0.01 and 1".into());
        }
        Ok(())
    }
}

/// `[metadata]`: what is kept of the notes inside files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MetadataConfig {
    /// Whether GPS positions are recorded in the asset. They never leave in a rendition.
    pub record_positions: bool,
    /// Whether copyright notices are kept in renditions. Nothing else of EXIF, XMP or IPTC is.
    pub keep_copyright: bool,
}

impl Default for MetadataConfig {
    fn default() -> Self {
        Self {
            record_positions: false,
            keep_copyright: true,
        }
    }
}

/// `[retention]`: how long things are kept that nobody uses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionConfig {
    /// Originals of rejected assets, in days.
    pub rejected_days: u64,
    /// Bytes that nothing refers to any more, in seconds.
    pub unreferenced_s: u64,
    /// Answers to idempotency keys, in hours.
    pub idempotency_hours: u64,
    /// Unfinished uploads to which nothing is added any more, and the addresses of finished ones, in hours.
    pub uploads_hours: u64,
    /// Events, in days; for ever when missing. In PostgreSQL they go in parts, up to an eighth of it later. None goes before the outlet of `[events]` was
    /// told of it, and was planned for webhooks.
    pub events_days: Option<u64>,
    /// Tasks, attempts and runs of generations that a newer one replaced, and tasks and attempts of deleted assets, in days; for ever when missing.
    pub tasks_days: Option<u64>,
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self {
            rejected_days: 30,
            unreferenced_s: 3600,
            idempotency_hours: 24,
            uploads_hours: 24,
            events_days: None,
            tasks_days: None,
        }
    }
}

impl RetentionConfig {
    /// # Errors
    /// Names the setting and what it should be.
    pub fn check(&self) -> Result<(), String> {
        for (name, days) in [
            ("events_days", self.events_days),
            ("tasks_days", self.tasks_days),
        ] {
            if days == Some(0) {
                return Err(format!(
                    "retention.{name} must be at least 1; without it they are kept for ever"
                ));
            }
        }
        Ok(())
    }
}

/// How a CDN is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CdnDriver {
    /// There is none.
    #[default]
    None,
    /// Warms by GET through the CDN, purges by the PURGE method (Varnish, nginx, Fastly).
    Http,
}

/// `[events]`: telling other systems what happened.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EventsConfig {
    /// Where every event is told as a CloudEvent, from the first one on: `kafka://host:9092`, `sqs://region`, `sns://region` or
    /// `redis://host`; `docs/events.md` has their parameters. `--events` and `MEDIAFLOW_EVENTS` win over it.
    pub to: Option<String>,
}

impl EventsConfig {
    /// # Errors
    /// Names the setting and what it should be, and never what is secret in it.
    pub fn check(&self) -> Result<(), String> {
        self.open().map(drop)
    }

    /// The outlet that is configured. Asks the network nothing.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn open(&self) -> Result<Option<Outlet>, String> {
        let opened = self.to.as_deref().map(Outlet::open).transpose();
        opened.map_err(|e| format!("events.to: {e}"))
    }
}

/// `[cdn]`: what stands in front of delivery.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CdnConfig {
    /// `none` or `http`.
    pub driver: CdnDriver,
    /// Where the CDN answers, for example `https://media.example.com`. Needed for `http`.
    pub url: Option<String>,
    /// Sent as `Authorization: Bearer` with purges.
    pub purge_token: Option<String>,
}

impl CdnConfig {
    /// # Errors
    /// Names the setting and what it should be.
    pub fn check(&self) -> Result<(), String> {
        if self.driver == CdnDriver::Http && self.url.is_none() {
            return Err(
                "cdn.driver = \"http\" needs cdn.url, for example \"https://media.example.com\""
                    .into(),
            );
        }
        Ok(())
    }
}
