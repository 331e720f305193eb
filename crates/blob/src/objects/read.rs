//! Reading: ranges as streams that go on where a connection was lost, and whole objects into files.

use super::ObjectBlobs;
use crate::{BlobError, BlobKey, BlobReader};
use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, BoxStream, try_unfold};
use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::{GetOptions, GetRange, GetResult, ObjectStore as _};
use sha2::{Digest as _, Sha256};
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::io::AsyncWriteExt as _;

/// A file is fetched in ranges of so many bytes.
const RANGE_BYTES: u64 = 8 << 20;
/// Ranges of one file that are on their way at the same time.
const FETCHED_TOGETHER: usize = 4;

struct Reading {
    blobs: ObjectBlobs,
    key: BlobKey,
    stream: BoxStream<'static, object_store::Result<Bytes>>,
    /// Of the object that was opened: no other one is read on.
    e_tag: Option<String>,
    position: u64,
    end: u64,
    /// Times it was opened again without a byte read since.
    failures: u32,
}

pub(super) async fn open(
    blobs: &ObjectBlobs,
    key: &BlobKey,
    start: u64,
    length: u64,
) -> Result<BlobReader, BlobError> {
    if length == 0 {
        let options = GetOptions {
            head: true,
            ..GetOptions::default()
        };
        let found = request(blobs, key, options).await?;
        return Ok(BlobReader::new(found.meta.size, stream::empty()));
    }
    let opened = request(blobs, key, part(start..start + length, None)).await?;
    let (bytes, e_tag) = (opened.meta.size, opened.meta.e_tag.clone());
    let reading = Reading {
        blobs: blobs.clone(),
        key: key.clone(),
        stream: opened.into_stream(),
        e_tag,
        position: start,
        end: start + length,
        failures: 0,
    };
    Ok(BlobReader::new(bytes, try_unfold(reading, next)))
}

fn part(range: Range<u64>, e_tag: Option<String>) -> GetOptions {
    GetOptions {
        range: Some(GetRange::Bounded(range)),
        if_match: e_tag,
        ..GetOptions::default()
    }
}

async fn request(
    blobs: &ObjectBlobs,
    key: &BlobKey,
    options: GetOptions,
) -> Result<GetResult, BlobError> {
    let place = blobs.place(key.as_str());
    let answer = blobs.inner.bucket.get_opts(&place, options).await;
    answer.map_err(|e| blobs.failed("reading a blob", key.as_str(), e))
}

async fn next(mut reading: Reading) -> Result<Option<(Bytes, Reading)>, BlobError> {
    loop {
        let left = reading.end - reading.position;
        if left == 0 {
            return Ok(None);
        }
        let reason = match reading.stream.next().await {
            Some(Ok(mut bytes)) => {
                bytes.truncate(usize::try_from(left).unwrap_or(usize::MAX));
                reading.position += bytes.len() as u64;
                reading.failures = 0;
                return Ok(Some((bytes, reading)));
            }
            Some(Err(error)) => error.to_string(),
            None => "the body ended early".to_owned(),
        };
        reading.failures += 1;
        let pause = reading.blobs.inner.budget.next(reading.failures, false);
        let Some(pause) = pause else {
            return Err(BlobError::Unavailable {
                action: "reading a blob",
                reason,
            });
        };
        tokio::time::sleep(pause).await;
        let rest = part(reading.position..reading.end, reading.e_tag.clone());
        let again = request(&reading.blobs, &reading.key, rest).await?;
        reading.stream = again.into_stream();
    }
}

pub(super) async fn whole(blobs: &ObjectBlobs, key: &BlobKey) -> Result<Bytes, BlobError> {
    // The size is not known before; one request tells it and brings what is small.
    let first = match open(blobs, key, 0, RANGE_BYTES).await {
        Ok(first) => first,
        // A range of an object without bytes is refused.
        Err(error) => {
            return match open(blobs, key, 0, 0).await?.bytes() {
                0 => Ok(Bytes::new()),
                _ => Err(error),
            };
        }
    };
    let bytes = first.bytes();
    let mut all = BytesMut::with_capacity(usize::try_from(bytes).unwrap_or(0));
    let mut stream = first.stream();
    while (all.len() as u64) < bytes.min(RANGE_BYTES)
        && let Some(piece) = stream.try_next().await?
    {
        all.extend_from_slice(&piece);
    }
    if bytes > RANGE_BYTES {
        let rest = open(blobs, key, RANGE_BYTES, bytes - RANGE_BYTES).await?;
        let mut stream = rest.stream();
        while let Some(piece) = stream.try_next().await? {
            all.extend_from_slice(&piece);
        }
    }
    Ok(all.freeze())
}

/// One range in memory.
pub(super) async fn range(
    blobs: &ObjectBlobs,
    key: &BlobKey,
    range: Range<u64>,
) -> Result<Bytes, BlobError> {
    let length = range.end - range.start;
    let opened = open(blobs, key, range.start, length).await?;
    let mut all = BytesMut::with_capacity(usize::try_from(length).unwrap_or(0));
    let mut stream = opened.stream();
    while let Some(piece) = stream.try_next().await? {
        all.extend_from_slice(&piece);
    }
    Ok(all.freeze())
}

pub(super) async fn fetch(
    blobs: &ObjectBlobs,
    key: &BlobKey,
    bytes: u64,
    file: &Path,
    stopped: &AtomicBool,
) -> Result<[u8; 32], BlobError> {
    let fail = || BlobError::io("writing a fetched blob", "");
    let found = open(blobs, key, 0, 0).await?.bytes();
    if found != bytes {
        return Err(BlobError::Torn {
            expected: bytes,
            found,
        });
    }
    let mut file = tokio::fs::File::create_new(file).await.map_err(fail())?;
    let starts = (0..bytes).step_by(RANGE_BYTES as usize);
    let mut ranges = stream::iter(starts)
        .map(|start| range(blobs, key, start..bytes.min(start + RANGE_BYTES)))
        .buffered(FETCHED_TOGETHER);
    let mut hasher = Sha256::new();
    while let Some(piece) = ranges.try_next().await? {
        if stopped.load(Ordering::Relaxed) {
            return Err(fail()(std::io::ErrorKind::Interrupted.into()));
        }
        hasher.update(&piece);
        file.write_all(&piece).await.map_err(fail())?;
    }
    file.flush().await.map_err(fail())?;
    Ok(hasher.finalize().into())
}
