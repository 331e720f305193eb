//! Imports: files that MediaFlow fetches itself, from an address, a watched folder or somebody's bucket.
//!
//! An import is an upload of the same id with something beside it: where the bytes are, how often they were tried, and how it
//! ended. The upload holds the bytes and becomes the asset; what stands here says what to do next, and is kept when the upload is gone.

use crate::{NewUpload, StoreError};
use async_trait::async_trait;
use mediaflow_core::{AssetId, ErrorCode, Sha256, TenantId, Timestamp, UploadId};
use std::time::Duration;

/// What keeps the same thing from being imported twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Unique among all imports.
    pub name: String,
    /// Of everything that was said, so that the same mark for something else is told from a repeat.
    pub digest: Sha256,
}

/// An import to begin.
#[derive(Debug, Clone)]
pub struct NewImport {
    /// What takes its bytes.
    pub upload: NewUpload,
    /// Who fetches it: `url`, or the kind and name of a place that is configured.
    pub source: String,
    /// Where it is: an address, a path, a key.
    pub reference: String,
    /// What it is known by, where it may be told of twice.
    pub mark: Option<Mark>,
    /// When it is tried first.
    pub after: Duration,
}

/// How an import is going.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportRecord {
    /// Also the name of its upload.
    pub id: UploadId,
    /// Whose asset it becomes.
    pub tenant: TenantId,
    /// Who fetches it.
    pub source: String,
    /// Where it is.
    pub reference: String,
    /// What tells, where it is, that the bytes are the same as before.
    pub validator: Option<String>,
    /// Tries in a row that brought nothing.
    pub tries: u32,
    /// Why the last try failed: code and text.
    pub error: Option<(String, String)>,
    /// What it became.
    pub asset: Option<AssetId>,
    /// Bytes that are durable.
    pub bytes: u64,
    /// All of its bytes, once that is known.
    pub length: Option<u64>,
    /// When it is tried next; nothing when it has ended.
    pub due_at: Option<Timestamp>,
    /// When it was begun.
    pub created_at: Timestamp,
}

/// What becomes of an import after a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportNext {
    /// It is tried when so much time has passed.
    Again(Duration),
    /// It is an asset.
    Done(AssetId),
    /// It is given up.
    Failed,
}

/// How an import is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportChange {
    /// What tells that the bytes are the same.
    pub validator: Option<String>,
    /// Tries in a row that brought nothing.
    pub tries: u32,
    /// Why the last try failed.
    pub error: Option<(ErrorCode, String)>,
    /// What follows.
    pub next: ImportNext,
    /// How long it is remembered once it has ended; for ever without it.
    pub kept: Option<Duration>,
}

/// Which imports are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportFilter {
    /// Who fetches them.
    pub source: String,
    /// Only those that were given up.
    pub is_failed: bool,
    /// Those after this one; ids rise with time.
    pub after: Option<UploadId>,
    /// Most.
    pub limit: u32,
}

/// Verbs about files that are fetched.
#[async_trait]
pub trait Importing: Send + Sync {
    /// Begins an import with its upload. If its mark is known, the one that has it is answered, and true.
    ///
    /// # Errors
    /// [`StoreError::UploadsFull`] when its key has too many open, [`StoreError::IdempotencyMismatch`] when the mark stands for
    /// something else.
    async fn open_import(&self, new: NewImport) -> Result<(ImportRecord, bool), StoreError>;

    /// How it is going.
    ///
    /// # Errors
    /// [`StoreError::ImportNotFound`], also for another tenant's.
    async fn import(&self, tenant: TenantId, id: UploadId) -> Result<ImportRecord, StoreError>;

    /// Imports of this source that are due, the one first that has waited longest.
    async fn due_imports(&self, source: &str, limit: u32) -> Result<Vec<ImportRecord>, StoreError>;

    /// The same in turns between tenants: of each the one that has waited longest, then of each the second, and so on.
    async fn due_in_turns(&self, source: &str, limit: u32)
    -> Result<Vec<ImportRecord>, StoreError>;

    /// Imports of one source, the oldest first.
    async fn imports(&self, filter: &ImportFilter) -> Result<Vec<ImportRecord>, StoreError>;

    /// Which of these marks are known, and as what.
    async fn marked(&self, marks: &[String]) -> Result<Vec<(String, ImportRecord)>, StoreError>;

    /// Records how a try went. What has ended stays as it is.
    async fn save_import(&self, id: UploadId, change: ImportChange) -> Result<(), StoreError>;

    /// Has those of them that have ended be forgotten after a while, or never; one that is to be forgotten earlier already stays so.
    async fn expire_imports(
        &self,
        ids: &[UploadId],
        after: Option<Duration>,
    ) -> Result<(), StoreError>;

    /// Forgets it. Its upload is the caller's to end.
    async fn forget_import(&self, id: UploadId) -> Result<(), StoreError>;

    /// Forgets those that ended long enough ago. Answers how many.
    async fn forget_old_imports(&self, limit: u32) -> Result<u32, StoreError>;
}
