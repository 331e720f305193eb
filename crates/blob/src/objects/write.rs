//! Writing: bytes are hashed on their way into parts of one size. What fits one part is one request, and more is an
//! upload in parts whose list is kept here and never asked of the store.

use super::ObjectBlobs;
use super::config::Protocol;
use crate::{BlobError, BlobKey, Written};
use bytes::Bytes;
use object_store::multipart::PartId;
use object_store::path::Path as ObjectPath;
use object_store::{
    Attribute, Attributes, GetOptions, MultipartId, ObjectStore as _, PutMode, PutMultipartOptions,
    PutOptions, PutPayload,
};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use tokio::task::JoinSet;
use uuid::Uuid;

/// Parts of one file that are being sent at the same time.
pub(super) const SENT_TOGETHER: usize = 2;
/// What stores allow.
pub(super) const PARTS_MAX: usize = 10_000;
/// The name of the mark by which a write knows its own object again.
pub(super) const MARK: &str = "mediaflow-write";

/// A write under way. Dropped before it is finished it leaves nothing that can be read.
#[derive(Debug)]
pub struct ObjectWriter {
    blobs: ObjectBlobs,
    key: BlobKey,
    place: ObjectPath,
    mark: String,
    waiting: Vec<Bytes>,
    waiting_bytes: usize,
    hasher: Sha256,
    bytes: u64,
    upload: Option<Upload>,
}

#[derive(Debug)]
struct Upload {
    id: MultipartId,
    begun: usize,
    sending: JoinSet<object_store::Result<(usize, PartId)>>,
    sent: Vec<(usize, PartId)>,
}

/// What is stored under the key.
pub(super) struct Found {
    pub(super) bytes: u64,
    pub(super) mark: Option<String>,
}

impl ObjectWriter {
    pub(super) fn new(blobs: ObjectBlobs, key: BlobKey) -> Self {
        Self {
            place: blobs.place(key.as_str()),
            blobs,
            key,
            mark: Uuid::new_v4().simple().to_string(),
            waiting: Vec::new(),
            waiting_bytes: 0,
            hasher: Sha256::new(),
            bytes: 0,
            upload: None,
        }
    }

    pub(crate) async fn write(&mut self, piece: Bytes) -> Result<(), BlobError> {
        self.hasher.update(&piece);
        self.bytes += piece.len() as u64;
        self.waiting_bytes += piece.len();
        self.waiting.push(piece);
        // The last part may be full as well, and what fits one part needs no upload of parts.
        while self.waiting_bytes > self.blobs.inner.part_bytes {
            let part = self.take_part();
            self.send(part).await?;
        }
        Ok(())
    }

    pub(crate) async fn finish(mut self) -> Result<Written, BlobError> {
        let rest = PutPayload::from_iter(std::mem::take(&mut self.waiting));
        if self.upload.is_none() {
            self.put(rest).await?;
        } else {
            self.send(rest).await?;
            self.complete().await?;
        }
        Ok(Written {
            key: self.key.clone(),
            sha256: std::mem::take(&mut self.hasher).finalize().into(),
            bytes: self.bytes,
        })
    }

    /// Exactly one part of what waits: some stores want all but the last to have one size.
    fn take_part(&mut self) -> PutPayload {
        let wanted = self.blobs.inner.part_bytes;
        let (mut part, mut bytes) = (Vec::new(), 0);
        let mut waiting = std::mem::take(&mut self.waiting).into_iter();
        for mut piece in waiting.by_ref() {
            let missing = wanted - bytes;
            if piece.len() > missing {
                self.waiting.push(piece.split_off(missing));
            }
            bytes += piece.len();
            part.push(piece);
            if bytes == wanted {
                break;
            }
        }
        self.waiting.extend(waiting);
        self.waiting_bytes -= bytes;
        PutPayload::from_iter(part)
    }

    async fn send(&mut self, part: PutPayload) -> Result<(), BlobError> {
        self.begin().await?;
        let Some(upload) = &mut self.upload else {
            return Ok(());
        };
        let number = upload.begun;
        if number >= PARTS_MAX {
            return Err(BlobError::Refused {
                action: "writing a blob",
                reason: "it has more than 10,000 parts; object_store.part_bytes must be larger"
                    .into(),
            });
        }
        upload.begun += 1;
        let inner = Arc::clone(&self.blobs.inner);
        let permits = Arc::clone(&inner.parts);
        let permit = permits.acquire_owned().await.expect("it is never closed");
        let (place, id) = (self.place.clone(), upload.id.clone());
        upload.sending.spawn(async move {
            let _permit = permit;
            let part = inner.bucket.put_part(&place, &id, number, part).await?;
            Ok((number, part))
        });
        self.wait_until_sending(SENT_TOGETHER - 1).await
    }

    async fn begin(&mut self) -> Result<(), BlobError> {
        if self.upload.is_some() {
            return Ok(());
        }
        let mut options = PutMultipartOptions::default();
        if self.is_marked() {
            options.attributes = self.attributes();
        }
        let bucket = &self.blobs.inner.bucket;
        let begun = bucket.create_multipart_opts(&self.place, options).await;
        self.upload = Some(Upload {
            id: begun.map_err(|e| self.failed(e))?,
            begun: 0,
            sending: JoinSet::new(),
            sent: Vec::new(),
        });
        Ok(())
    }

