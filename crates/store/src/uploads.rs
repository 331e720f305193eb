//! Uploads that arrive in several requests: what is durable of each, and who may add to it.
//!
//! The store knows no bytes: where they are is a text of the blob store's, kept beside the offset that it stands for. Whoever
//! adds to an upload takes it first, which raises its fence; an older writer's fence is refused from then on.

use crate::StoreError;
use async_trait::async_trait;
use mediaflow_core::{AssetId, ErrorCode, KeyId, TenantId, Timestamp, UploadId};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How bytes come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Over requests of the tus protocol.
    Tus,
    /// To where blobs are, by the client itself.
    Direct,
}

impl Way {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Tus => "tus",
            Self::Direct => "direct",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        [Self::Tus, Self::Direct]
            .into_iter()
            .find(|way| way.as_str() == name)
    }
}

/// Where an upload stands that has become no asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UploadState {
    /// Bytes may come.
    Open,
    /// The client says that all are there, and somebody looks at them.
    Checking,
    /// Nothing becomes of it.
    Refused(Refusal),
}

/// Why nothing became of an upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// For programs.
    pub code: ErrorCode,
    /// For people.
    pub message: String,
}

impl UploadState {
    pub(crate) const fn as_str(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Checking => "checking",
            Self::Refused(_) => "refused",
        }
    }

    pub(crate) fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::Open | Self::Checking => None,
        }
    }

    /// Of one that was not refused.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        match name {
            "open" => Some(Self::Open),
            "checking" => Some(Self::Checking),
            _ => None,
        }
    }
}

/// An upload to open.
#[derive(Debug, Clone)]
pub struct NewUpload {
    /// Whose asset it becomes.
    pub tenant: TenantId,
    /// Who opens it; nobody where no keys are needed.
    pub key: Option<KeyId>,
    /// How its bytes come.
    pub way: Way,
    /// All of its bytes, where the client knows already.
    pub length: Option<u64>,
    /// How it belongs to others, as the client said it; see [`UploadRecord::is_partial`].
    pub concat: Option<String>,
    /// What the asset is to be, as the engine wrote it.
    pub said: String,
    /// The same as the client sent it, to be shown to it again.
    pub metadata: String,
    /// Follows the asset everywhere.
    pub correlation_id: String,
    /// Without progress for so long it is given up.
    pub kept: Duration,
    /// How many the key may have open, this one included.
    pub open_max: u32,
}

/// How far an upload is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadRecord {
    /// The name in its address.
    pub id: UploadId,
    /// Whose asset it becomes.
    pub tenant: TenantId,
    /// How its bytes come.
    pub way: Way,
    /// Where it stands.
    pub state: UploadState,
    /// Rises whenever somebody takes it.
    pub fence: u64,
    /// All of its bytes, once the client has said.
    pub length: Option<u64>,
    /// How many are durable, from the first on.
    pub bytes: u64,
    /// Where they are, as the blob store wrote it; empty at the beginning.
    pub progress: String,
    /// How it belongs to others, as the client said it.
    pub concat: Option<String>,
    /// What the asset is to be, as the engine wrote it.
    pub said: String,
    /// The same as the client sent it.
    pub metadata: String,
    /// Follows the asset everywhere.
    pub correlation_id: String,
    /// What it became.
    pub asset: Option<AssetId>,
    /// When it is given up or, if it is done, forgotten.
    pub expires_at: Timestamp,
}

impl UploadRecord {
    /// The same, if its bytes come in this way: each way has addresses of its own.
    ///
    /// # Errors
    /// [`StoreError::UploadNotFound`] when they do not.
    pub fn coming(self, way: Way) -> Result<Self, StoreError> {
        match self.way == way {
            true => Ok(self),
            false => Err(StoreError::UploadNotFound),
        }
    }

    /// Whether it is one of several that become an asset together.
    pub fn is_partial(&self) -> bool {
        self.concat.as_deref() == Some("partial")
    }

    /// Whether it consists of others.
    pub fn is_joined(&self) -> bool {
        let concat = self.concat.as_deref();
        concat.is_some_and(|concat| concat.starts_with("final"))
    }

    /// Whether all bytes are there.
    pub fn is_whole(&self) -> bool {
        self.length == Some(self.bytes)
    }
}

/// What became durable.
#[derive(Debug, Clone)]
pub struct Advance {
    /// How many bytes now, from the first on.
    pub bytes: u64,
    /// All of its bytes, once the client has said.
    pub length: Option<u64>,
    /// Where they are, as the blob store wrote it.
    pub progress: String,
    /// Where it stands now.
    pub state: UploadState,
    /// Without further progress for so long it is given up.
    pub kept: Duration,
}

/// The upload that an asset was made of, told with [`crate::Accept`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FinishedUpload {
    /// Which one.
    pub id: UploadId,
    /// From when it was taken.
    pub fence: u64,
    /// How long its address still answers.
    pub kept: Duration,
}

/// Verbs about uploads that arrive in several requests.
#[async_trait]
pub trait Uploading: Send + Sync {
    /// Opens an upload that has no bytes yet.
    ///
    /// # Errors
    /// [`StoreError::UploadsFull`] when its key has too many open.
    async fn open_upload(&self, new: NewUpload) -> Result<UploadRecord, StoreError>;

    /// How far it is.
    ///
    /// # Errors
    /// [`StoreError::UploadNotFound`], also for another tenant's and one whose time is over.
    async fn upload(&self, tenant: TenantId, id: UploadId) -> Result<UploadRecord, StoreError>;

    /// Takes it from whoever had it: writes with an older fence are refused from now on.
    ///
    /// # Errors
    /// Those of [`Self::upload`].
    async fn take_upload(&self, tenant: TenantId, id: UploadId)
    -> Result<UploadRecord, StoreError>;

    /// Records what became durable; answers when it is given up now.
    ///
    /// # Errors
    /// [`StoreError::StaleFence`] when somebody else has taken it, or it is done or gone.
    async fn advance_upload(
        &self,
        id: UploadId,
        fence: u64,
        advance: Advance,
    ) -> Result<Timestamp, StoreError>;

    /// Forgets it. Its bytes are the caller's to remove.
    ///
    /// # Errors
    /// [`StoreError::StaleFence`] when somebody else has taken it, or it is gone.
    async fn end_upload(&self, id: UploadId, fence: u64) -> Result<(), StoreError>;

    /// Takes uploads whose time is over, the oldest first, up to `limit`.
    async fn take_expired_uploads(&self, limit: u32) -> Result<Vec<UploadRecord>, StoreError>;
}
