//! One object as it was when it was first looked at. Whoever reads it in many pieces reads pieces of the same bytes, or
//! is refused: a request names the tag that the store gave the object.

use super::file::RangeFile;
use super::{ObjectBlobs, read};
use crate::{BlobError, BlobFile, BlobKey};
use sha2::{Digest as _, Sha256};
use std::io;
use std::ops::Range;
use std::sync::atomic::AtomicBool;

/// An object whose length is the one that was recorded. What is done with it blocks.
#[derive(Debug, Clone)]
pub struct ObjectVersion {
    pub(super) blobs: ObjectBlobs,
    pub(super) key: BlobKey,
    pub(super) bytes: u64,
    /// Nothing where a store gives none.
    pub(super) e_tag: Option<String>,
}

impl ObjectVersion {
    /// Reads it like a file, a window at a time.
    pub fn file(&self) -> impl BlobFile + use<> {
        let (blobs, key) = (self.blobs.clone(), self.key.clone());
        RangeFile::new(blobs, key, self.bytes, self.e_tag.clone())
    }

    /// Fetches `ranges`, several parts at a time, and hands each part on with where it begins, in their order. Ends early
    /// when `stopped` becomes true.
    ///
    /// # Errors
    /// When a part cannot be read, another object lies there now, or `each` fails.
    pub fn fetch(
        &self,
        ranges: impl Iterator<Item = Range<u64>>,
        stopped: &AtomicBool,
        each: &mut dyn FnMut(u64, &[u8]) -> io::Result<()>,
    ) -> Result<(), BlobError> {
        let fetched = read::fetch(self, ranges, stopped, each);
        self.blobs.inner.runtime.block_on(fetched)
    }

    /// Fetches all of it, as [`Self::fetch`], and tells its SHA-256.
    ///
    /// # Errors
    /// Those of [`Self::fetch`].
    pub fn fetch_whole(
        &self,
        stopped: &AtomicBool,
        each: &mut dyn FnMut(u64, &[u8]) -> io::Result<()>,
    ) -> Result<[u8; 32], BlobError> {
        let mut hasher = Sha256::new();
        let all = std::iter::once(0..self.bytes);
        self.fetch(all, stopped, &mut |start, bytes| {
            hasher.update(bytes);
            each(start, bytes)
        })?;
        Ok(hasher.finalize().into())
    }
}
