//! Bytes as objects of a bucket: of S3 and what speaks like it, and of Google's and Azure's stores.
//!
//! A key appears only when all of its bytes are there, because stores show an object when its last request has ended.
//! It is never replaced: the store is asked to refuse that.

mod addressed;
mod budget;
mod config;
mod file;
mod foreign;
mod growth;
mod incoming;
mod presign;
mod read;
mod sign;
mod version;
mod wire;
mod write;

use addressed::Through;
pub use addressed::{AddressedBlobs, Addresses};
pub use config::ObjectStoreConfig;
use file::RangeFile;
pub use foreign::{ForeignBucket, ForeignObject};
pub(crate) use growth::ObjectGrowth;
pub use sign::Signed;
pub use version::ObjectVersion;
pub(crate) use write::ObjectWriter;

use crate::{BlobError, BlobKey, BlobReader, Written};
use budget::{Pace, RetryBudget};
use bytes::Bytes;
use config::{Address, Protocol};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, Checksum};
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::multipart::MultipartStore;
use object_store::path::Path as ObjectPath;
use object_store::signer::Signer;
use object_store::{ObjectStore, ObjectStoreExt as _, RetryConfig};
use presign::Presigner;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use wire::{GivenUp, Wire};

/// Parts that are being sent at the same time, of all files together.
const PARTS_SENT_MAX: usize = 16;
/// Files of one task that are written at the same time.
const WRITTEN_TOGETHER: usize = 8;

/// What an object store of the library must do.
trait Bucket: ObjectStore + MultipartStore + Signer {}

impl<T: ObjectStore + MultipartStore + Signer> Bucket for T {}

/// A blob store in a bucket. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ObjectBlobs {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    bucket: Arc<dyn Bucket>,
    /// The same for parts that clients send: nobody knows their digests before.
    unchecked: Arc<dyn Bucket>,
    /// Who signs for a bucket of S3.
    presigner: Option<Presigner>,
    /// Where there is no bucket but addresses that somebody signs.
    addressed: Option<Arc<Through>>,
    address: Address,
    part_bytes: usize,
    parts: Arc<Semaphore>,
    budget: Arc<RetryBudget>,
    pace: Pace,
    /// For those who block: media threads have no runtime of their own.
    runtime: Handle,
}

