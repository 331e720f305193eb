//! The source as ffmpeg can seek in it.

use super::pieces;
use crate::attempt::Attempt;
use crate::ops::failure::{from_blob, from_engine, from_media, unwritten};
use crate::partial::Partial;
use crate::scratch::Whose;
use mediaflow_core::{ErrorCode, Failure, Kind, Operation, Sha256};
use mediaflow_engine::blob::{Blobs, ObjectBlobs};
use mediaflow_engine::store::BlobRow;
use mediaflow_media::mp4::Reads;
use mediaflow_media::sniff::Bytes;
use mediaflow_media::video::{self, Container, Ffmpeg, FfmpegLimits, Inspection, MediaInfo};
use mediaflow_media::{ErrorKind, MediaError};
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
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
    /// The blobs that are this copy; none at all when they are gone. `None` where every worker makes it for itself.
    pieces: Option<Vec<BlobRow>>,
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
        let pieces = match facts["pieces"].as_u64().unwrap_or(0) {
            0 => None,
            count => {
                let found = attempt.depot.pieces(&attempt.task).await;
                let found = found.map_err(|e| from_engine(e.into()))?;
                Some(Some(found).filter(|found| found.len() as u64 == count))
            }
        };
        Ok(Self {
            pieces: pieces.map(Option::unwrap_or_default),
            info: read("info")?,
            indexed: serde_json::from_value(facts["indexed"].clone()).map_err(unreadable)?,
        })
    }

    /// What to plan and encode by.
    pub(crate) fn seekable(&self) -> &MediaInfo {
        self.indexed.as_ref().unwrap_or(&self.info)
    }

    /// The file that [`Self::seekable`] describes, with what these readers come to see. Blocks; makes it where it is missing.
    pub(crate) fn open(
        &self,
        attempt: &Attempt,
        ffmpeg: &Ffmpeg,
        reads: &[Reads],
    ) -> Result<Source, Failure> {
        match (&self.indexed, &self.pieces) {
            (None, _) => source(attempt, ffmpeg, self.info.container, reads),
            (Some(_), Some(rows)) => pieces::open(attempt, ffmpeg, rows, reads),
            (Some(_), None) => indexed(attempt, ffmpeg, self.info.container).map(Source::whole),
        }
    }
}

/// The file that a task reads.
pub(crate) struct Source {
    path: PathBuf,
    partial: Option<(Arc<Partial>, Whose)>,
}

