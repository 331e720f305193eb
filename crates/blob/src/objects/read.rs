//! Reading: ranges as streams that go on where a connection was lost, and many ranges of one object.

use super::version::Piece;
use super::{ObjectBlobs, ObjectVersion};
use crate::{BlobError, BlobKey, BlobReader};
use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, BoxStream, try_unfold};
use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::{GetOptions, GetRange, GetResult, ObjectStore as _};
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

/// Ranges are fetched in parts of so many bytes.
const RANGE_BYTES: u64 = 8 << 20;
/// Parts of one object that are on their way at the same time.
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
    e_tag: Option<String>,
) -> Result<BlobReader, BlobError> {
    if length == 0 {
        let options = GetOptions {
            head: true,
            ..GetOptions::default()
        };
        let found = request(blobs, key, options).await?;
        return Ok(BlobReader::new(found.meta.size, stream::empty()));
    }
    let opened = request(blobs, key, part(start..start + length, e_tag)).await?;
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
    let first = match open(blobs, key, 0, RANGE_BYTES, None).await {
        Ok(first) => first,
        // A range of an object without bytes is refused.
        Err(error) => {
            return match open(blobs, key, 0, 0, None).await?.bytes() {
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
        let rest = open(blobs, key, RANGE_BYTES, bytes - RANGE_BYTES, None).await?;
        let mut stream = rest.stream();
        while let Some(piece) = stream.try_next().await? {
            all.extend_from_slice(&piece);
        }
    }
    Ok(all.freeze())
}

/// One range in memory, of the object with this tag where one is given.
pub(super) async fn range(
    blobs: &ObjectBlobs,
    key: &BlobKey,
    range: Range<u64>,
    e_tag: Option<String>,
) -> Result<Bytes, BlobError> {
    let length = range.end - range.start;
    let opened = open(blobs, key, range.start, length, e_tag).await?;
    let mut all = BytesMut::with_capacity(usize::try_from(length).unwrap_or(0));
    let mut stream = opened.stream();
    while let Some(piece) = stream.try_next().await? {
        all.extend_from_slice(&piece);
    }
    Ok(all.freeze())
}

/// Hands on what lies in `ranges`, in their order and a part at a time, with where each part begins.
pub(super) async fn fetch(
    object: &ObjectVersion,
    ranges: impl Iterator<Item = Range<u64>>,
    stopped: &AtomicBool,
    each: &mut dyn FnMut(u64, &[u8]) -> io::Result<()>,
) -> Result<(), BlobError> {
    let fail = || BlobError::io("writing a fetched blob", "");
    let parts = ranges.flat_map(|range| {
        let mut at = range.start;
        std::iter::from_fn(move || {
            let next = at..range.end.min(at + RANGE_BYTES);
            let (piece, part) = object.part(&next)?;
            at += part.end - part.start;
            Some((next.start, piece, part))
        })
    });
    let one = |(start, piece, part): (u64, &Piece, Range<u64>)| {
        let (key, tag) = (piece.key.clone(), piece.e_tag.clone());
        async move {
            let bytes = range(&object.blobs, &key, part, tag).await?;
            Ok::<_, BlobError>((start, bytes))
        }
    };
    let mut parts = stream::iter(parts).map(one).buffered(FETCHED_TOGETHER);
    while let Some((start, bytes)) = parts.try_next().await? {
        if stopped.load(Ordering::Relaxed) {
            return Err(fail()(io::ErrorKind::Interrupted.into()));
        }
        each(start, &bytes).map_err(fail())?;
    }
    Ok(())
}

/// Looks which object lies under `key`.
pub(super) async fn version(
    blobs: &ObjectBlobs,
    key: &BlobKey,
    bytes: u64,
) -> Result<ObjectVersion, BlobError> {
    let options = GetOptions {
        head: true,
        ..GetOptions::default()
    };
    let found = request(blobs, key, options).await?.meta;
    if found.size != bytes {
        return Err(BlobError::Torn {
            expected: bytes,
            found: found.size,
        });
    }
    let one = (key.clone(), bytes, found.e_tag);
    Ok(ObjectVersion::new(blobs.clone(), [one]))
}
