//! Reading: whole files and ranges, as streams that hold one buffer.

use crate::{BlobError, BlobKey};
use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::try_unfold;
use std::io::SeekFrom;
use std::path::PathBuf;
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

/// Each read asks a blocking thread; this size keeps that rare.
const BUFFER_BYTES: u64 = 256 << 10;

/// Stored bytes, opened: they stay readable even if the key is deleted meanwhile.
#[derive(Debug)]
pub struct BlobReader {
    file: File,
    bytes: u64,
}

impl BlobReader {
    pub(crate) async fn open(path: PathBuf, key: &BlobKey) -> Result<Self, BlobError> {
        let fail = || BlobError::io("opening a blob", key.as_str());
        let file = File::open(path).await.map_err(fail())?;
        let bytes = file.metadata().await.map_err(fail())?.len();
        Ok(Self { file, bytes })
    }

    /// Length of the whole.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// `length` bytes from `start` on; the stream fails if the file is shorter.
    ///
    /// # Errors
    /// When the position cannot be reached.
    pub async fn stream(
        mut self,
        start: u64,
        length: u64,
    ) -> Result<impl Stream<Item = Result<Bytes, BlobError>> + Send + 'static, BlobError> {
        if start > 0 {
            self.file
                .seek(SeekFrom::Start(start))
                .await
                .map_err(BlobError::io("reading a blob", ""))?;
        }
        self.file.set_max_buf_size(BUFFER_BYTES as usize);
        Ok(try_unfold(
            (self.file, length),
            |(mut file, left)| async move {
                if left == 0 {
                    return Ok(None);
                }
                let mut buffer = Vec::with_capacity(left.min(BUFFER_BYTES) as usize);
                let count = (&mut file)
                    .take(left.min(BUFFER_BYTES))
                    .read_buf(&mut buffer)
                    .await
                    .map_err(BlobError::io("reading a blob", ""))?;
                if count == 0 {
                    return Err(BlobError::Torn {
                        expected: left,
                        found: 0,
                    });
                }
                Ok(Some((Bytes::from(buffer), (file, left - count as u64))))
            },
        ))
    }
}
