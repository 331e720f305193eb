//! What a use case answers when it does not do what was asked: a stable code, a safe text, and the
//! inner reason for the log only.

use mediaflow_blob::BlobError;
use mediaflow_core::ErrorCode;
use mediaflow_store::StoreError;

/// Why a use case did nothing.
#[derive(Debug, thiserror::Error)]
#[error("{code}: {message}")]
pub struct EngineError {
    /// For programs.
    pub code: ErrorCode,
    /// For people outside; holds nothing of ours.
    pub message: String,
    /// For the log.
    #[source]
    pub reason: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl EngineError {
    /// An error that the caller caused.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            reason: None,
        }
    }

    /// Whether it is about the file itself, so that the same bytes would be refused again.
    pub fn is_refusal(&self) -> bool {
        matches!(
            self.code,
            ErrorCode::InputEmpty
                | ErrorCode::InputUnsupported
                | ErrorCode::InputCorrupt
                | ErrorCode::InputDigest
                | ErrorCode::LimitPixels
                | ErrorCode::LimitFrames
                | ErrorCode::LimitMetadata
                | ErrorCode::RecipeUnknown
                | ErrorCode::HookRefused
                | ErrorCode::IdempotencyMismatch
                | ErrorCode::UploadSize
                | ErrorCode::LimitType
        )
    }
}

impl From<StoreError> for EngineError {
    fn from(error: StoreError) -> Self {
        let code = error.code();
        let message = match &error {
            StoreError::Database(_) | StoreError::Unavailable(_) | StoreError::Locked(_) => {
                "the database did not answer; try again".to_owned()
            }
            StoreError::Full(_) => "the disk is full or read-only; nothing was recorded".to_owned(),
            other => other.to_string(),
        };
        Self {
            code,
            message,
            reason: Some(Box::new(error)),
        }
    }
}

impl From<BlobError> for EngineError {
    fn from(error: BlobError) -> Self {
        let (code, message) = match &error {
            BlobError::Full => (
                ErrorCode::LimitStorage,
                "the disk is full; nothing was kept",
            ),
            _ => (
                ErrorCode::StorageUnavailable,
                "the bytes could not be stored or read; try again",
            ),
        };
        Self {
            code,
            message: message.to_owned(),
            reason: Some(Box::new(error)),
        }
    }
}
