//! One object as it was when it was first looked at, or several that are read as one, each behind the one before. Whoever reads it in many
//! pieces reads pieces of the same bytes, or is refused: a request names the tag that the store gave the object.

use super::file::RangeFile;
use super::{ObjectBlobs, read};
use crate::{BlobError, BlobFile, BlobKey};
use sha2::{Digest as _, Sha256};
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Bytes whose length is the one that was recorded. What is done with it blocks.
#[derive(Debug, Clone)]
pub struct ObjectVersion {
    pub(super) blobs: ObjectBlobs,
    pub(super) pieces: Arc<[Piece]>,
    pub(super) bytes: u64,
}

/// One of the objects.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) key: BlobKey,
    /// Where it begins among all bytes.
    pub(super) start: u64,
    pub(super) bytes: u64,
    /// Nothing where a store gives none, or where the key alone tells the bytes.
    pub(super) e_tag: Option<String>,
}

impl ObjectVersion {
    pub(super) fn new(
        blobs: ObjectBlobs,
        pieces: impl IntoIterator<Item = (BlobKey, u64, Option<String>)>,
    ) -> Self {
        let mut bytes = 0;
        let pieces = pieces.into_iter().map(|(key, length, e_tag)| {
            let start = bytes;
            bytes += length;
            Piece {
                key,
                start,
                bytes: length,
                e_tag,
            }
        });
        Self {
            pieces: pieces.collect(),
            blobs,
            bytes,
        }
    }

    /// How many bytes it has.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Reads it like a file, a window at a time.
    pub fn file(&self) -> impl BlobFile + use<> {
        RangeFile::new(self.clone())
    }

    /// The same, read as `blobs` may read it.
    #[must_use]
    pub fn through(&self, blobs: &ObjectBlobs) -> Self {
        Self {
            blobs: blobs.clone(),
            ..self.clone()
        }
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

    /// The longest part of `range` from its beginning that lies in one object: which one, and where in it.
    pub(super) fn part(&self, range: &Range<u64>) -> Option<(&Piece, Range<u64>)> {
        let after = self.pieces.partition_point(|p| p.start <= range.start);
        let piece = self.pieces.get(after.checked_sub(1)?)?;
        let start = range.start - piece.start;
        let end = piece.bytes.min(range.end - piece.start);
        (start < end).then_some((piece, start..end))
    }
}
