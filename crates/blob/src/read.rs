//! A read under way, whatever is behind it.

use crate::BlobError;
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use std::fmt;

/// A part of stored bytes, opened.
pub struct BlobReader {
    bytes: u64,
    stream: BoxStream<'static, Result<Bytes, BlobError>>,
}

impl BlobReader {
    pub(crate) fn new(
        bytes: u64,
        stream: impl futures_util::Stream<Item = Result<Bytes, BlobError>> + Send + 'static,
    ) -> Self {
        let stream = stream.boxed();
        Self { bytes, stream }
    }

    /// Length of the whole, not only of the part.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The part, a buffer at a time; the stream fails if there is less.
    pub fn stream(self) -> BoxStream<'static, Result<Bytes, BlobError>> {
        self.stream
    }
}

impl fmt::Debug for BlobReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobReader")
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}
