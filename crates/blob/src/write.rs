//! A write under way, whatever is behind it.

use crate::BlobError;
use crate::BlobKey;
use crate::folder::FolderWriter;
use crate::objects::ObjectWriter;
use crate::observe::timed;
use bytes::Bytes;

/// What is now durably stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Where.
    pub key: BlobKey,
    /// SHA-256 of all bytes, computed on the way.
    pub sha256: [u8; 32],
    /// How many.
    pub bytes: u64,
}

/// A write under way. Dropped without [`BlobWriter::finish`] it leaves nothing that can be read.
#[derive(Debug)]
pub enum BlobWriter {
    /// Into a folder.
    Folder(FolderWriter),
    /// Into a bucket.
    Objects(ObjectWriter),
}

impl BlobWriter {
    /// Adds bytes.
    ///
    /// # Errors
    /// When they are not taken; the write is over then.
    pub async fn write(&mut self, piece: Bytes) -> Result<(), BlobError> {
        match self {
            Self::Folder(writer) => writer.write(piece).await,
            Self::Objects(writer) => writer.write(piece).await,
        }
    }

    /// Makes everything durable.
    ///
    /// # Errors
    /// When it is not taken or the key exists.
    pub async fn finish(self) -> Result<Written, BlobError> {
        let request = async {
            match self {
                Self::Folder(writer) => writer.finish().await,
                Self::Objects(writer) => writer.finish().await,
            }
        };
        timed("finish", request).await
    }
}
