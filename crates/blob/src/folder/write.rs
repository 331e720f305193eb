//! Writing: bytes are hashed on their way to a temporary file, which becomes the blob when it is whole.

use super::FolderBlobs;
use crate::{BlobError, BlobKey, Written};
use bytes::Bytes;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// A write under way. Dropped before it is finished it leaves nothing behind.
#[derive(Debug)]
pub struct FolderWriter {
    blobs: FolderBlobs,
    key: BlobKey,
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

impl FolderWriter {
    pub(super) fn new(blobs: FolderBlobs, key: BlobKey) -> Self {
        Self {
            blobs,
            key,
            waiting: Vec::new(),
            waiting_bytes: 0,
            sink: Some(Sink::new()),
        }
    }

    pub(crate) async fn write(&mut self, piece: Bytes) -> Result<(), BlobError> {
        self.waiting_bytes += piece.len();
        self.waiting.push(piece);
        if self.waiting_bytes < PIECE_BYTES {
            return Ok(());
        }
        let (pieces, mut sink) = self.take()?;
        let blobs = self.blobs.clone();
        self.sink = Some(
            blocking(move || {
                sink.append(&blobs, &pieces)?;
                Ok(sink)
            })
            .await?,
        );
        Ok(())
    }

    pub(crate) async fn finish(mut self) -> Result<Written, BlobError> {
        let (pieces, mut sink) = self.take()?;
        let Self { blobs, key, .. } = self;
        blocking(move || {
            sink.append(&blobs, &pieces)?;
            let written = sink.commit(&blobs, key)?;
            let path = blobs.path(&written.key);
            sync_folder(path.parent().unwrap_or(&blobs.root))?;
            Ok(written)
        })
        .await
    }

    /// Ends like [`Self::finish`], under a name that the bytes have a say in. With an error comes their digest.
    pub(super) async fn finish_as(
        mut self,
        wanted: Option<[u8; 32]>,
        name: impl FnOnce(&[u8; 32]) -> BlobKey + Send + 'static,
    ) -> Result<Written, ([u8; 32], BlobError)> {
        let (pieces, mut sink) = self.take().map_err(|e| ([0; 32], e))?;
        let blobs = self.blobs;
        let ended = blocking(move || {
            sink.append(&blobs, &pieces)?;
            let sha256 = sink.hasher.clone().finalize().into();
            Ok((sha256, finish_as(blobs, sink, wanted, name(&sha256))))
        });
        let (sha256, written) = ended.await.map_err(|e| ([0; 32], e))?;
        written.map_err(|e| (sha256, e))
    }

    /// Writes everything at once on this thread; the caller syncs the folder.
    pub(super) fn write_now(mut self, bytes: &[u8]) -> Result<Written, BlobError> {
        let (_, mut sink) = self.take()?;
        sink.append(&self.blobs, &[bytes])?;
        sink.commit(&self.blobs, self.key)
    }

    /// Copies a file on this thread, a piece at a time; the caller syncs the folder.
    pub(super) fn copy_now(mut self, file: &Path) -> Result<Written, BlobError> {
        let key = self.key.clone();
        let fail = || BlobError::io("reading a file", key.as_str());
        let (_, mut sink) = self.take()?;
        let mut from = File::open(file).map_err(fail())?;
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let read = from.read(&mut piece).map_err(fail())?;
            sink.append(&self.blobs, &[&piece[..read]])?;
            if read == 0 {
                return sink.commit(&self.blobs, self.key);
            }
        }
    }

    fn take(&mut self) -> Result<(Vec<Bytes>, Sink), BlobError> {
        self.waiting_bytes = 0;
        let sink = self.sink.take().ok_or(BlobError::Io {
            action: "writing a blob",
            source: std::io::Error::other("an earlier write failed"),
        })?;
        Ok((std::mem::take(&mut self.waiting), sink))
    }
}

fn finish_as(
    blobs: FolderBlobs,
    sink: Sink,
    wanted: Option<[u8; 32]>,
    key: BlobKey,
) -> Result<Written, BlobError> {
    let found: [u8; 32] = sink.hasher.clone().finalize().into();
    if wanted.is_some_and(|wanted| wanted != found) {
        return Err(BlobError::Other);
    }
    let written = sink.commit(&blobs, key)?;
    let path = blobs.path(&written.key);
    sync_folder(path.parent().unwrap_or(&blobs.root))?;
    Ok(written)
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

    fn append(
        &mut self,
        blobs: &FolderBlobs,
        pieces: &[impl AsRef<[u8]>],
    ) -> Result<(), BlobError> {
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let path = blobs.temporary.join(Uuid::new_v4().simple().to_string());
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

    fn commit(mut self, blobs: &FolderBlobs, key: BlobKey) -> Result<Written, BlobError> {
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
        let moved = rename(&temporary, &blobs.path(&key));
        if let Err(error) = moved {
            self.temporary.0 = Some(temporary);
            return Err(fail()(error));
        }
        Ok(Written {
            key,
            sha256: self.hasher.finalize().into(),
            bytes: self.bytes,
        })
    }
}

/// Removes a file. Removing what is gone is no error.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Gives the file its name, which must be free: in one step, so that of two that want the name one gets it.
pub(super) fn rename(temporary: &Path, place: &Path) -> io::Result<()> {
    match renameat_with(CWD, temporary, CWD, place, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        // NFS and other network file systems cannot refuse to replace; a second name they can refuse.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => link(temporary, place),
        Err(error) => Err(error.into()),
    }
}

fn link(temporary: &Path, place: &Path) -> io::Result<()> {
    if let Err(error) = fs::hard_link(temporary, place) {
        // The server's answer may have been lost and the request sent again: the file itself knows whether it has
        // two names now.
        let has_both = fs::metadata(temporary).is_ok_and(|file| file.nlink() == 2);
        if !has_both {
            return Err(error);
        }
    }
    fs::remove_file(temporary)
}

/// Makes names in a folder durable. Some network file systems do that by themselves and refuse to be asked.
pub(super) fn sync_folder(path: &Path) -> Result<(), BlobError> {
    match File::open(path).and_then(|f| f.sync_all()) {
        Err(e) if matches!(e.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => Ok(()),
        synced => synced.map_err(BlobError::io("syncing a folder", "")),
    }
}

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BlobError> + Send + 'static,
) -> Result<T, BlobError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|e| {
        Err(BlobError::Io {
            action: "writing a blob",
            source: std::io::Error::other(e),
        })
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_file_system_that_cannot_refuse_to_replace_keeps_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["one", "two"] {
            fs::write(path(name), name).unwrap();
        }
        link(&path("one"), &path("key")).unwrap();
        let refused = link(&path("two"), &path("key")).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read(path("key")).unwrap(), b"one");
        assert!(!path("one").exists() && path("two").exists());
    }

    #[test]
    fn a_name_that_was_given_though_the_answer_was_lost_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("one"), "one").unwrap();
        fs::hard_link(path("one"), path("key")).unwrap();
        link(&path("one"), &path("key")).unwrap();
        assert_eq!(fs::read(path("key")).unwrap(), b"one");
    }
}