    /// Waits until no more than `most` parts are on their way.
    async fn wait_until_sending(&mut self, most: usize) -> Result<(), BlobError> {
        while let Some(upload) = &mut self.upload
            && upload.sending.len() > most
            && let Some(sent) = upload.sending.join_next().await
        {
            match sent {
                Ok(Ok(part)) => upload.sent.push(part),
                Ok(Err(error)) => return Err(self.failed(error)),
                Err(error) => {
                    return Err(BlobError::Io {
                        action: "writing a blob",
                        source: std::io::Error::other(error),
                    });
                }
            }
        }
        Ok(())
    }

    async fn put(&mut self, all: PutPayload) -> Result<(), BlobError> {
        let options = PutOptions {
            mode: PutMode::Create,
            attributes: self.attributes(),
            ..PutOptions::default()
        };
        let bucket = &self.blobs.inner.bucket;
        let said = bucket.put_opts(&self.place, all, options).await;
        self.settle(said.map(|_| ()), true).await
    }

    async fn complete(&mut self) -> Result<(), BlobError> {
        self.wait_until_sending(0).await?;
        let Some(upload) = &mut self.upload else {
            return Ok(());
        };
        let mut sent = std::mem::take(&mut upload.sent);
        sent.sort_by_key(|(number, _)| *number);
        let (id, parts) = (upload.id.clone(), sent.into_iter().map(|(_, part)| part));
        let parts = parts.collect();
        if self.blobs.inner.address.protocol != Protocol::S3 && self.found().await?.is_some() {
            // These cannot be asked to refuse. Keys are made for one write alone, so this only catches a mistake.
            return Err(BlobError::AlreadyExists(self.key.to_string()));
        }
        let bucket = &self.blobs.inner.bucket;
        let said = bucket.complete_multipart(&self.place, &id, parts).await;
        self.settle(said.map(|_| ()), self.is_marked()).await?;
        self.upload = None;
        Ok(())
    }

    /// Looks at what is stored now. An answer may have been lost though the store did what was asked; an object with
    /// this write's mark is this write's, and no other can be.
    async fn settle(
        &self,
        said: object_store::Result<()>,
        is_marked: bool,
    ) -> Result<(), BlobError> {
        let found = match (self.found().await, &said) {
            (Ok(found), _) => found,
            (Err(error), Ok(())) => return Err(error),
            (Err(_), Err(_)) => None,
        };
        let is_ours = |found: &Found| match is_marked {
            true => found.mark.as_ref() == Some(&self.mark),
            false => said.is_ok(),
        };
        match (found, &said) {
            (Some(found), _) if is_ours(&found) && found.bytes == self.bytes => Ok(()),
            (Some(found), _) if is_ours(&found) => Err(BlobError::Torn {
                expected: self.bytes,
                found: found.bytes,
            }),
            (Some(_), _) => Err(BlobError::AlreadyExists(self.key.to_string())),
            (None, Ok(())) => Err(BlobError::Torn {
                expected: self.bytes,
                found: 0,
            }),
            (None, Err(_)) => Err(match said.map_err(|e| self.failed(e)) {
                // Refused because of an object that is not there any more: another try may be taken.
                Err(BlobError::AlreadyExists(_) | BlobError::NotFound(_)) | Ok(()) => {
                    BlobError::Unavailable {
                        action: "writing a blob",
                        reason: "the store refused, and then had nothing there".into(),
                    }
                }
                Err(error) => error,
            }),
        }
    }

    async fn found(&self) -> Result<Option<Found>, BlobError> {
        found(&self.blobs, &self.place).await
    }

    fn attributes(&self) -> Attributes {
        let mark = (Attribute::Metadata(MARK.into()), self.mark.clone());
        Attributes::from_iter([mark])
    }

    /// The library cannot mark Azure's uploads in parts.
    fn is_marked(&self) -> bool {
        self.blobs.inner.address.protocol != Protocol::Azure
    }

    fn failed(&self, error: object_store::Error) -> BlobError {
        self.blobs
            .failed("writing a blob", self.key.as_str(), error)
    }
}

pub(super) async fn found(
    blobs: &ObjectBlobs,
    place: &ObjectPath,
) -> Result<Option<Found>, BlobError> {
    let options = GetOptions {
        head: true,
        ..GetOptions::default()
    };
    match blobs.inner.bucket.get_opts(place, options).await {
        Ok(object) => {
            let mark = object.attributes.get(&Attribute::Metadata(MARK.into()));
            Ok(Some(Found {
                bytes: object.meta.size,
                mark: mark.map(|m| m.to_string()),
            }))
        }
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(blobs.failed("writing a blob", place.as_ref(), error)),
    }
}

impl Drop for ObjectWriter {
    fn drop(&mut self) {
        let Some(mut upload) = self.upload.take() else {
            return;
        };
        let (blobs, place) = (self.blobs.clone(), self.place.clone());
        self.blobs.inner.runtime.spawn(async move {
            // A part that arrives after the end of its upload would stay.
            upload.sending.shutdown().await;
            let aborted = blobs.inner.bucket.abort_multipart(&place, &upload.id).await;
            if let Err(error) = aborted {
                tracing::warn!(%place, %error, "the parts of an interrupted write stay until the bucket's own rule removes them");
            }
        });
    }
}
