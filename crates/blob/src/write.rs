//! Writing: bytes are hashed on their way to a temporary file, which becomes the blob when it is whole.

use crate::{BlobError, BlobKey};
use bytes::Bytes;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use uuid::Uuid;

/// What is now durably stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Where.
    pub key: BlobKey,
    /// SHA-256 of all bytes, computed on the way.
    pub sha256: [u8; 32],
    /// How many.
    pub bytes: u64,
}

/// A write under way. Dropped without [`BlobWriter::finish`] it leaves nothing behind.
#[derive(Debug)]
pub struct BlobWriter {
    root: Arc<Path>,
    waiting: Vec<Bytes>,
    waiting_bytes: usize,
    sink: Option<Sink>,
}

/// Pieces are collected to this size before a thread is asked to write them: small uploads then
/// cost one hop to a blocking thread, large ones few.
const PIECE_BYTES: usize = 1 << 20;

#[derive(Debug)]
struct Sink {
    temporary: Temporary,
    file: Option<File>,
    hasher: Sha256,
    bytes: u64,
}

/// Removes its file unless that was renamed.
#[derive(Debug)]
struct Temporary(Option<PathBuf>);

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // The file may never have been made; nothing else can be done here.
            let _ = std::fs::remove_file(path);
        }
    }
}

impl BlobWriter {
    pub(crate) fn new(root: Arc<Path>) -> Self {
        Self {
            root,
            waiting: Vec::new(),
            waiting_bytes: 0,
            sink: Some(Sink::new()),
        }
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// When the disk does not take them; the write is over then.
    pub async fn write(&mut self, piece: Bytes) -> Result<(), BlobError> {
        self.waiting_bytes += piece.len();
        self.waiting.push(piece);
        if self.waiting_bytes < PIECE_BYTES {
            return Ok(());
        }
        let (root, pieces, mut sink) = self.take()?;
        self.sink = Some(
            blocking(move || {
                sink.append(&root, &pieces)?;
                Ok(sink)
            })
            .await?,
        );
        Ok(())
    }

    /// Makes everything durable under `key`, which must not exist.
    ///
    /// # Errors
    /// When the disk does not take it or the key exists.
    pub async fn finish(mut self, key: BlobKey) -> Result<Written, BlobError> {
        let (root, pieces, mut sink) = self.take()?;
        blocking(move || {
            sink.append(&root, &pieces)?;
            let written = sink.commit(&root, key)?;
            sync_folder(root.join(written.key.as_str()).parent().unwrap_or(&root))?;
            Ok(written)
        })
        .await
    }

    /// Writes everything at once on this thread; the caller syncs the folder.
    pub(crate) fn write_now(&mut self, key: &BlobKey, bytes: &[u8]) -> Result<Written, BlobError> {
        let (root, _, mut sink) = self.take()?;
        sink.append(&root, &[bytes])?;
        sink.commit(&root, key.clone())
    }

    /// Copies a file on this thread, a piece at a time; the caller syncs the folder.
    pub(crate) fn copy_now(&mut self, key: &BlobKey, file: &Path) -> Result<Written, BlobError> {
        let fail = || BlobError::io("reading a file", key.as_str());
        let (root, _, mut sink) = self.take()?;
        let mut from = File::open(file).map_err(fail())?;
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let read = from.read(&mut piece).map_err(fail())?;
            sink.append(&root, &[&piece[..read]])?;
            if read == 0 {
                return sink.commit(&root, key.clone());
            }
        }
    }

    fn take(&mut self) -> Result<(Arc<Path>, Vec<Bytes>, Sink), BlobError> {
        self.waiting_bytes = 0;
        let sink = self.sink.take().ok_or(BlobError::Io {
            action: "writing a blob",
            source: std::io::Error::other("an earlier write failed"),
        })?;
        Ok((
            Arc::clone(&self.root),
            std::mem::take(&mut self.waiting),
            sink,
        ))
    }
}

impl Sink {
    fn new() -> Self {
        Self {
            temporary: Temporary(None),
            file: None,
            hasher: Sha256::new(),
            bytes: 0,
        }
    }

    fn append(&mut self, root: &Path, pieces: &[impl AsRef<[u8]>]) -> Result<(), BlobError> {
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let path = root.join("tmp").join(Uuid::new_v4().simple().to_string());
                let file = File::create_new(&path).map_err(BlobError::io("creating a blob", ""))?;
                self.temporary = Temporary(Some(path));
                self.file.insert(file)
            }
        };
        for piece in pieces {
            let piece = piece.as_ref();
            self.hasher.update(piece);
            self.bytes += piece.len() as u64;
            file.write_all(piece)
                .map_err(BlobError::io("writing a blob", ""))?;
        }
        Ok(())
    }

    fn commit(mut self, root: &Path, key: BlobKey) -> Result<Written, BlobError> {
        let fail = || BlobError::io("storing a blob", key.as_str());
        let file = self.file.as_ref().expect("append made the file");
        file.sync_all().map_err(fail())?;
        let found = file.metadata().map_err(fail())?.len();
        if found != self.bytes {
            return Err(BlobError::Torn {
                expected: self.bytes,
                found,
            });
        }
        let temporary = self.temporary.0.take().expect("append named the file");
        let place = root.join(key.as_str());
        if let Err(error) = renameat_with(CWD, &temporary, CWD, &place, RenameFlags::NOREPLACE) {
            self.temporary.0 = Some(temporary);
            return Err(fail()(error.into()));
        }
        Ok(Written {
            key,
            sha256: self.hasher.finalize().into(),
            bytes: self.bytes,
        })
    }
}

pub(crate) fn sync_folder(path: &Path) -> Result<(), BlobError> {
    File::open(path)
        .and_then(|f| f.sync_all())
        .map_err(BlobError::io("syncing a folder", ""))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BlobError> + Send + 'static,
) -> Result<T, BlobError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|e| {
        Err(BlobError::Io {
            action: "writing a blob",
            source: std::io::Error::other(e),
        })
    })
}
