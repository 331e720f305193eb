//! Bytes that clients send to the API, which keeps them here until they are taken in.

use super::FolderBlobs;
use super::growth::{copied, folder_of};
use super::write::{FolderWriter, blocking, remove, rename, sync_folder};
use crate::incoming::Incoming;
use crate::{BlobError, BlobKey};
use bytes::Bytes;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// A request's bytes on their way in.
#[derive(Debug)]
pub(crate) struct FolderReceiver {
    id: Uuid,
    part: Option<u32>,
    blobs: FolderBlobs,
    writer: FolderWriter,
}

impl FolderReceiver {
    pub(crate) async fn has_come(&self) -> bool {
        let place = self.blobs.path(&BlobKey::incoming(self.id));
        self.part.is_none() && tokio::fs::try_exists(place).await.unwrap_or(false)
    }

    pub(crate) async fn write(&mut self, piece: Bytes) -> Result<(), BlobError> {
        self.writer.write(piece).await
    }

    pub(crate) async fn finish(self, wanted: Option<[u8; 32]>) -> Result<String, BlobError> {
        let Self {
            id, part, writer, ..
        } = self;
        let name = move |sha256: &[u8; 32]| match part {
            None => BlobKey::incoming(id),
            // Other bytes have another name: what a client tells once stays what it is.
            Some(part) => BlobKey::incoming_part(id, part, &tag(sha256)),
        };
        match writer.finish_as(wanted, name).await {
            Ok(written) => Ok(tag(&written.sha256)),
            Err((sha256, BlobError::AlreadyExists(_))) if part.is_some() => Ok(tag(&sha256)),
            Err((_, error)) => Err(error),
        }
    }
}

/// Enough of a digest to name bytes by.
fn tag(sha256: &[u8; 32]) -> String {
    hex::encode(&sha256[..16])
}

impl FolderBlobs {
    pub(crate) fn receiver(&self, id: Uuid, part: Option<u32>) -> FolderReceiver {
        FolderReceiver {
            id,
            part,
            blobs: self.clone(),
            writer: self.writer(BlobKey::incoming(id)),
        }
    }

    pub(crate) async fn take_in(
        &self,
        id: Uuid,
        incoming: &Incoming,
    ) -> Result<BlobKey, BlobError> {
        let (blobs, incoming) = (self.clone(), incoming.clone());
        blocking(move || take_in(&blobs, id, &incoming)).await
    }

    pub(crate) async fn turn_away(
        &self,
        id: Uuid,
        incoming: &Incoming,
        but: Option<&BlobKey>,
    ) -> Result<(), BlobError> {
        let (folder, but) = (folder_of(self, id), but.map(|key| self.path(key)));
        let has_parts = incoming.part_bytes.is_some();
        let known = [BlobKey::incoming(id), BlobKey::original(id)].map(|key| self.path(&key));
        blocking(move || {
            // How many files there are of a part, and what they are called, only the folder tells.
            let surplus = match has_parts {
                true => files_of(&folder, id),
                false => Ok(known.into()),
            };
            let removed = surplus.and_then(|surplus| {
                let mut surplus = surplus.iter().filter(|path| but.as_ref() != Some(*path));
                surplus.try_for_each(|path| remove(path))
            });
            removed.map_err(BlobError::io("giving an upload up", ""))
        })
        .await
    }
}

/// All files of an upload. The folder has those of many others.
fn files_of(folder: &Path, id: Uuid) -> io::Result<Vec<PathBuf>> {
    let own = id.simple().to_string();
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(&own) {
            files.push(entry.path());
        }
    }
    Ok(files)
}

/// One file, with the name that nobody can be given an address for.
fn take_in(blobs: &FolderBlobs, id: Uuid, incoming: &Incoming) -> Result<BlobKey, BlobError> {
    let key = BlobKey::original(id);
    let place = blobs.path(&key);
    let fail = || BlobError::io("taking an upload in", key.as_str());
    if !place.exists() {
        let pieces = incoming.pieces();
        let whole = match incoming.part_bytes {
            None => blobs.path(&BlobKey::incoming(id)),
            Some(_) => {
                let tagged = pieces.iter().zip(&incoming.tags);
                let parts = tagged.map(|(piece, tag)| {
                    let part = piece.part.unwrap_or_default();
                    (BlobKey::incoming_part(id, part, tag), piece.bytes)
                });
                copied(blobs, &parts.collect::<Vec<_>>())?
            }
        };
        match rename(&whole, &place) {
            // Somebody else did the same meanwhile.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                fs::remove_file(&whole).map_err(fail())?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && place.exists() => {}
            renamed => renamed.map_err(fail())?,
        }
        sync_folder(&folder_of(blobs, id))?;
    }
    let found = fs::metadata(&place).map_err(fail())?.len();
    match found == incoming.bytes {
        true => Ok(key),
        false => Err(BlobError::Torn {
            expected: incoming.bytes,
            found,
        }),
    }
}
