//! Verbs of the background services.

use crate::{QueueLoad, StoreError, Waiting};
use async_trait::async_trait;
use mediaflow_core::{AssetId, BlobId, Timestamp, UploadId};
use std::time::Duration;

/// What a sweep found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Leases that had run out; their tasks count an attempt as `worker.lost`.
    pub lost: u32,
    /// Tasks whose retry time had come; they are ready now.
    pub due: u32,
}

/// A blob that nothing refers to. Its row cannot be used again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condemned {
    /// The row to forget once the bytes are gone.
    pub id: BlobId,
    /// The bytes to delete.
    pub key: String,
}

/// Something caches must forget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purge {
    /// The outbox row.
    pub id: i64,
    /// Whose renditions.
    pub asset: AssetId,
    /// Delivery paths, relative to the public base URL (`/media/{asset}/...`).
    pub paths: Vec<String>,
    /// Failed tries so far.
    pub attempts: u32,
    /// The asset's.
    pub correlation_id: String,
}

/// Purges, and imports by address, that are counted at most: what counts them is asked every few seconds.
pub const COUNTED_MAX: u32 = 10_000;

/// For readiness and metrics.
#[derive(Debug, Clone, PartialEq)]
pub struct StoreHealth {
    /// When it was so, by the store's clock, which need not be that of whoever asks.
    pub at: Timestamp,
    /// Each queue's.
    pub queues: Vec<QueueLoad>,
    /// Assets by state.
    pub assets: Vec<(mediaflow_core::AssetState, u64)>,
    /// Imports by address that have not ended, up to [`COUNTED_MAX`].
    pub imports: u64,
    /// What caches have yet to forget.
    pub purges: PurgeLoad,
}

/// What caches have yet to forget.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PurgeLoad {
    /// Purges that were not done yet, up to [`COUNTED_MAX`].
    pub waiting: u64,
    /// Of these, how many were tried in vain.
    pub failed: u64,
    /// When the first of them is due, which may be a time to come: after one that failed there is a pause.
    pub due_at: Option<Timestamp>,
}

/// Verbs of the background services.
#[async_trait]
pub trait Upkeep: Send + Sync {
    /// Fails leases that ran out and readies tasks whose retry time has come, up to `limit` of each.
    async fn sweep(&self, limit: u32) -> Result<Swept, StoreError>;

    /// Tasks at the head of their queue that have been ready for longer than `age`, up to `limit` of each queue.
    async fn unclaimed(&self, age: Duration, limit: u32) -> Result<Vec<Waiting>, StoreError>;

    /// Condemns blobs that nothing refers to and that are older than `grace`, up to `limit`;
    /// those condemned before and not yet forgotten come first.
    async fn condemn(&self, grace: Duration, limit: u32) -> Result<Vec<Condemned>, StoreError>;

    /// Removes a condemned row whose bytes are gone.
    async fn forget(&self, blob: BlobId) -> Result<(), StoreError>;

    /// Which of these keys have a blob row (condemned ones too).
    async fn known_keys(&self, keys: &[String]) -> Result<Vec<String>, StoreError>;

    /// Whether any attempt of this task with this fence may still write: it holds a lease.
    async fn is_leased(&self, task: mediaflow_core::TaskId, fence: u64)
    -> Result<bool, StoreError>;

    /// Which of these uploads are open, so that their bytes may not be removed.
    async fn open_among(&self, ids: &[UploadId]) -> Result<Vec<UploadId>, StoreError>;

    /// Due purges, oldest first.
    async fn purges(&self, limit: u32) -> Result<Vec<Purge>, StoreError>;

    /// A purge was done, or is to be tried again after a pause.
    async fn purged(&self, id: i64, again_after: Option<Duration>) -> Result<(), StoreError>;

    /// Drops the originals of rejected assets after `rejected_after`, idempotency rows after `idempotency_after`.
    /// Answers how many originals were dropped.
    async fn expire(
        &self,
        rejected_after: Duration,
        idempotency_after: Duration,
    ) -> Result<u32, StoreError>;

    /// Depths and counts.
    async fn health(&self) -> Result<StoreHealth, StoreError>;
}
