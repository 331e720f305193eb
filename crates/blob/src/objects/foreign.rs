//! Somebody else's bucket, from which objects are read and nothing else.

use super::budget::RetryBudget;
use super::config::{Address, Protocol};
use super::{Bucket, ObjectStoreConfig, s3};
use crate::BlobError;
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use futures_util::stream::BoxStream;
use object_store::path::Path;
use object_store::{Error, GetOptions};
use std::io;
use std::sync::Arc;

/// A bucket, and the beginning of the keys that matter in it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ForeignBucket {
    bucket: Arc<dyn Bucket>,
    address: Address,
}

/// An object that is being read.
pub struct ForeignObject {
    /// All of its bytes.
    pub bytes: u64,
    /// They themselves.
    pub stream: BoxStream<'static, io::Result<Bytes>>,
}

impl ForeignBucket {
    /// Joins an address such as `s3://bucket/prefix` with how its store is reached. Asks the store nothing yet.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn open(address: &str, config: &ObjectStoreConfig) -> Result<Self, String> {
        let address = Address::parse(address)?;
        if address.protocol != Protocol::S3 {
            return Err(format!("`{}` must be an s3:// address", address.bucket));
        }
        let (bucket, _) = s3(&address, config, &Arc::new(RetryBudget::new()), false)?;
        Ok(Self { bucket, address })
    }

    /// The bucket's name.
    pub fn name(&self) -> &str {
        &self.address.bucket
    }

    /// Whether a key begins as those do that matter.
    pub fn has(&self, key: &str) -> bool {
        is_below(key, &self.address.prefix)
    }

    /// Whether a key of this bucket belongs to a blob store of ours, which `address` names.
    ///
    /// # Errors
    /// A sentence for the operator: the store has the whole of this bucket.
    pub fn belongs_to(&self, address: &str, key: &str) -> Result<bool, String> {
        let own = Address::parse(address)?;
        if own.protocol != self.address.protocol || own.bucket != self.address.bucket {
            return Ok(false);
        }
        match own.prefix.as_str() {
            "" => Err(format!(
                "the bucket {} is the one of `blobs`; there, `blobs` needs a prefix of its own: s3://{}/mediaflow",
                own.bucket, own.bucket
            )),
            prefix => Ok(is_below(key, prefix)),
        }
    }

    /// Opens an object, if it is still this version or has this entity tag.
    ///
    /// # Errors
    /// [`BlobError::NotFound`] when it is not there any more, or another one is.
    pub async fn get(
        &self,
        key: &str,
        version: Option<&str>,
        e_tag: Option<&str>,
    ) -> Result<ForeignObject, BlobError> {
        const ACTION: &str = "reading an object";
        let refused = |reason: String| BlobError::Refused {
            action: ACTION,
            reason,
        };
        let place = Path::parse(key).map_err(|e| refused(e.to_string()))?;
        let options = GetOptions {
            version: version.map(str::to_owned),
            if_match: e_tag.map(|tag| format!("\"{}\"", tag.trim_matches('"'))),
            ..GetOptions::default()
        };
        let opened = self.bucket.get_opts(&place, options).await;
        let opened = opened.map_err(|error| match error {
            Error::NotFound { .. } | Error::Precondition { .. } => {
                BlobError::NotFound(key.to_owned())
            }
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
                refused(error.to_string())
            }
            error => BlobError::Unavailable {
                action: ACTION,
                reason: error.to_string(),
            },
        })?;
        Ok(ForeignObject {
            bytes: opened.meta.size,
            stream: Box::pin(opened.into_stream().map_err(io::Error::other)),
        })
    }
}

fn is_below(key: &str, prefix: &str) -> bool {
    prefix.is_empty()
        || key
            .strip_prefix(prefix)
            .is_some_and(|rest| rest.starts_with('/'))
}
