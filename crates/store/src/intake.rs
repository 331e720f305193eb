//! Taking uploads in.

use crate::{BlobRow, FinishedUpload, NewBlob, StoreError};
use async_trait::async_trait;
use mediaflow_core::operation::Facts;
use mediaflow_core::{AssetId, AssetOptions, KeyId, Kind, Recipe, RunSettings, Sha256, TenantId};
use std::sync::Arc;

/// A request that may be repeated without being done twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// The client's key.
    pub key: String,
    /// Of everything that the request says, its bytes included.
    pub digest: Sha256,
}

/// An upload whose bytes are durable and whose type is known.
#[derive(Debug, Clone)]
pub struct Accept {
    /// Who uploads.
    pub tenant: TenantId,
    /// The original: where the bytes were written just now.
    pub original: NewBlob,
    /// Found from the bytes.
    pub media_type: String,
    /// As the client named it; for display only.
    pub filename: Option<String>,
    /// Upright size in pixels, where the header told it.
    pub dimensions: Option<(u32, u32)>,
    /// For cost estimates.
    pub facts: Facts,
    /// What sort of media it is.
    pub kind: Kind,
    /// The recipe to run.
    pub recipe: Arc<Recipe>,
    /// The settings to freeze.
    pub settings: RunSettings,
    /// What the user says.
    pub options: AssetOptions,
    /// Follows the asset from the upload to the last event.
    pub correlation_id: String,
    /// Set when the client asked for it.
    pub idempotency: Option<Idempotency>,
    /// What the bytes arrived as, where that took several requests; it is done in the same transaction.
    pub upload: Option<FinishedUpload>,
    /// The key whose use of its day this counts for.
    pub counted: Option<KeyId>,
}

/// The answer to an accept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The asset that now exists, or existed before.
    pub asset: AssetId,
    /// Whether an earlier request with the same idempotency key made it.
    pub repeated: bool,
    /// Whether the blob row of the same bytes existed already, so that the bytes just written under
    /// the request's key are surplus and should be removed.
    pub surplus: bool,
    /// Queues that have new work.
    pub wake: bool,
}

/// Verbs that make assets.
#[async_trait]
pub trait Intake: Send + Sync {
    /// Records an upload: asset, original, first run with its tasks, events, idempotency row; one transaction.
    ///
    /// Deduplicates by (tenant, SHA-256): when a live blob row exists the asset refers to it and
    /// `surplus` is true; a condemned row is ignored and a new one made.
    ///
    /// # Errors
    /// [`StoreError::StaleFence`] when somebody else has taken the upload that the bytes arrived as.
    async fn accept(&self, accept: Accept) -> Result<Accepted, StoreError>;

    /// The first answer to this idempotency key, if there was one with this digest.
    ///
    /// # Errors
    /// [`StoreError::IdempotencyMismatch`] when it was given for other content.
    async fn repeated(
        &self,
        tenant: TenantId,
        key: &Idempotency,
    ) -> Result<Option<AssetId>, StoreError>;

    /// Makes sure that a blob row for these bytes exists (a watermark's mark), kept until `pin` names other bytes.
    async fn pin(&self, tenant: TenantId, pin: &str, blob: NewBlob) -> Result<BlobRow, StoreError>;

    /// The pinned blob of that name.
    async fn pinned(&self, tenant: TenantId, pin: &str) -> Result<Option<BlobRow>, StoreError>;
}
