//! Stores to test.

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use mediaflow_blob::{
    BlobError, BlobKey, Blobs, FolderBlobs, ObjectBlobs, ObjectStoreConfig, Written,
};
use mediaflow_servers::S3;
use sha2::Digest as _;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use tempfile::TempDir;
use uuid::Uuid;

/// One for all tests; it ends with the process.
pub(crate) static SERVER: LazyLock<S3> = LazyLock::new(S3::start);

/// The smallest that a store takes.
pub(crate) const PART: usize = 5 << 20;

pub(crate) struct Given {
    pub(crate) blobs: Blobs,
    /// What can be read lies here.
    pub(crate) files: PathBuf,
    _folder: Option<TempDir>,
}

impl Given {
    pub(crate) fn folder() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            blobs: FolderBlobs::open(folder.path()).unwrap().into(),
            files: folder.path().to_owned(),
            _folder: Some(folder),
        }
    }

    /// A bucket of its own, below a prefix.
    pub(crate) fn bucket() -> Self {
        Self::bucket_at(&SERVER.endpoint())
    }

    /// A bucket whose server is asked through `endpoint`.
    pub(crate) fn bucket_at(endpoint: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let name = Uuid::new_v4().to_string();
        let address = format!("{}/some/prefix", SERVER.bucket(&name));
        let objects = ObjectBlobs::open(&address, &config(endpoint)).unwrap();
        Self {
            blobs: objects.into(),
            files: SERVER.files(&name),
            _folder: None,
        }
    }

    /// The same bytes as another process has them.
    pub(crate) fn beside(other: &Self) -> Self {
        let blobs = match &other.blobs {
            Blobs::Folder(_) => FolderBlobs::open(&other.files).unwrap().into(),
            objects => objects.clone(),
        };
        Self {
            blobs,
            files: other.files.clone(),
            _folder: None,
        }
    }

    /// Files of this store, whole or not.
    pub(crate) fn stored(&self) -> usize {
        files_in(&self.files)
    }

    pub(crate) async fn write(&self, key: &BlobKey, bytes: &[u8]) -> Result<Written, BlobError> {
        let mut writer = self.blobs.writer(key.clone());
        for piece in bytes.chunks(70_001) {
            writer.write(Bytes::copy_from_slice(piece)).await?;
        }
        writer.finish().await
    }

    pub(crate) async fn read(
        &self,
        key: &BlobKey,
        start: u64,
        length: u64,
    ) -> Result<Vec<u8>, BlobError> {
        let reader = self.blobs.open(key, start, length).await?;
        let pieces: Vec<Bytes> = reader.stream().try_collect().await?;
        Ok(pieces.concat())
    }
}

pub(crate) fn config(endpoint: &str) -> ObjectStoreConfig {
    ObjectStoreConfig {
        endpoint: Some(endpoint.to_owned()),
        access_key_id: Some(S3::KEY_ID.to_owned()),
        secret_access_key: Some(S3::SECRET.to_owned()),
        part_bytes: PART as u64,
        collected_per_second: 1000,
        ..ObjectStoreConfig::default()
    }
}

pub(crate) fn files_in(path: &Path) -> usize {
    let entries = std::fs::read_dir(path).unwrap().map(Result::unwrap);
    let counts = entries.map(|entry| match entry.path() {
        path if path.is_dir() => files_in(&path),
        _ => 1,
    });
    counts.sum()
}

pub(crate) fn content(bytes: usize) -> Vec<u8> {
    (0..bytes as u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect()
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    sha2::Sha256::digest(bytes).into()
}

pub(crate) fn new_key() -> BlobKey {
    BlobKey::output(Uuid::new_v4(), 1, 0)
}

/// One test of each name for each sort of store.
macro_rules! everywhere {
    ($($name:ident)+) => {
        mod folder {
            use crate::given::Given;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(Given::folder()).await;
            })+
        }
        mod bucket {
            use crate::given::Given;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(Given::bucket()).await;
            })+
        }
    };
}
pub(crate) use everywhere;
