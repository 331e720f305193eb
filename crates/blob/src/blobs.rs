//! The one value that callers hold, whatever is behind it.

use crate::observe::{timed, timed_here};
use crate::{
    BlobError, BlobKey, BlobReader, BlobWriter, FolderBlobs, ObjectBlobs, Signed, Written,
};
use bytes::Bytes;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;
use std::time::Duration;

/// Bytes to read and seek in, wherever they are.
pub trait BlobFile: Read + Seek + Send {}

impl<T: Read + Seek + Send> BlobFile for T {}

/// Where blobs are. Cheap to clone.
#[derive(Debug, Clone)]
pub enum Blobs {
    /// Files in a folder.
    Folder(FolderBlobs),
    /// Objects in a bucket.
    Objects(ObjectBlobs),
}

impl From<FolderBlobs> for Blobs {
    fn from(folder: FolderBlobs) -> Self {
        Self::Folder(folder)
    }
}

impl From<ObjectBlobs> for Blobs {
    fn from(objects: ObjectBlobs) -> Self {
        Self::Objects(objects)
    }
}

impl Blobs {
    /// Begins a write under `key`, which must not exist, whose bytes arrive piece by piece.
    pub fn writer(&self, key: BlobKey) -> BlobWriter {
        match self {
            Self::Folder(folder) => BlobWriter::Folder(folder.writer(key)),
            Self::Objects(objects) => BlobWriter::Objects(objects.writer(key)),
        }
    }

    /// Writes several blobs and makes them durable together. Blocks: for threads that do media work.
    ///
    /// # Errors
    /// When any could not be written; those that were exist and have no row, so the collector takes them.
    pub fn put_all(&self, blobs: &[(BlobKey, &[u8])]) -> Result<Vec<Written>, BlobError> {
        timed_here("write", || match self {
            Self::Folder(folder) => folder.put_all(blobs),
            Self::Objects(objects) => objects.put_all(blobs),
        })
    }

    /// Copies a file, however large, and makes it durable. Blocks: for threads that do media work.
    ///
    /// # Errors
    /// When the file cannot be read or the blob not be written.
    pub fn put_file(&self, key: &BlobKey, file: &Path) -> Result<Written, BlobError> {
        timed_here("write", || match self {
            Self::Folder(folder) => folder.put_file(key, file),
            Self::Objects(objects) => objects.put_file(key, file),
        })
    }

    /// All bytes of a key. Blocks: for threads that do media work.
    ///
    /// # Errors
    /// When there are none.
    pub fn read_all(&self, key: &BlobKey) -> Result<Vec<u8>, BlobError> {
        timed_here("read", || match self {
            Self::Folder(folder) => folder.read_all(key),
            Self::Objects(objects) => objects.read_all(key),
        })
    }

    /// Opens `length` bytes of a key from `start` on.
    ///
    /// # Errors
    /// When nothing is stored under it.
    pub async fn open(
        &self,
        key: &BlobKey,
        start: u64,
        length: u64,
    ) -> Result<BlobReader, BlobError> {
        let request = async {
            match self {
                Self::Folder(folder) => folder.open_key(key, start, length).await,
                Self::Objects(objects) => objects.open_key(key, start, length).await,
            }
        };
        timed("open", request).await
    }

    /// The `bytes` of a key as a file to read and seek in, for who looks at headers. Opening and reading block.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn file(&self, key: &BlobKey, bytes: u64) -> io::Result<Box<dyn BlobFile>> {
        match self {
            Self::Folder(folder) => Ok(Box::new(File::open(folder.path(key))?)),
            Self::Objects(objects) => Ok(Box::new(objects.file(key, bytes))),
        }
    }

    /// The whole content in memory, where it is small.
    ///
    /// # Errors
    /// When nothing is stored under the key.
    pub async fn get(&self, key: &BlobKey) -> Result<Bytes, BlobError> {
        let request = async {
            match self {
                Self::Folder(folder) => folder.get(key).await,
                Self::Objects(objects) => objects.get(key).await,
            }
        };
        timed("read", request).await
    }

    /// Removes the bytes now. Removing what is gone is no error.
    ///
    /// # Errors
    /// When the file system or the store refuses.
    pub async fn delete(&self, key: &BlobKey) -> Result<(), BlobError> {
        let request = async {
            match self {
                Self::Folder(folder) => folder.delete(key).await,
                Self::Objects(objects) => objects.delete(key).await,
            }
        };
        timed("delete", request).await
    }

    /// Removes the bytes when it is their turn: a store that limits requests is left room for those that somebody
    /// waits for.
    ///
    /// # Errors
    /// Those of [`Self::delete`].
    pub async fn collect(&self, key: &BlobKey) -> Result<(), BlobError> {
        let request = async {
            match self {
                Self::Folder(folder) => folder.delete(key).await,
                Self::Objects(objects) => objects.collect(key).await,
            }
        };
        timed("delete", request).await
    }

    /// Keys in one of the 256 shards that were written longer than `age` ago.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub async fn older_than(&self, shard: u8, age: Duration) -> Result<Vec<BlobKey>, BlobError> {
        match self {
            Self::Folder(folder) => {
                let folder = folder.clone();
                let listed = tokio::task::spawn_blocking(move || folder.older_than(shard, age));
                listed.await.unwrap_or_else(|e| {
                    Err(BlobError::Io {
                        action: "listing blobs",
                        source: std::io::Error::other(e),
                    })
                })
            }
            Self::Objects(objects) => objects.older_than(shard, age).await,
        }
    }

    /// Bytes that can still be written here; none where there is no such limit.
    ///
    /// # Errors
    /// When the file system does not say.
    pub fn free_bytes(&self) -> Result<Option<u64>, BlobError> {
        match self {
            Self::Folder(folder) => folder.free_bytes().map(Some),
            Self::Objects(_) => Ok(None),
        }
    }

    /// An address from which whoever has it can read the key until `valid` is over; none where there is no server for it.
    ///
    /// # Errors
    /// When there are no credentials to sign with.
    pub async fn signed_get(
        &self,
        key: &BlobKey,
        valid: Duration,
    ) -> Result<Option<Signed>, BlobError> {
        match self {
            Self::Folder(_) => Ok(None),
            Self::Objects(objects) => objects.signed_get(key, valid).await.map(Some),
        }
    }

    /// An address to which whoever has it can write these bytes under their key once, until `valid` is over, in one request
    /// with the headers of the answer; none where no server would check them. The key must be one that nothing else writes.
    ///
    /// # Errors
    /// When there are no credentials to sign with.
    pub async fn signed_put(
        &self,
        new: &Written,
        valid: Duration,
    ) -> Result<Option<Signed>, BlobError> {
        match self {
            Self::Folder(_) => Ok(None),
            Self::Objects(objects) => objects.signed_put(new, valid).await,
        }
    }
}
