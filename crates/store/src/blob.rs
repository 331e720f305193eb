//! Rows that map verified bytes to keys in the blob store.

use mediaflow_core::{BlobId, Sha256};

/// Bytes that are durably in the blob store under `key` and whose digest was computed by us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBlob {
    /// Of the whole content.
    pub sha256: Sha256,
    /// Length.
    pub bytes: u64,
    /// Where they are; generated, never reused.
    pub key: String,
}

/// A blob row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobRow {
    /// The row.
    pub id: BlobId,
    /// Of the whole content.
    pub sha256: Sha256,
    /// Length.
    pub bytes: u64,
    /// Where the bytes are.
    pub key: String,
}
