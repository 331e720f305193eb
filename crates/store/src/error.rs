//! What can go wrong in a verb, by meaning.

use mediaflow_core::ErrorCode;
use mediaflow_core::transition::Refused;

/// Why a verb did nothing.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No such asset.
    #[error("there is no such asset")]
    AssetNotFound,
    /// The asset was deleted.
    #[error("the asset was deleted")]
    AssetDeleted,
    /// No captions were given under this name.
    #[error("no captions were given in this language")]
    CaptionsNotFound,
    /// No such task.
    #[error("there is no such task")]
    TaskNotFound,
    /// No such upload, or its time is over.
    #[error("there is no such upload; it may have expired")]
    UploadNotFound,
    /// No such import, or it was forgotten.
    #[error("there is no such import; it may have been forgotten")]
    ImportNotFound,
    /// No such webhook.
    #[error("there is no such webhook")]
    WebhookNotFound,
    /// The webhook has no delivery of this event.
    #[error("the webhook has no delivery of this event")]
    DeliveryNotFound,
    /// The tenant has this many webhooks, and no more are allowed.
    #[error("there are {0} webhooks, and no more may be (webhooks.count_max); remove one first")]
    WebhooksFull(u32),
    /// The key has this many uploads open, and no more are allowed.
    #[error("{0} uploads of this key are open, and no more may be; finish or delete some")]
    UploadsFull(u32),
    /// The asset's or task's state does not allow it.
    #[error("{0}")]
    Conflict(String),
    /// The attempt was overtaken: claimed again, cancelled, or its run is over.
    #[error("the task was claimed again or cancelled since this attempt began")]
    StaleFence,
    /// A blob that the report refers to is being collected; write it again.
    #[error("a referenced blob is being collected")]
    BlobCondemned,
    /// The idempotency key was used with other content.
    #[error("this Idempotency-Key was used before with other content")]
    IdempotencyMismatch,
    /// A cursor or filter that this store did not make or cannot use.
    #[error("{0}")]
    InvalidQuery(String),
    /// Events right after the place that was asked for were pruned. What is kept follows after this one.
    #[error(
        "the events after that place are past their retention; those that are kept follow after {0}"
    )]
    Pruned(u64),
    /// Another process holds this database.
    #[error("{0}")]
    Locked(String),
    /// The installation moves, has moved or is arriving, and takes no changes.
    #[error("{0}")]
    Closed(String),
    /// The database's shape is not one that this program can use.
    #[error("{0}")]
    Schema(String),
    /// The disk is full or read-only.
    #[error("the database cannot be written: {0}")]
    Full(String),
    /// The database cannot be reached, or is too busy to answer in time. Trying again later may help.
    #[error("the database cannot be reached: {0}")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The database failed.
    #[error("the database failed: {0}")]
    Database(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl StoreError {
    /// The database has a shape that a later program gave it.
    pub(crate) fn newer(version: usize, known: usize) -> Self {
        Self::Schema(format!(
            "it was written by a newer MediaFlow (its schema is at step {version}, this program knows {known}) and can \
             no longer be used by this one; start the newer program or restore a backup"
        ))
    }

    /// The stable code for the outside.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::AssetNotFound => ErrorCode::AssetNotFound,
            Self::AssetDeleted => ErrorCode::AssetDeleted,
            Self::CaptionsNotFound => ErrorCode::CaptionsNotFound,
            Self::TaskNotFound => ErrorCode::TaskNotFound,
            Self::UploadNotFound => ErrorCode::UploadNotFound,
            Self::ImportNotFound => ErrorCode::ImportNotFound,
            Self::WebhookNotFound => ErrorCode::WebhookNotFound,
            Self::DeliveryNotFound => ErrorCode::DeliveryNotFound,
            Self::WebhooksFull(_) => ErrorCode::LimitWebhooks,
            Self::UploadsFull(_) => ErrorCode::LimitRate,
            Self::Conflict(_) => ErrorCode::ConflictState,
            Self::StaleFence => ErrorCode::FenceStale,
            Self::IdempotencyMismatch => ErrorCode::IdempotencyMismatch,
            Self::InvalidQuery(_) => ErrorCode::RequestInvalid,
            Self::Pruned(_) => ErrorCode::EventsPruned,
            Self::Full(_) => ErrorCode::LimitStorage,
            Self::Closed(_) => ErrorCode::StoreClosed,
            Self::BlobCondemned
            | Self::Locked(_)
            | Self::Schema(_)
            | Self::Unavailable(_)
            | Self::Database(_) => ErrorCode::StoreUnavailable,
        }
    }
}

impl From<Refused> for StoreError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::RunOver => Self::StaleFence,
            Refused::State(state) => Self::Conflict(format!("the task is {}", state.as_str())),
        }
    }
}
