//! Storage events: what others put into their bucket becomes assets.
//!
//! An event is first recorded, once however often it is told, then the object is copied under a key of our own, and only then its
//! message is deleted. Nothing else ever reads the other bucket. Messages may come twice, late and in any order.

mod config;
mod parse;
mod take;

pub use config::StorageEventsConfig;
pub use parse::{Created, NoEvent, read};

use crate::EngineError;
use mediaflow_blob::ForeignBucket;
use mediaflow_broker::Inbox;
use mediaflow_core::ErrorCode;
use tokio::sync::Notify;

/// A bucket whose new objects are taken.
pub struct StorageSource {
    pub(crate) config: StorageEventsConfig,
    bucket: ForeignBucket,
    pub(crate) inbox: Option<Inbox>,
    /// Where our own blobs are, if in a bucket.
    own: Option<String>,
    /// Rings when an event was recorded.
    pub(crate) recorded: Notify,
}

impl StorageSource {
    /// Joins what is configured. Asks nobody yet.
    ///
    /// # Errors
    /// Names the setting and what it should be.
    pub fn open(config: &StorageEventsConfig, own_blobs: Option<&str>) -> Result<Self, String> {
        config.check()?;
        let named =
            |what: &str, e: String| format!("ingest.events.{what} of `{}`: {e}", config.name);
        let bucket = ForeignBucket::open(&config.bucket, &config.object_store());
        let bucket = bucket.map_err(|e| named("bucket", e))?;
        if let Some(own) = own_blobs {
            bucket.belongs_to(own, "").map_err(|e| named("bucket", e))?;
        }
        let key = config
            .access_key_id
            .as_deref()
            .zip(config.secret_access_key.as_deref());
        let inbox = config.queue.as_deref();
        let inbox = inbox.map(|url| Inbox::open(url, config.region.as_deref(), key));
        let inbox = inbox
            .transpose()
            .map_err(|e| named("queue", e.to_string()))?;
        Ok(Self {
            config: config.clone(),
            bucket,
            inbox,
            own: own_blobs.map(str::to_owned),
            recorded: Notify::new(),
        })
    }

    /// The secret with which events are posted.
    pub fn token(&self) -> Option<&str> {
        self.config.token.as_deref()
    }

    /// Whether the object is one to take: of this bucket, where it is to be, nothing of ours, and no folder.
    fn takes(&self, created: &Created) -> bool {
        let is_own = self
            .own
            .as_deref()
            .map(|own| self.bucket.belongs_to(own, &created.key));
        created.bucket == self.bucket.name()
            && self.bucket.has(&created.key)
            && !created.key.ends_with('/')
            && !matches!(is_own, Some(Ok(true) | Err(_)))
    }
}

impl From<NoEvent> for EngineError {
    fn from(error: NoEvent) -> Self {
        Self::new(ErrorCode::RequestInvalid, error.to_string())
    }
}
