//! Files that grow over several requests. A process writes on in a file that it began itself, when it is sure that no other
//! request of its own still does; anybody else begins another file, and in the end they are copied together.

use super::FolderBlobs;
use super::write::{blocking, remove, rename, sync_folder};
use crate::grown::{Place, Segment, freeze, thaw};
use crate::{BlobError, BlobKey, Grown, Written};
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;
use tokio::task::JoinHandle;
use uuid::Uuid;

/// Pieces are collected to this size before a thread is asked to write them.
const PIECE_BYTES: usize = 1 << 20;

/// Takers of one upload whose files are known by their names, the newest; what older ones left is found by the collector.
const TAKERS_MAX: u64 = 1000;

/// A writer of a growing file. One piece is written while the next arrives.
#[derive(Debug)]
pub struct FolderGrowth {
    waiting: Vec<Bytes>,
    waiting_bytes: usize,
    state: State,
}

#[derive(Debug)]
enum State {
    Idle(Box<Sink>),
    Writing(JoinHandle<Result<Box<Sink>, BlobError>>),
    Failed,
}

#[derive(Debug)]
struct Sink {
    blobs: FolderBlobs,
    id: Uuid,
    fence: u64,
    segments: Vec<Segment>,
    /// The last segment's.
    file: Option<File>,
    is_new: bool,
    hasher: Sha256,
    bytes: u64,
}

impl FolderBlobs {
    pub(crate) fn grow(
        &self,
        id: Uuid,
        fence: u64,
        grown: Option<Grown>,
    ) -> Result<FolderGrowth, BlobError> {
        let (segments, hasher, bytes) = match grown {
            None => (Vec::new(), Sha256::new(), 0),
            Some(grown) => match grown.place {
                Place::Segments(ref segments) => {
                    (segments.clone(), thaw(&grown.hash)?, grown.bytes)
                }
                _ => return Err(grown.misplaced()),
            },
        };
        let sink = Sink {
            blobs: self.clone(),
            id,
            fence,
            segments,
            file: None,
            is_new: false,
            hasher,
            bytes,
        };
        Ok(FolderGrowth {
            waiting: Vec::new(),
            waiting_bytes: 0,
            state: State::Idle(Box::new(sink)),
        })
    }

    pub(crate) async fn complete(&self, id: Uuid, grown: &Grown) -> Result<Written, BlobError> {
        let (blobs, grown) = (self.clone(), grown.clone());
        blocking(move || join(&blobs, id, &grown)).await
    }

    pub(crate) async fn abandon(
        &self,
        id: Uuid,
        fence: u64,
        grown: Option<&Grown>,
        but: Option<&BlobKey>,
    ) -> Result<(), BlobError> {
        let segments = match grown.map(|grown| &grown.place) {
            Some(Place::Segments(segments)) => segments.as_slice(),
            _ => &[],
        };
        // What a taker wrote that was killed, nobody may have recorded.
        let takers = fence.saturating_sub(TAKERS_MAX) + 1..=fence;
        let fences: BTreeSet<u64> = segments.iter().map(|s| s.fence).chain(takers).collect();
        let keys = fences.into_iter().map(|fence| BlobKey::segment(id, fence));
        let keys = keys.chain([BlobKey::original(id)]);
        let surplus = keys.filter(|key| but != Some(key));
        let surplus: Vec<PathBuf> = surplus.map(|key| self.path(&key)).collect();
        blocking(move || {
            let removed = surplus.iter().try_for_each(|path| remove(path));
            removed.map_err(BlobError::io("giving an upload up", ""))
        })
        .await
    }
}

impl FolderGrowth {
    pub(crate) async fn write(&mut self, piece: Bytes) -> Result<(), BlobError> {
        self.waiting_bytes += piece.len();
        self.waiting.push(piece);
        match self.waiting_bytes < PIECE_BYTES {
            true => Ok(()),
            false => self.flush().await,
        }
    }

    pub(crate) async fn checkpoint(&mut self) -> Result<Grown, BlobError> {
        self.flush().await?;
        let mut sink = self.idle().await?;
        let (sink, grown) = blocking(move || {
            let grown = sink.sync()?;
            Ok((sink, grown))
        })
        .await?;
        self.state = State::Idle(sink);
        Ok(grown)
    }

    pub(crate) async fn close(mut self) {
        // What failed was told when it failed, or is not wanted any more.
        let _ = self.idle().await;
    }

    async fn flush(&mut self) -> Result<(), BlobError> {
        let mut sink = self.idle().await?;
        let pieces = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        self.state = State::Writing(tokio::task::spawn_blocking(move || {
            sink.append(&pieces)?;
            Ok(sink)
        }));
        Ok(())
    }

    async fn idle(&mut self) -> Result<Box<Sink>, BlobError> {
        let failed = |reason| BlobError::Io {
            action: "writing an upload",
            source: io::Error::other::<String>(reason),
        };
        match std::mem::replace(&mut self.state, State::Failed) {
            State::Idle(sink) => Ok(sink),
            State::Writing(writing) => writing.await.map_err(|e| failed(e.to_string()))?,
            State::Failed => Err(failed("an earlier write failed".into())),
        }
    }
}

