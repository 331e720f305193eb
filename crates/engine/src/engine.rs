//! The handle that everything outside holds.

use crate::config::{
    MetadataConfig, ModerationConfig, RetentionConfig, THRESHOLDS_DEFAULT, UploadLimits,
};
use crate::imports::Tally;
use crate::metrics::Metrics;
use crate::services::{OUTLET, Standstill};
use crate::stock::Stocktaking;
use crate::uploads::Growing;
use crate::{
    Cdn, EngineError, Fetcher, Hook, Recipes, Recognise, StorageSource, WatchConfig, WebhookSender,
};
use mediaflow_blob::Blobs;
use mediaflow_broker::{Broker, Outlet};
use mediaflow_core::run::WatermarkSettings;
use mediaflow_core::{Priority, RunSettings, TenantId, Timestamp};
use mediaflow_store::{Backlog, Environment, Store};
use std::collections::HashSet;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, Semaphore};

/// What an engine is made of.
pub struct Parts {
    /// The truth.
    pub store: Arc<dyn Store>,
    /// The bytes.
    pub blobs: Blobs,
    /// Whether other processes use them as well.
    pub is_shared: bool,
    /// What wakes workers of other processes, where the store does not do that itself.
    pub broker: Option<Broker>,
    /// Where systems outside are told what happened.
    pub outlet: Option<Outlet>,
    /// Clock, ids and randomness; the same that the store has.
    pub environment: Arc<dyn Environment>,
    /// What uploads can ask for.
    pub recipes: Recipes,
    /// Who knows file types.
    pub recognise: Arc<dyn Recognise>,
    /// What stands in front of delivery.
    pub cdn: Cdn,
    /// `[limits.upload]`.
    pub limits: UploadLimits,
    /// `[moderation]`.
    pub moderation: ModerationConfig,
    /// `[metadata]`.
    pub metadata: MetadataConfig,
    /// `[retention]`.
    pub retention: RetentionConfig,
    /// Asks other people's servers for files.
    pub fetcher: Fetcher,
    /// `[[ingest.watch]]`.
    pub watches: Vec<WatchConfig>,
    /// Buckets of others whose new objects are taken.
    pub storage_sources: Vec<StorageSource>,
    /// Who is asked before a file becomes an asset.
    pub hook: Option<Hook>,
    /// Tells webhooks.
    pub webhooks: WebhookSender,
    /// The mark, already pinned by [`Engine::pin_watermark`].
    pub watermark: Option<WatermarkSettings>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

/// Use cases over store and blobs. Cheap to share behind an `Arc`.
pub struct Engine {
    pub(crate) parts: Parts,
    pub(crate) started: Instant,
    /// In milliseconds since 1970; 0 when nothing waits.
    pub(crate) untold_since: AtomicI64,
    /// The same of webhooks whose deliveries do not fail.
    pub(crate) undelivered_since: AtomicI64,
    pub(crate) webhook_wanted: Notify,
    pub(crate) receiving: Arc<Semaphore>,
    pub(crate) growing: Growing,
    pub(crate) import_wanted: Notify,
    pub(crate) imported: Tally,
    pub(crate) measuring: Semaphore,
    pub(crate) running_keys: Mutex<HashSet<(TenantId, String)>>,
    pub(crate) stocktaking: Stocktaking,
    pub(crate) standstill: Standstill,
}

impl Engine {
    /// Joins the parts. Does nothing yet.
    pub fn new(parts: Parts) -> Self {
        let receiving = Arc::new(Semaphore::new(parts.limits.concurrent_max));
        Self {
            parts,
            started: Instant::now(),
            untold_since: AtomicI64::new(0),
            undelivered_since: AtomicI64::new(0),
            webhook_wanted: Notify::new(),
            receiving,
            growing: Growing::default(),
            import_wanted: Notify::new(),
            imported: Tally::default(),
            measuring: Semaphore::new(1),
            running_keys: Mutex::default(),
            stocktaking: Stocktaking::default(),
            standstill: Standstill::default(),
        }
    }

    /// The truth, for reading.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.parts.store
    }

    /// Whether other processes change the same store.
    pub fn is_shared(&self) -> bool {
        self.parts.is_shared
    }

    /// The bytes.
    pub fn blobs(&self) -> &Blobs {
        &self.parts.blobs
    }

    /// What wakes workers of other processes, where there is one.
    pub fn broker(&self) -> Option<&Broker> {
        self.parts.broker.as_ref()
    }

    /// Where systems outside are told what happened.
    pub fn outlet(&self) -> Option<&Outlet> {
        self.parts.outlet.as_ref()
    }

    /// How long the oldest event has waited to be told outside, as far as this process knows: one of a cluster tells.
    pub fn untold_for(&self) -> Duration {
        self.age(&self.untold_since)
    }

    /// How long the oldest delivery is due of webhooks whose deliveries do not fail, as far as this process knows: one of a cluster
    /// delivers.
    pub fn undelivered_for(&self) -> Duration {
        self.age(&self.undelivered_since)
    }

    fn age(&self, since: &AtomicI64) -> Duration {
        match since.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            since => self.parts.environment.now().since(Timestamp(since)),
        }
    }

    /// What systems outside have yet to be told.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn backlog(&self) -> Result<Backlog, EngineError> {
        Ok(self.store().backlog(OUTLET).await?)
    }

    /// Clock, ids and randomness.
    pub fn environment(&self) -> &Arc<dyn Environment> {
        &self.parts.environment
    }

    /// What uploads can ask for.
    pub fn recipes(&self) -> &Recipes {
        &self.parts.recipes
    }

    /// What stands in front of delivery.
    pub fn cdn(&self) -> &Cdn {
        &self.parts.cdn
    }

    /// `[retention]`.
    pub fn retention(&self) -> &RetentionConfig {
        &self.parts.retention
    }

    /// `[limits.upload]`.
    pub fn limits(&self) -> &UploadLimits {
        &self.parts.limits
    }

    /// What is counted.
    pub fn metrics(&self) -> &Metrics {
        &self.parts.metrics
    }

    /// Folders whose files become assets.
    pub fn watches(&self) -> &[WatchConfig] {
        &self.parts.watches
    }

    /// Whether there is room for uploads.
    ///
    /// # Errors
    /// `limit.storage` when there is not.
    pub fn check_room(&self) -> Result<(), EngineError> {
        let Some(free) = self.parts.blobs.free_bytes()? else {
            return Ok(());
        };
        let least = self.parts.limits.free_bytes_min;
        if free < least {
            let message = format!(
                "the disk has {} MiB free and uploads need at least {} (limits.upload.free_bytes_min); reading and deleting go on",
                free >> 20,
                least >> 20,
            );
            return Err(EngineError::new(
                mediaflow_core::ErrorCode::LimitStorage,
                message,
            ));
        }
        Ok(())
    }

    /// The settings as they are frozen into a run that begins now.
    pub(crate) fn settings(&self, watermark: bool) -> RunSettings {
        RunSettings {
            moderation: self.parts.moderation.policy,
            thresholds: self.parts.moderation.thresholds.clone(),
            default_thresholds: Some(THRESHOLDS_DEFAULT),
            watermark: self.parts.watermark.clone().filter(|_| watermark),
            record_positions: self.parts.metadata.record_positions,
            keep_copyright: self.parts.metadata.keep_copyright,
            priority: Priority::Normal,
        }
    }
}