impl ObjectBlobs {
    /// Joins an address such as `s3://bucket/prefix` with how its store is reached. Asks the store nothing yet. Must be
    /// called in a runtime, which does the work of calls that block.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn open(address: &str, config: &ObjectStoreConfig) -> Result<Self, String> {
        let address = Address::parse(address)?;
        let budget = Arc::new(RetryBudget::new());
        let (bucket, unchecked, presigner) = match address.protocol {
            Protocol::S3 => {
                let (store, _) = s3(&address, config, &budget, true)?;
                let (unchecked, region) = s3(&address, config, &budget, false)?;
                let store: Arc<dyn Bucket> = store;
                let presigner = Presigner {
                    store: Arc::clone(&unchecked),
                    region,
                };
                (store, unchecked as _, Some(presigner))
            }
            Protocol::Google | Protocol::Azure => {
                let bucket = bucket(&address, &budget)?;
                (Arc::clone(&bucket), bucket, None)
            }
        };
        let inner = Inner {
            bucket,
            unchecked,
            presigner,
            addressed: None,
            address,
            part_bytes: usize::try_from(config.part_bytes).unwrap_or(usize::MAX),
            parts: Arc::new(Semaphore::new(PARTS_SENT_MAX)),
            budget,
            pace: Pace::new(config.collected_per_second),
            runtime: Handle::current(),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Asks the store for something that is not there, so that wrong credentials and addresses are found at the start.
    ///
    /// # Errors
    /// What the store says.
    pub async fn check(&self) -> Result<(), BlobError> {
        let nothing = BlobKey::original(uuid::Uuid::nil());
        let shard = self.place(nothing.as_str());
        let mut listed = self.inner.bucket.list(Some(&shard));
        match listed.next().await {
            Some(Err(error)) => {
                Err(self.failed("asking the object store", nothing.as_str(), error))
            }
            _ => Ok(()),
        }
    }

    fn place(&self, name: &str) -> ObjectPath {
        match self.inner.address.prefix.as_str() {
            "" => ObjectPath::from(name),
            prefix => ObjectPath::from(format!("{prefix}/{name}")),
        }
    }

    /// Begins a write whose bytes arrive piece by piece.
    pub fn writer(&self, key: BlobKey) -> ObjectWriter {
        ObjectWriter::new(self.clone(), key)
    }

    /// Writes several blobs at the same time. Blocks: for threads that do media work.
    ///
    /// # Errors
    /// When any could not be written.
    pub fn put_all(&self, blobs: &[(BlobKey, &[u8])]) -> Result<Vec<Written>, BlobError> {
        if let Some(through) = &self.inner.addressed {
            return self.inner.runtime.block_on(through.put_all(blobs));
        }
        let writes = blobs.iter().map(|(key, bytes)| {
            let (mut writer, bytes) = (self.writer(key.clone()), Bytes::copy_from_slice(bytes));
            async move {
                writer.write(bytes).await?;
                writer.finish().await
            }
        });
        let writes: Vec<_> = writes.collect();
        let together = stream::iter(writes)
            .buffered(WRITTEN_TOGETHER)
            .try_collect();
        self.inner.runtime.block_on(together)
    }

    /// Sends a file, a part at a time. Blocks: for threads that do media work.
    ///
    /// # Errors
    /// When the file cannot be read or the blob not be written.
    pub fn put_file(&self, key: &BlobKey, file: &Path) -> Result<Written, BlobError> {
        if let Some(through) = &self.inner.addressed {
            return self.inner.runtime.block_on(through.put_file(key, file));
        }
        self.inner.runtime.block_on(async {
            let file = tokio::fs::File::open(file).await;
            let mut file = file.map_err(BlobError::io("reading a file", key.as_str()))?;
            let mut writer = self.writer(key.clone());
            loop {
                let mut piece = bytes::BytesMut::with_capacity(1 << 20);
                let read = tokio::io::AsyncReadExt::read_buf(&mut file, &mut piece).await;
                if read.map_err(BlobError::io("reading a file", key.as_str()))? == 0 {
                    return writer.finish().await;
                }
                writer.write(piece.freeze()).await?;
            }
        })
    }

    /// All bytes of a key. Blocks: for threads that do media work.
    ///
    /// # Errors
    /// When there are none.
    pub fn read_all(&self, key: &BlobKey) -> Result<Vec<u8>, BlobError> {
        Ok(self.inner.runtime.block_on(self.get(key))?.into())
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
        read::open(self, key, start, length, None).await
    }

    /// The whole content in memory.
    ///
    /// # Errors
    /// When nothing is stored under the key.
    pub async fn get(&self, key: &BlobKey) -> Result<Bytes, BlobError> {
        read::whole(self, key).await
    }

    /// The object that lies under `key` now, which must have so many bytes, to be read in pieces. Blocks.
    ///
    /// # Errors
    /// When there is none or it has another length.
    pub fn version(&self, key: &BlobKey, bytes: u64) -> Result<ObjectVersion, BlobError> {
        self.inner.runtime.block_on(read::version(self, key, bytes))
    }

    /// What lies under these keys, each of so many bytes, to be read in pieces as if it were one object. Nothing is asked of the store
    /// before.
    pub fn joined(&self, objects: &[(BlobKey, u64)]) -> ObjectVersion {
        let pieces = objects
            .iter()
            .map(|(key, bytes)| (key.clone(), *bytes, None));
        ObjectVersion::new(self.clone(), pieces)
    }

    /// Reads like a file whose length is known, a window at a time. Its reads block.
    pub(crate) fn file(&self, key: &BlobKey, bytes: u64) -> RangeFile {
        RangeFile::new(self.joined(&[(key.clone(), bytes)]))
    }

    /// Removes the object. Removing what is gone is no error.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn delete(&self, key: &BlobKey) -> Result<(), BlobError> {
        match self.inner.bucket.delete(&self.place(key.as_str())).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.failed("deleting a blob", key.as_str(), error)),
        }
    }

    /// Removes the object when it is the collector's turn.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn collect(&self, key: &BlobKey) -> Result<(), BlobError> {
        self.inner.pace.turn().await;
        self.delete(key).await
    }

    /// Keys in one of the 256 shards that were written longer than `age` ago, by the store's clock and ours.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub async fn older_than(&self, shard: u8, age: Duration) -> Result<Vec<BlobKey>, BlobError> {
        let limit = SystemTime::now() - age;
        let mut keys = Vec::new();
        for area in BlobKey::AREAS {
            self.inner.pace.turn().await;
            let prefix = self.place(&format!("{area}/{shard:02x}"));
            let mut listed = self.inner.bucket.list(Some(&prefix));
            while let Some(object) = listed.next().await {
                let object = object.map_err(|e| self.failed("listing blobs", area, e))?;
                let name = object.location.as_ref();
                let name = name.strip_prefix(self.inner.address.prefix.as_str());
                let key = name.map(|n| n.trim_start_matches('/').parse());
                if SystemTime::from(object.last_modified) < limit
                    && let Some(Ok(key)) = key
                {
                    keys.push(key);
                }
            }
        }
        Ok(keys)
    }

    fn failed(&self, action: &'static str, key: &str, error: object_store::Error) -> BlobError {
        use object_store::Error;
        let mut inner: Option<&(dyn std::error::Error + 'static)> = Some(&error);
        while let Some(reason) = inner {
            if let Some(given_up) = reason.downcast_ref::<GivenUp>() {
                let reason = given_up.to_string();
                return BlobError::Unavailable { action, reason };
            }
            inner = reason.source();
        }
        match error {
            Error::NotFound { .. } => BlobError::NotFound(key.to_owned()),
            Error::AlreadyExists { .. } => BlobError::AlreadyExists(key.to_owned()),
            error => BlobError::Refused {
                action,
                reason: error.to_string(),
            },
        }
    }
}