impl Sink {
    fn append(&mut self, pieces: &[Bytes]) -> Result<(), BlobError> {
        for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
            self.hasher.update(piece);
            let count = piece.len() as u64;
            let file = self.file()?;
            file.write_all(piece)
                .map_err(BlobError::io("writing an upload", ""))?;
            self.bytes += count;
            let segment = self.segments.last_mut();
            segment.expect("the file has a segment").bytes += count;
        }
        Ok(())
    }

    fn file(&mut self) -> Result<&mut File, BlobError> {
        if self.file.is_none() {
            let file = self.open()?;
            self.file = Some(file);
        }
        Ok(self.file.as_mut().expect("it was opened just now"))
    }

    fn open(&mut self) -> Result<File, BlobError> {
        let fail = || BlobError::io("opening an upload", "");
        let own = self.segments.last();
        if let Some(own) = own.filter(|last| last.holder == self.blobs.holder) {
            let path = self.blobs.path(&BlobKey::segment(self.id, own.fence));
            let mut file = OpenOptions::new().write(true).open(path).map_err(fail())?;
            // What lies behind was never recorded.
            file.set_len(own.bytes).map_err(fail())?;
            file.seek(SeekFrom::End(0)).map_err(fail())?;
            return Ok(file);
        }
        let path = self.blobs.path(&BlobKey::segment(self.id, self.fence));
        let file = File::create_new(path).map_err(fail())?;
        self.is_new = true;
        self.segments.push(Segment {
            fence: self.fence,
            bytes: 0,
            holder: self.blobs.holder,
        });
        Ok(file)
    }

    fn sync(&mut self) -> Result<Grown, BlobError> {
        if let Some(file) = &self.file {
            file.sync_data()
                .map_err(BlobError::io("syncing an upload", ""))?;
        }
        if std::mem::take(&mut self.is_new) {
            sync_folder(&folder_of(&self.blobs, self.id))?;
        }
        Ok(Grown {
            bytes: self.bytes,
            hash: freeze(&self.hasher),
            place: Place::Segments(self.segments.clone()),
        })
    }
}

pub(super) fn folder_of(blobs: &FolderBlobs, id: Uuid) -> PathBuf {
    let path = blobs.path(&BlobKey::original(id));
    path.parent().unwrap_or(&blobs.root).to_owned()
}

/// One file with just the bytes that are recorded.
fn join(blobs: &FolderBlobs, id: Uuid, grown: &Grown) -> Result<Written, BlobError> {
    let Place::Segments(segments) = &grown.place else {
        return Err(grown.misplaced());
    };
    let key = match segments.as_slice() {
        // Nobody else has ever had it open.
        [own] if own.holder == blobs.holder => BlobKey::segment(id, own.fence),
        _ => BlobKey::original(id),
    };
    let written = Written {
        key: key.clone(),
        sha256: thaw(&grown.hash)?.finalize().into(),
        bytes: grown.bytes,
    };
    let place = blobs.path(&key);
    let fail = || BlobError::io("storing an upload", key.as_str());
    if key == BlobKey::original(id) && !place.exists() {
        let parts = segments.iter();
        let parts = parts.map(|s| (BlobKey::segment(id, s.fence), s.bytes));
        let whole = copied(blobs, &parts.collect::<Vec<_>>())?;
        match rename(&whole, &place) {
            // Somebody else did the same meanwhile.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                fs::remove_file(&whole).map_err(fail())?;
            }
            renamed => renamed.map_err(fail())?,
        }
        sync_folder(&folder_of(blobs, id))?;
    }
    let file = OpenOptions::new().write(true).open(&place);
    let file = file.map_err(fail())?;
    let found = file.metadata().map_err(fail())?.len();
    if found < grown.bytes {
        return Err(BlobError::Torn {
            expected: grown.bytes,
            found,
        });
    }
    if found > grown.bytes {
        file.set_len(grown.bytes).map_err(fail())?;
        file.sync_all().map_err(fail())?;
    }
    Ok(written)
}

/// So many bytes of each of these, one after the other, in a file that has no name yet.
pub(super) fn copied(blobs: &FolderBlobs, parts: &[(BlobKey, u64)]) -> Result<PathBuf, BlobError> {
    let fail = || BlobError::io("joining an upload", "");
    let path = blobs.temporary.join(Uuid::new_v4().simple().to_string());
    let mut whole = File::create_new(&path).map_err(fail())?;
    let mut copy = || {
        for (key, bytes) in parts {
            let from = File::open(blobs.path(key))?;
            let copied = io::copy(&mut from.take(*bytes), &mut whole)?;
            if copied != *bytes {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
            }
        }
        whole.sync_all()
    };
    if let Err(error) = copy() {
        // Nothing else can be done here.
        let _ = fs::remove_file(&path);
        return Err(fail()(error));
    }
    Ok(path)
}
