//! From the errors of media, blobs and store to the core's failures: one place decides what is retried.

use mediaflow_core::{ErrorCode, Failure, FailureKind};
use mediaflow_engine::EngineError;
use mediaflow_engine::blob::BlobError;
use mediaflow_media::{self as media, MediaError};
use std::io::ErrorKind;

/// The stable code of a media error.
pub(crate) fn code_of(error: &MediaError) -> ErrorCode {
    ErrorCode::parse(error.code).unwrap_or(ErrorCode::Internal)
}

pub(crate) fn from_media(error: MediaError) -> Failure {
    let kind = match error.kind {
        // However long the disk is full, no task is given up for it.
        media::ErrorKind::Transient if error.code == ErrorCode::LimitStorage.as_str() => {
            FailureKind::Deferred
        }
        media::ErrorKind::Permanent => FailureKind::Permanent,
        media::ErrorKind::Transient => FailureKind::Transient,
        media::ErrorKind::Crash => FailureKind::Crash,
    };
    Failure {
        code: code_of(&error),
        message: error.message,
        kind,
    }
}

pub(crate) fn from_blob(error: &BlobError) -> Failure {
    tracing::warn!(%error, "the blob store failed");
    let message = "bytes could not be written or read";
    match error {
        // No attempt could have helped; however long either lasts, no task is given up for it.
        BlobError::Full => Failure::deferred(ErrorCode::LimitStorage, "the disk is full"),
        BlobError::Unavailable { .. } => Failure::deferred(ErrorCode::StorageUnavailable, message),
        _ => Failure::transient(ErrorCode::StorageUnavailable, message),
    }
}

pub(crate) fn from_engine(error: EngineError) -> Failure {
    if let Some(reason) = &error.reason {
        tracing::warn!(%reason, "the store failed");
    }
    Failure::transient(error.code, error.message)
}

/// The worker's own disk fails, not the file.
pub(crate) fn unwritten(error: std::io::Error) -> Failure {
    tracing::warn!(%error, "scratch cannot be written");
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            Failure::deferred(ErrorCode::LimitStorage, "the worker's disk is full")
        }
        _ => Failure::transient(ErrorCode::StorageUnavailable, "scratch cannot be written"),
    }
}

pub(crate) fn panicked() -> Failure {
    Failure {
        code: ErrorCode::DecoderCrashed,
        message: "a codec panicked on this file".into(),
        kind: FailureKind::Crash,
    }
}
