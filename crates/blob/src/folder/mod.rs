//! Bytes in a folder. A key appears only when all of its bytes are durable:
//! temporary name, sync, length check, rename, sync of the folder.
//!
//! Several processes may share it, also through a network file system: nothing relies on a lock.

mod growth;
mod incoming;
mod read;
mod temporary;
mod write;

pub(crate) use growth::FolderGrowth;
pub(crate) use incoming::FolderReceiver;
pub(crate) use write::FolderWriter;

use crate::{BlobError, BlobKey, BlobReader, Written};
use bytes::Bytes;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use uuid::Uuid;
use write::{blocking, remove, sync_folder};

/// A blob store in a folder of a local or mounted file system.
#[derive(Debug, Clone)]
pub struct FolderBlobs {
    root: Arc<Path>,
    /// For this process's writes under way; on the same file system, so that a file can be renamed.
    temporary: Arc<Path>,
    /// Tells this process's growing files from others'.
    holder: Uuid,
}

impl FolderBlobs {
    /// Opens the folder, making it where it is missing, and removes what interrupted processes have left under temporary
    /// names.
    ///
    /// # Errors
    /// When the folder cannot be made, read or written.
    pub fn open(root: &Path) -> Result<Self, BlobError> {
        let fail = || BlobError::io("opening the blob folder", "");
        for area in BlobKey::AREAS {
            for shard in 0..=255u8 {
                fs::create_dir_all(root.join(area).join(format!("{shard:02x}"))).map_err(fail())?;
            }
            sync_folder(&root.join(area))?;
        }
        let temporary = temporary::make(root)?;
        temporary::clean(root)?;
        Ok(Self {
            root: root.into(),
            temporary: temporary.into(),
            holder: Uuid::new_v4(),
        })
    }

    /// Where a key's bytes are, for programs that need a file.
    pub fn path(&self, key: &BlobKey) -> PathBuf {
        self.root.join(key.as_str())
    }

    /// Begins a write whose bytes arrive piece by piece.
    pub fn writer(&self, key: BlobKey) -> FolderWriter {
        FolderWriter::new(self.clone(), key)
    }

    /// Writes several blobs and makes them durable together. Blocks: for threads that do media work.
    ///
    /// # Errors
    /// When any could not be written; those before it exist and have no row, so the collector takes them.
    pub fn put_all(&self, blobs: &[(BlobKey, &[u8])]) -> Result<Vec<Written>, BlobError> {
        let mut written = Vec::with_capacity(blobs.len());
        let mut folders: Vec<PathBuf> = Vec::new();
        for (key, bytes) in blobs {
            written.push(self.writer(key.clone()).write_now(bytes)?);
            let folder = self
                .path(key)
                .parent()
                .map(Path::to_path_buf)
                .unwrap_or_default();
            if !folders.contains(&folder) {
                folders.push(folder);
            }
        }
        for folder in folders {
            sync_folder(&folder)?;
        }
        Ok(written)
    }

    /// Copies a file, however large, and makes it durable. Blocks: for threads that do media work.
    ///
    /// # Errors
    /// When the file cannot be read or the blob not be written.
    pub fn put_file(&self, key: &BlobKey, file: &Path) -> Result<Written, BlobError> {
        let written = self.writer(key.clone()).copy_now(file)?;
        sync_folder(self.path(key).parent().unwrap_or(&self.root))?;
        Ok(written)
    }

    /// All bytes of a key. Blocks: for threads that do media work.
    ///
    /// # Errors
    /// When there are none.
    pub fn read_all(&self, key: &BlobKey) -> Result<Vec<u8>, BlobError> {
        fs::read(self.path(key)).map_err(BlobError::io("reading a blob", key.as_str()))
    }

    /// Opens a part of a key for reading.
    ///
    /// # Errors
    /// When nothing is stored under it.
    pub async fn open_key(
        &self,
        key: &BlobKey,
        start: u64,
        length: u64,
    ) -> Result<BlobReader, BlobError> {
        read::open(self.path(key), key, start, length).await
    }

    /// The whole content in memory, where it is small.
    ///
    /// # Errors
    /// When nothing is stored under the key.
    pub async fn get(&self, key: &BlobKey) -> Result<Bytes, BlobError> {
        let bytes = tokio::fs::read(self.path(key)).await;
        bytes
            .map(Bytes::from)
            .map_err(BlobError::io("reading a blob", key.as_str()))
    }

    /// Removes the bytes. Removing what is gone is no error.
    ///
    /// # Errors
    /// When the file system refuses.
    pub async fn delete(&self, key: &BlobKey) -> Result<(), BlobError> {
        let (path, key) = (self.path(key), key.clone());
        let removing =
            move || remove(&path).map_err(BlobError::io("deleting a blob", key.as_str()));
        blocking(removing).await
    }

    /// Keys in one of the 256 shards that were written longer than `age` ago. Blocks. Once in all shards it also removes
    /// what interrupted processes have left under temporary names.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn older_than(&self, shard: u8, age: Duration) -> Result<Vec<BlobKey>, BlobError> {
        let fail = || BlobError::io("listing blobs", "");
        if shard == 0 {
            temporary::clean(&self.root)?;
        }
        let limit = SystemTime::now() - age;
        let mut keys = Vec::new();
        for area in BlobKey::AREAS {
            let name = format!("{area}/{shard:02x}");
            for entry in fs::read_dir(self.root.join(&name)).map_err(fail())? {
                let entry = entry.map_err(fail())?;
                let Ok(modified) = entry.metadata().and_then(|m| m.modified()) else {
                    continue;
                };
                let key = format!("{name}/{}", entry.file_name().to_string_lossy());
                if modified < limit
                    && let Ok(key) = key.parse()
                {
                    keys.push(key);
                }
            }
        }
        Ok(keys)
    }

    /// Bytes that can still be written here.
    ///
    /// # Errors
    /// When the file system does not say.
    pub fn free_bytes(&self) -> Result<u64, BlobError> {
        let stat = rustix::fs::statvfs(&*self.root)
            .map_err(|e| BlobError::io("asking for free space", "")(e.into()))?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}