impl Source {
    pub(super) fn whole(path: PathBuf) -> Self {
        Self {
            path,
            partial: None,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What is reported of a step that could not read it. Of a file of which only parts were fetched nobody can say that it is
    /// corrupt: it is tried again with all of it.
    pub(crate) fn failed(&self, attempt: &Attempt, error: MediaError) -> Failure {
        match &self.partial {
            Some((_, whose)) if error.code == "input.corrupt" => {
                too_little(attempt, *whose, &error.message)
            }
            _ => from_media(error),
        }
    }
}

fn too_little(attempt: &Attempt, whose: Whose, message: &str) -> Failure {
    attempt.scratch.use_whole(whose);
    let message = format!("parts of the original did not do, it will be fetched whole: {message}");
    Failure::transient(ErrorCode::StorageUnavailable, message)
}

/// From this attempt on nothing is left to parts.
pub(super) const ATTEMPTS_IN_PARTS: u32 = 3;

/// The upload as a file. Blocks. Of ordinary MP4 files in an object store only what these readers come to see is fetched.
pub(crate) fn source(
    attempt: &Attempt,
    ffmpeg: &Ffmpeg,
    container: Container,
    reads: &[Reads],
) -> Result<Source, Failure> {
    let objects = match &attempt.blobs {
        Blobs::Objects(objects)
            if container == Container::Mov && attempt.task.attempt <= ATTEMPTS_IN_PARTS =>
        {
            objects
        }
        _ => return original(attempt).map(Source::whole),
    };
    match of_original(attempt, objects)? {
        Some(partial) => in_parts(attempt, ffmpeg, objects, (partial, Whose::Original), reads),
        None => original(attempt).map(Source::whole),
    }
}

/// The upload as a file with parts of it. Blocks. Nothing where it can only be used whole.
pub(super) fn of_original(
    attempt: &Attempt,
    objects: &ObjectBlobs,
) -> Result<Option<Arc<Partial>>, Failure> {
    let row = &attempt.task.original;
    attempt.scratch.partial(Whose::Original, || {
        let key = row.key.parse().map_err(|e| from_blob(&e))?;
        let object = objects.version(&key, row.bytes);
        Partial::of(object.map_err(|e| from_blob(&e))?, new_folder(attempt)?)
    })
}

/// Fetches what these readers come to see, and sees that it is enough. Blocks.
pub(super) fn in_parts(
    attempt: &Attempt,
    ffmpeg: &Ffmpeg,
    objects: &ObjectBlobs,
    (partial, whose): (Arc<Partial>, Whose),
    reads: &[Reads],
) -> Result<Source, Failure> {
    partial.fetch(objects, reads, &attempt.stopped)?;
    let proven = video::prove(ffmpeg, partial.path(), partial.excerpt(), reads);
    proven.map_err(|e| match e.kind {
        ErrorKind::Transient if e.code == "internal" => too_little(attempt, whose, &e.message),
        _ => from_media(e),
    })?;
    Ok(Source {
        path: partial.path().to_owned(),
        partial: Some((partial, whose)),
    })
}

/// What [`video::inspect`] says of the upload. Blocks.
pub(crate) fn inspected(attempt: &Attempt, ffmpeg: &Ffmpeg) -> Result<Inspection, Failure> {
    let (media_type, limits) = (&attempt.task.media_type, &attempt.toolbox.video_limits);
    if Container::of_media_type(media_type) == Some(Container::Mov) {
        let source = source(attempt, ffmpeg, Container::Mov, &[])?;
        if let (Some((partial, whose)), Blobs::Objects(objects)) = (&source.partial, &attempt.blobs)
        {
            let whole = &mut partial.object(objects).file();
            let whole = (whole as &mut dyn Bytes, attempt.task.original.bytes);
            let found = video::inspect_excerpt(ffmpeg, source.path(), whole, media_type, limits);
            if let Some(found) = found.map_err(|e| source.failed(attempt, e))? {
                return Ok(found);
            }
            attempt.scratch.use_whole(*whose);
        }
    }
    video::inspect(ffmpeg, &original(attempt)?, media_type, limits).map_err(from_media)
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
fn original(attempt: &Attempt) -> Result<PathBuf, Failure> {
    let row = &attempt.task.original;
    let key = row.key.parse().map_err(|e| from_blob(&e))?;
    let objects = match &attempt.blobs {
        Blobs::Folder(files) => return Ok(files.path(&key)),
        Blobs::Objects(objects) => objects,
    };
    let fetched = attempt.scratch.fetched(|| {
        let folder = folder(attempt)?;
        let file = File::create_new(folder.path().join(FETCHED)).map_err(unwritten)?;
        let object = objects
            .version(&key, row.bytes)
            .map_err(|e| from_blob(&e))?;
        let mut write = |at, bytes: &[u8]| file.write_all_at(bytes, at);
        let sha256 = object.fetch_whole(&attempt.stopped, &mut write);
        attempt.check_original(Sha256(sha256.map_err(|e| from_blob(&e))?))?;
        Ok((folder, row.bytes))
    })?;
    Ok(fetched.path().join(FETCHED))
}

/// A folder for this attempt's files, gone with it.
pub(crate) fn folder(attempt: &Attempt) -> Result<Arc<TempDir>, Failure> {
    new_folder(attempt).map(Arc::new)
}

pub(super) fn new_folder(attempt: &Attempt) -> Result<TempDir, Failure> {
    tempfile::tempdir_in(&attempt.toolbox.scratch).map_err(|error| {
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
