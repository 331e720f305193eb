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
    /// What arrived on the disk is not what was sent.
    #[error("{expected} bytes were written, but {found} arrived on the disk")]
    Torn {
        /// Sent.
        expected: u64,
        /// On the disk.
        found: u64,
    },
    /// The text is no key.
    #[error("`{0}` is not a blob key")]
    InvalidKey(String),
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
