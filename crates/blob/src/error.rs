//! What can go wrong with bytes, by meaning.

use std::io;

/// Why bytes could not be written, read or deleted.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// Nothing is stored under the key.
    #[error("no bytes are stored under `{0}`")]
    NotFound(String),
    /// Something is stored under the key already; keys are never reused.
    #[error("`{0}` exists already")]
    AlreadyExists(String),
    /// The disk is full or a quota is reached.
    #[error("the disk is full")]
    Full,
    /// What arrived is not what was sent.
    #[error("{expected} bytes were expected, but {found} arrived")]
    Torn {
        /// Sent, or recorded.
        expected: u64,
        /// Stored, or read.
        found: u64,
    },
    /// The bytes have another digest than was announced.
    #[error("the bytes have another digest than was announced")]
    Other,
    /// The text is no key.
    #[error("`{0}` is not a blob key")]
    InvalidKey(String),
    /// The object store does not answer, or asks for less; retries are used up.
    #[error("{action}: the object store is not available: {reason}")]
    Unavailable {
        /// What was being done.
        action: &'static str,
        /// What it said last.
        reason: String,
    },
    /// The object store answered, and will answer the same again: no permission, no such bucket.
    #[error("{action}: the object store refused: {reason}")]
    Refused {
        /// What was being done.
        action: &'static str,
        /// What it said.
        reason: String,
    },
    /// Anything else that the operating system says.
    #[error("{action}: {source}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// The system's reason.
        source: io::Error,
    },
}

impl BlobError {
    /// What it is, in one word of few.
    pub fn name(&self) -> &'static str {
        match self {
            Self::NotFound(_) => "not_found",
            Self::AlreadyExists(_) => "exists",
            Self::Full => "full",
            Self::Torn { .. } => "torn",
            Self::Other => "digest",
            Self::InvalidKey(_) => "key",
            Self::Unavailable { .. } => "unavailable",
            Self::Refused { .. } => "refused",
            Self::Io { .. } => "io",
        }
    }

    pub(crate) fn io(action: &'static str, key: &str) -> impl FnOnce(io::Error) -> Self {
        let key = key.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::NotFound => Self::NotFound(key),
            io::ErrorKind::AlreadyExists => Self::AlreadyExists(key),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            _ => Self::Io { action, source },
        }
    }
}
