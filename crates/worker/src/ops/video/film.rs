//! The source as ffmpeg can seek in it.

use crate::attempt::Attempt;
use crate::ops::failure::{from_blob, from_engine, from_media};
use mediaflow_core::{ErrorCode, Failure, Kind, Operation, Sha256};
use mediaflow_engine::blob::Blobs;
use mediaflow_media::video::{self, Container, Ffmpeg, FfmpegLimits, MediaInfo};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use tempfile::TempDir;

/// The plain name of the copy with an index.
const INDEXED: &str = "indexed.mkv";
/// The plain name of what was fetched from an object store.
const FETCHED: &str = "original";

/// What inspection found.
#[derive(Debug, Clone)]
pub(crate) struct Film {
    /// As it was uploaded.
    pub(crate) info: MediaInfo,
    /// Of the copy with an index, where the upload has none.
    pub(crate) indexed: Option<MediaInfo>,
}

impl Film {
    /// Asks the store for it.
    pub(crate) async fn found(attempt: &Attempt) -> Result<Self, Failure> {
        let inspected = match attempt.task.recipe.kind {
            Kind::Audio => Operation::AudioInspect,
            Kind::Image | Kind::Video => Operation::VideoInspect,
        };
        let facts = recorded(attempt, inspected.name()).await?;
        let read = |name: &str| serde_json::from_value(facts[name].clone()).map_err(unreadable);
        Ok(Self {
            info: read("info")?,
            indexed: serde_json::from_value(facts["indexed"].clone()).map_err(unreadable)?,
        })
    }

    /// What to plan and encode by.
    pub(crate) fn seekable(&self) -> &MediaInfo {
        self.indexed.as_ref().unwrap_or(&self.info)
    }

    /// The file that [`Self::seekable`] describes. Blocks; makes it where it is missing.
    pub(crate) fn path(&self, attempt: &Attempt, ffmpeg: &Ffmpeg) -> Result<PathBuf, Failure> {
        match self.indexed {
            None => original(attempt),
            Some(_) => indexed(attempt, ffmpeg, self.info.container),
        }
    }
}

/// The copy of the upload that has an index. Blocks; made where this worker does not have it.
pub(crate) fn indexed(
    attempt: &Attempt,
    ffmpeg: &Ffmpeg,
    container: Container,
) -> Result<PathBuf, Failure> {
    let copy = attempt.scratch.copy(|| {
        let folder = folder(attempt)?;
        let original = original(attempt)?;
        video::remux(ffmpeg, &original, container, folder.path(), INDEXED).map_err(from_media)?;
        let bytes = std::fs::metadata(folder.path().join(INDEXED)).map_or(0, |m| m.len());
        Ok((folder, bytes))
    })?;
    Ok(copy.path().join(INDEXED))
}

/// What an earlier step of this generation recorded.
pub(crate) async fn recorded(
    attempt: &Attempt,
    operation: &str,
) -> Result<serde_json::Value, Failure> {
    let found = attempt.depot.found(&attempt.task, operation).await;
    found.map_err(|e| from_engine(e.into()))?.ok_or_else(|| {
        let message = format!("{operation} has recorded nothing");
        Failure::permanent(ErrorCode::Internal, message)
    })
}

pub(crate) fn unreadable(error: serde_json::Error) -> Failure {
    let message = format!("what an earlier step recorded cannot be read: {error}");
    Failure::permanent(ErrorCode::Internal, message)
}

/// Where the upload lies as a file. Blocks; fetched where it is in no file and this worker does not have it.
pub(crate) fn original(attempt: &Attempt) -> Result<PathBuf, Failure> {
    let row = &attempt.task.original;
    let key = row.key.parse().map_err(|e| from_blob(&e))?;
    let objects = match &attempt.blobs {
        Blobs::Folder(files) => return Ok(files.path(&key)),
        Blobs::Objects(objects) => objects,
    };
    let fetched = attempt.scratch.fetched(|| {
        let folder = folder(attempt)?;
        let path = folder.path().join(FETCHED);
        let sha256 = objects.fetch(&key, row.bytes, &path, &attempt.stopped);
        attempt.check_original(Sha256(sha256.map_err(|e| from_blob(&e))?))?;
        Ok((folder, row.bytes))
    })?;
    Ok(fetched.path().join(FETCHED))
}

/// A folder for this attempt's files, gone with it.
pub(crate) fn folder(attempt: &Attempt) -> Result<Arc<TempDir>, Failure> {
    let made = tempfile::tempdir_in(&attempt.toolbox.scratch);
    made.map(Arc::new).map_err(|error| {
        tracing::warn!(%error, "no scratch folder");
        Failure::transient(
            ErrorCode::StorageUnavailable,
            "no scratch folder could be made",
        )
    })
}

/// How nice the work is that nobody waits for: a half to a third of the processor beside one who is waited for.
const GIVING_WAY: u8 = 5;

/// Whether somebody may be waiting for this very task: playing begins with the first of each.
fn is_awaited(attempt: &Attempt) -> bool {
    let task = &attempt.task;
    task.recipe.steps[task.step].operation.lane() == 0 && task.number == 0
}

/// ffmpeg for this attempt: it ends with the attempt's lease and time. 0 threads are one for each processor.
pub(crate) fn ffmpeg(attempt: &Attempt, threads: u32) -> Result<Ffmpeg, Failure> {
    let tools = attempt.toolbox.ffmpeg.as_ref().ok_or_else(|| {
        Failure::transient(
            ErrorCode::EncoderFailed,
            "this worker has no ffmpeg; install it and start again (`mediaflow doctor`)",
        )
    })?;
    let limits = FfmpegLimits {
        wall: attempt.deadline.saturating_duration_since(Instant::now()),
        nice: if is_awaited(attempt) { 0 } else { GIVING_WAY },
        ..*tools.limits()
    };
    Ok(tools
        .clone()
        .with_limits(limits)
        .with_threads(threads)
        .charged_to(Arc::clone(&attempt.spent.making))
        .cancelled_by(Arc::clone(&attempt.stopped)))
}
