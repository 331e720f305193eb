//! Somebody else's bucket, from which objects are read and nothing else.

use super::budget::RetryBudget;
use super::config::{Address, Protocol};
use super::{Bucket, ObjectStoreConfig, s3};
use crate::BlobError;
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use object_store::path::Path;
use object_store::{Error, GetOptions, GetRange};
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// Tries in a row to go on with an object that broke off; the pauses between them double.
const TRIES_MAX: u32 = 6;
const PAUSE: Duration = Duration::from_millis(250);

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

    /// Opens an object, if it is still this version or has this entity tag. When it breaks off it goes on where it was, if it is
    /// still the same object.
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
        let opened = self.bucket.get_opts(&place, options.clone()).await;
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
        let bytes = opened.meta.size;
        let options = GetOptions {
            if_match: options.if_match.or_else(|| opened.meta.e_tag.clone()),
            ..options
        };
        let rest = Rest {
            bucket: Arc::clone(&self.bucket),
            place,
            options,
            at: 0,
            tries: 0,
            stream: opened.into_stream(),
        };
        let pieces = stream::try_unfold(rest, |mut rest| async move {
            let piece = rest.next().await.map_err(io::Error::other)?;
            Ok::<_, io::Error>(piece.map(|piece| (piece, rest)))
        });
        Ok(ForeignObject {
            bytes,
            stream: Box::pin(pieces),
        })
    }
}

/// What is still to come of an object.
struct Rest {
    bucket: Arc<dyn Bucket>,
    place: Path,
    options: GetOptions,
    at: u64,
    tries: u32,
    stream: BoxStream<'static, Result<Bytes, Error>>,
}

impl Rest {
    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let error = match self.stream.next().await {
                None => return Ok(None),
                Some(Ok(piece)) => {
                    self.at += piece.len() as u64;
                    self.tries = 0;
                    return Ok(Some(piece));
                }
                Some(Err(error)) => error,
            };
            if self.tries == TRIES_MAX || self.options.if_match.is_none() {
                return Err(error);
            }
            tracing::debug!(%error, at = self.at, "an object broke off; its rest is asked for");
            tokio::time::sleep(PAUSE * 2u32.pow(self.tries)).await;
            self.tries += 1;
            let options = GetOptions {
                range: Some(GetRange::Offset(self.at)),
                ..self.options.clone()
            };
            self.stream = match self.bucket.get_opts(&self.place, options).await {
                Ok(rest) => rest.into_stream(),
                // Another one by now.
                Err(error @ (Error::NotFound { .. } | Error::Precondition { .. })) => {
                    return Err(error);
                }
                Err(error) => stream::iter([Err(error)]).boxed(),
            };
        }
    }
}

fn is_below(key: &str, prefix: &str) -> bool {
    prefix.is_empty()
        || key
            .strip_prefix(prefix)
            .is_some_and(|rest| rest.starts_with('/'))
}
