//! What this worker has of an original that lies in an object store: its index, and the bytes that its tasks read.

use crate::ops::failure::{from_blob, unwritten};
use mediaflow_core::Failure;
use mediaflow_engine::blob::{ObjectBlobs, ObjectVersion};
use mediaflow_media::mp4::{Excerpt, Reads, Spans};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use tempfile::TempDir;

/// The plain name of the copy.
const COPY: &str = "partial";

/// A copy of a film that grows by what is asked of it. All tasks of the asset share it.
#[derive(Debug)]
pub(crate) struct Partial {
    object: ObjectVersion,
    excerpt: Excerpt,
    file: File,
    path: PathBuf,
    there: Mutex<Spans>,
    bytes: AtomicU64,
    _folder: TempDir,
}

impl Partial {
    /// A copy without any sample. Blocks. Nothing where the file has no tables to go by.
    pub(crate) fn of(object: ObjectVersion, folder: TempDir) -> Result<Option<Self>, Failure> {
        let Some(excerpt) = Excerpt::of(&mut object.file()) else {
            return Ok(None);
        };
        let path = folder.path().join(COPY);
        let file = File::create_new(&path).map_err(unwritten)?;
        excerpt.begin(&file).map_err(unwritten)?;
        Ok(Some(Self {
            bytes: AtomicU64::new(excerpt.front_bytes()),
            object,
            excerpt,
            file,
            path,
            there: Mutex::default(),
            _folder: folder,
        }))
    }

    /// Fetches what is missing for these readers, with the rights of the task that asks. Blocks, also while another task
    /// fetches for itself.
    pub(crate) fn fetch(
        &self,
        blobs: &ObjectBlobs,
        reads: &[Reads],
        stopped: &AtomicBool,
    ) -> Result<(), Failure> {
        let mut there = self.there.lock().unwrap_or_else(PoisonError::into_inner);
        let missing = self.excerpt.spans(reads).without(&there);
        if missing.bytes() == 0 {
            return Ok(());
        }
        let mut write = |at, bytes: &[u8]| self.excerpt.write(&self.file, at, bytes);
        let object = self.object.through(blobs);
        let fetched = object.fetch(missing.iter(), stopped, &mut write);
        fetched.map_err(|e| from_blob(&e))?;
        there.add(&missing);
        let admitted = self.excerpt.admit(&self.file, &there, &missing);
        admitted.map_err(unwritten)?;
        let bytes = self.excerpt.front_bytes() + there.bytes();
        self.bytes.store(bytes, Ordering::Relaxed);
        tracing::debug!(
            fetched = missing.bytes(),
            held = bytes,
            of = self.excerpt.original_bytes(),
            "fetched parts of an original"
        );
        Ok(())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn excerpt(&self) -> &Excerpt {
        &self.excerpt
    }

    /// The whole original, where it lies, with the rights of the task that asks.
    pub(crate) fn object(&self, blobs: &ObjectBlobs) -> ObjectVersion {
        self.object.through(blobs)
    }

    /// What it takes on the disk.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}
