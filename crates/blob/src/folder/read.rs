//! Reading files: ranges, as streams that hold one buffer.

use crate::{BlobError, BlobKey, BlobReader};
use bytes::Bytes;
use futures_util::stream::try_unfold;
use std::io::SeekFrom;
use std::path::PathBuf;
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

/// Each read asks a blocking thread; this size keeps that rare.
const BUFFER_BYTES: u64 = 256 << 10;

/// Once opened it stays readable even if the key is deleted meanwhile; on a network file system only while this machine
/// deletes it.
pub(super) async fn open(
    path: PathBuf,
    key: &BlobKey,
    start: u64,
    length: u64,
) -> Result<BlobReader, BlobError> {
    let fail = || BlobError::io("opening a blob", key.as_str());
    let mut file = File::open(path).await.map_err(fail())?;
    let bytes = file.metadata().await.map_err(fail())?.len();
    if start > 0 {
        file.seek(SeekFrom::Start(start)).await.map_err(fail())?;
    }
    file.set_max_buf_size(BUFFER_BYTES as usize);
    let stream = try_unfold((file, length), |(mut file, left)| async move {
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
    });
    Ok(BlobReader::new(bytes, stream))
}
