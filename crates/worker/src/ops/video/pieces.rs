//! Films in an object store that have no index, or one that cannot be read in parts: one task reads such a film once and
//! copies it, as it comes, into blobs of a bounded size that are an ordinary MP4 file when they are read as one. All later tasks
//! fetch of these what they read.

use super::film::{ATTEMPTS_IN_PARTS, Source, folder, in_parts, new_folder, of_original};
use crate::attempt::Attempt;
use crate::ops::failure::{from_blob, from_media, unwritten};
use crate::partial::Partial;
use crate::scratch::Whose;
use mediaflow_core::{Failure, Sha256};
use mediaflow_engine::blob::{BlobKey, Blobs, ObjectBlobs};
use mediaflow_engine::store::{BlobRow, NewBlob};
use mediaflow_media::video::{
    self, Container, Ffmpeg, HEAD_BYTES, Inspection, MediaInfo, SplitError, Streamed,
};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// Most samples in one blob. They are in memory until it is written.
const PIECE_BYTES: usize = 16 << 20;
/// The plain name of the copy where it is one file.
const INDEXED: &str = "indexed.mp4";
/// Of its samples, before the index is known.
const SAMPLES: &str = "samples";

/// What was made of a film.
pub(super) struct Pieces {
    pub(super) inspection: Inspection,
    pub(super) indexed: MediaInfo,
    /// The index, then samples.
    pub(super) blobs: Vec<NewBlob>,
}

/// Looks at the upload and copies it into blobs. Blocks. Nothing where it need not or cannot be.
pub(super) fn make(attempt: &Attempt, ffmpeg: &Ffmpeg) -> Result<Option<Pieces>, Failure> {
    let Blobs::Objects(objects) = &attempt.blobs else {
        return Ok(None);
    };
    if attempt.task.attempt > ATTEMPTS_IN_PARTS || !is_streamed(attempt, objects)? {
        return Ok(None);
    }
    let mut pieces = Vec::new();
    let mut piece = Vec::with_capacity(PIECE_BYTES);
    let made = split(attempt, ffmpeg, &mut |mut samples| {
        while !samples.is_empty() {
            let count = samples.len().min(PIECE_BYTES - piece.len());
            piece.extend_from_slice(&samples[..count]);
            samples = &samples[count..];
            if piece.len() == PIECE_BYTES {
                pieces.extend(attempt.write(std::slice::from_ref(&piece))?);
                piece.clear();
            }
        }
        Ok(())
    });
    let made = match made {
        Err(SplitError::Unfit(reason)) => {
            tracing::info!(%reason, "the film is fetched whole, because it cannot be copied while it is read");
            return Ok(None);
        }
        made => made.map_err(failure)?,
    };
    if !piece.is_empty() {
        pieces.extend(attempt.write(&[piece])?);
    }
    let mut blobs = attempt.write(&[made.index])?;
    blobs.append(&mut pieces);
    Ok(Some(Pieces {
        inspection: made.inspection,
        indexed: made.indexed,
        blobs,
    }))
}

fn is_streamed(attempt: &Attempt, objects: &ObjectBlobs) -> Result<bool, Failure> {
    match Container::of_media_type(&attempt.task.media_type) {
        Some(Container::Mov) if of_original(attempt, objects)?.is_none() => {
            let row = &attempt.task.original;
            let key = row.key.parse().map_err(|e| from_blob(&e))?;
            let object = objects.version(&key, row.bytes);
            Ok(video::is_fragmented(
                &mut object.map_err(|e| from_blob(&e))?.file(),
            ))
        }
        Some(container) => Ok(video::is_streamable(container)),
        None => Ok(false),
    }
}

/// The copy, with what these readers come to see. Blocks; `rows` are its blobs. Where they are gone or do not do, this worker
/// makes a copy of its own, which has the same packets and times.
pub(super) fn open(
    attempt: &Attempt,
    ffmpeg: &Ffmpeg,
    rows: &[BlobRow],
    reads: &[mediaflow_media::mp4::Reads],
) -> Result<Source, Failure> {
    if let Blobs::Objects(objects) = &attempt.blobs
        && attempt.task.attempt <= ATTEMPTS_IN_PARTS
        && !rows.is_empty()
    {
        let partial = attempt.scratch.partial(Whose::Copy, || {
            let key = |row: &BlobRow| Ok::<_, Failure>((parsed(row)?, row.bytes));
            let objects = objects.joined(&rows.iter().map(key).collect::<Result<Vec<_>, _>>()?);
            Partial::of(objects, new_folder(attempt)?)
        })?;
        if let Some(partial) = partial {
            return in_parts(attempt, ffmpeg, objects, (partial, Whose::Copy), reads);
        }
    }
    let copy = attempt.scratch.copy(|| {
        let folder = folder(attempt)?;
        let bytes = copied(attempt, ffmpeg, folder.path())?;
        Ok((folder, bytes))
    })?;
    Ok(Source::whole(copy.path().join(INDEXED)))
}