/// Trying again is ours: the library has no budget.
fn never() -> RetryConfig {
    RetryConfig {
        max_retries: 0,
        ..RetryConfig::default()
    }
}

fn sentence(error: object_store::Error) -> String {
    format!("the object store: {error}")
}

/// A bucket of S3, and its region.
fn s3(
    address: &Address,
    config: &ObjectStoreConfig,
    budget: &Arc<RetryBudget>,
    has_checksums: bool,
) -> Result<(Arc<AmazonS3>, String), String> {
    let mut builder = AmazonS3Builder::from_env()
        .with_bucket_name(&address.bucket)
        .with_retry(never())
        // Not every store knows how to delete several, and here it is always one.
        .with_disable_bulk_delete(true)
        .with_http_connector(Wire::new(Arc::clone(budget), true)?);
    if has_checksums {
        builder = builder.with_checksum_algorithm(Checksum::SHA256);
    }
    if let Some(endpoint) = &config.endpoint {
        builder = builder
            .with_endpoint(endpoint)
            .with_allow_http(endpoint.starts_with("http://"));
    }
    if let Some(region) = &config.region {
        builder = builder.with_region(region);
    }
    if let (Some(id), Some(secret)) = (&config.access_key_id, &config.secret_access_key) {
        builder = builder
            .with_access_key_id(id)
            .with_secret_access_key(secret);
    }
    let region = builder.get_config_value(&AmazonS3ConfigKey::Region);
    let region = region.unwrap_or_else(|| "us-east-1".to_owned());
    Ok((Arc::new(builder.build().map_err(sentence)?), region))
}

fn bucket(address: &Address, budget: &Arc<RetryBudget>) -> Result<Arc<dyn Bucket>, String> {
    let wire = Wire::new(Arc::clone(budget), false)?;
    match address.protocol {
        Protocol::Azure => {
            let builder = MicrosoftAzureBuilder::from_env().with_container_name(&address.bucket);
            let builder = builder.with_retry(never()).with_http_connector(wire);
            Ok(Arc::new(builder.build().map_err(sentence)?))
        }
        Protocol::Google | Protocol::S3 => {
            let builder = GoogleCloudStorageBuilder::from_env().with_bucket_name(&address.bucket);
            let builder = builder.with_retry(never()).with_http_connector(wire);
            Ok(Arc::new(builder.build().map_err(sentence)?))
        }
    }
}