/// Makes the copy as one file in `folder`, and tells its length.
fn copied(attempt: &Attempt, ffmpeg: &Ffmpeg, folder: &Path) -> Result<u64, Failure> {
    let path = folder.join(SAMPLES);
    let mut samples = File::create_new(&path).map_err(unwritten)?;
    let made = split(attempt, ffmpeg, &mut |bytes| {
        samples.write_all(bytes).map_err(unwritten)
    });
    let made = made.map_err(failure)?;
    let join = || {
        let mut file = File::create_new(folder.join(INDEXED))?;
        file.write_all(&made.index)?;
        let bytes = io::copy(&mut File::open(&path)?, &mut file)?;
        std::fs::remove_file(&path)?;
        Ok(made.index.len() as u64 + bytes)
    };
    join().map_err(unwritten)
}

fn failure(error: SplitError<Failure>) -> Failure {
    match error {
        SplitError::Outside(failure) => failure,
        SplitError::Media(error) => from_media(error),
        SplitError::Unfit(reason) => from_media(mediaflow_media::MediaError::corrupt(reason)),
    }
}

fn parsed(row: &BlobRow) -> Result<BlobKey, Failure> {
    row.key.parse().map_err(|e| from_blob(&e))
}

/// Reads the upload once.
fn split(
    attempt: &Attempt,
    ffmpeg: &Ffmpeg,
    keep: &mut (dyn FnMut(&[u8]) -> Result<(), Failure> + Send),
) -> Result<video::Split, SplitError<Failure>> {
    let upload = Upload::of(attempt).map_err(SplitError::Outside)?;
    let head = upload.head().map_err(SplitError::Outside)?;
    let film = Streamed {
        media_type: &attempt.task.media_type,
        bytes: attempt.task.original.bytes,
        head: &head,
    };
    let scratch = folder(attempt).map_err(SplitError::Outside)?;
    let limits = &attempt.toolbox.video_limits;
    let feed = |take: &mut dyn FnMut(&[u8]) -> io::Result<()>| upload.feed(take);
    video::split(ffmpeg, &film, limits, scratch.path(), feed, keep)
}

/// The upload, as it is read from its beginning to its end.
struct Upload<'a> {
    attempt: &'a Attempt,
    place: Place,
}

enum Place {
    Objects(mediaflow_engine::blob::ObjectVersion),
    File(PathBuf),
}

impl<'a> Upload<'a> {
    fn of(attempt: &'a Attempt) -> Result<Self, Failure> {
        let row = &attempt.task.original;
        let key = parsed(row)?;
        let place = match &attempt.blobs {
            Blobs::Folder(files) => Place::File(files.path(&key)),
            Blobs::Objects(objects) => {
                let object = objects.version(&key, row.bytes);
                Place::Objects(object.map_err(|e| from_blob(&e))?)
            }
        };
        Ok(Self { attempt, place })
    }

    fn head(&self) -> Result<Vec<u8>, Failure> {
        let mut head = Vec::new();
        let bytes = self.attempt.task.original.bytes.min(HEAD_BYTES);
        match &self.place {
            Place::File(path) => {
                let file = File::open(path).map_err(unwritten)?;
                file.take(bytes).read_to_end(&mut head).map_err(unwritten)?;
            }
            Place::Objects(object) => {
                let mut take = |_, part: &[u8]| {
                    head.extend_from_slice(part);
                    Ok(())
                };
                let fetched =
                    object.fetch(std::iter::once(0..bytes), &self.attempt.stopped, &mut take);
                fetched.map_err(|e| from_blob(&e))?;
            }
        }
        Ok(head)
    }

    fn feed(&self, take: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> Result<(), Failure> {
        match &self.place {
            Place::File(path) => {
                let mut file = File::open(path).map_err(unwritten)?;
                let mut buffer = vec![0; 1 << 20];
                loop {
                    match file.read(&mut buffer).map_err(unwritten)? {
                        0 => return Ok(()),
                        n => take(&buffer[..n]).map_err(unwritten)?,
                    }
                }
            }
            Place::Objects(object) => {
                let fetched = object.fetch_whole(&self.attempt.stopped, &mut |_, part| take(part));
                let sha256 = fetched.map_err(|e| from_blob(&e))?;
                self.attempt.check_original(Sha256(sha256))
            }
        }
    }
}
