//! Objects that grow over several requests: an upload in parts whose list is the caller's record. What is too short for a part
//! lies in an object of its own until the next request. A writer that was overtaken may still send a part under a number of
//! the new one's; the store then refuses to join the parts that are recorded, so that nothing wrong is ever stored.

use super::ObjectBlobs;
use super::config::Protocol;
use super::write::{MARK, PARTS_MAX, SENT_TOGETHER, found};
use crate::grown::{Parts, Place, Tail, freeze, thaw};
use crate::{BlobError, BlobKey, Grown, Written};
use bytes::Bytes;
use object_store::multipart::PartId;
use object_store::path::Path as ObjectPath;
use object_store::{
    Attribute, Attributes, ObjectStore as _, PutMode, PutMultipartOptions, PutOptions, PutPayload,
};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use tokio::task::JoinSet;
use uuid::Uuid;

/// A writer of a growing object.
#[derive(Debug)]
pub struct ObjectGrowth {
    blobs: ObjectBlobs,
    id: Uuid,
    fence: u64,
    place: ObjectPath,
    parts: Parts,
    /// By number; those behind the first that is missing do not count yet.
    arrived: Vec<Option<String>>,
    sending: JoinSet<object_store::Result<(usize, PartId)>>,
    /// Of what was cut into parts.
    hasher: Sha256,
    cut: u64,
    waiting: Vec<Bytes>,
    waiting_bytes: usize,
    tails: u64,
    /// How many bytes the last record has.
    recorded: u64,
    /// Tails that no later record needs.
    superseded: Vec<BlobKey>,
}

impl ObjectBlobs {
    pub(crate) async fn grow(
        &self,
        id: Uuid,
        fence: u64,
        grown: Option<Grown>,
    ) -> Result<ObjectGrowth, BlobError> {
        let (parts, hasher, bytes) = match grown {
            None => (Parts::default(), Sha256::new(), 0),
            Some(grown) => match grown.place {
                Place::Parts(ref parts) => (parts.clone(), thaw(&grown.hash)?, grown.bytes),
                _ => return Err(grown.misplaced()),
            },
        };
        let mut growth = ObjectGrowth {
            blobs: self.clone(),
            id,
            fence,
            place: self.place(BlobKey::original(id).as_str()),
            arrived: parts.sent.iter().cloned().map(Some).collect(),
            sending: JoinSet::new(),
            hasher,
            cut: bytes - parts.tail.map_or(0, |tail| tail.bytes),
            waiting: Vec::new(),
            waiting_bytes: 0,
            tails: 0,
            recorded: bytes,
            superseded: Vec::new(),
            parts,
        };
        if let Some(tail) = growth.parts.tail {
            let key = BlobKey::tail(id, tail.fence, tail.number);
            let bytes = self.get(&key).await?;
            if bytes.len() as u64 != tail.bytes {
                return Err(BlobError::Torn {
                    expected: tail.bytes,
                    found: bytes.len() as u64,
                });
            }
            growth.waiting_bytes = bytes.len();
            growth.waiting.push(bytes);
        }
        Ok(growth)
    }

    pub(crate) async fn complete(&self, id: Uuid, grown: &Grown) -> Result<Written, BlobError> {
        let Place::Parts(parts) = &grown.place else {
            return Err(grown.misplaced());
        };
        let of = |key| -> Result<Written, BlobError> {
            Ok(Written {
                key,
                sha256: thaw(&grown.hash)?.finalize().into(),
                bytes: grown.bytes,
            })
        };
        let Some(upload) = &parts.upload else {
            let tail = parts.tail.ok_or_else(|| grown.misplaced())?;
            return of(BlobKey::tail(id, tail.fence, tail.number));
        };
        let key = BlobKey::original(id);
        let written = of(key.clone())?;
        let place = self.place(key.as_str());
        if self.is_complete(&place, id, grown.bytes).await? {
            return Ok(written);
        }
        let list = parts.sent.iter().cloned();
        let list = list.map(|content_id| PartId { content_id }).collect();
        let bucket = &self.inner.bucket;
        let said = bucket.complete_multipart(&place, upload, list).await;
        // An answer may have been lost though the store did what was asked, or somebody else have asked the same.
        match self.is_complete(&place, id, grown.bytes).await? {
            true => Ok(written),
            false => Err(match said {
                Err(error) => self.failed("joining an upload", key.as_str(), error),
                Ok(_) => BlobError::Torn {
                    expected: grown.bytes,
                    found: 0,
                },
            }),
        }
    }

    async fn is_complete(
        &self,
        place: &ObjectPath,
        id: Uuid,
        bytes: u64,
    ) -> Result<bool, BlobError> {
        let Some(found) = found(self, place).await? else {
            return Ok(false);
        };
        let is_marked = self.inner.address.protocol != Protocol::Azure;
        let is_ours = !is_marked || found.mark == Some(id.simple().to_string());
        match is_ours && found.bytes == bytes {
            true => Ok(true),
            false => Err(BlobError::AlreadyExists(place.to_string())),
        }
    }

    pub(crate) async fn abandon(
        &self,
        id: Uuid,
        grown: Option<&Grown>,
        but: Option<&BlobKey>,
    ) -> Result<(), BlobError> {
        let key = BlobKey::original(id);
        if let Some(Grown {
            place: Place::Parts(parts),
            ..
        }) = grown
        {
            let tail = parts.tail.map(|t| BlobKey::tail(id, t.fence, t.number));
            if let Some(tail) = tail.filter(|tail| but != Some(tail)) {
                self.delete(&tail).await?;
            }
            if let Some(upload) = parts.upload.as_ref().filter(|_| but.is_none()) {
                self.end_parts(&key, upload).await?;
            }
        }
        match but == Some(&key) {
            true => Ok(()),
            false => self.delete(&key).await,
        }
    }

    /// Ends an upload in parts that nobody will join.
    pub(super) async fn end_parts(&self, key: &BlobKey, upload: &String) -> Result<(), BlobError> {
        let place = self.place(key.as_str());
        let ended = self.inner.bucket.abort_multipart(&place, upload).await;
        match ended.map_err(|e| self.failed("giving an upload up", key.as_str(), e)) {
            Err(error @ BlobError::Unavailable { .. }) => Err(error),
            // Not every store says in the same way that there is none any more.
            Err(error) => {
                tracing::debug!(%key, %error, "the parts are gone, or stay");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }
}

impl ObjectGrowth {
    pub(crate) async fn write(&mut self, piece: Bytes) -> Result<(), BlobError> {
        self.waiting_bytes += piece.len();
        self.waiting.push(piece);
        // The last part may be full as well, and what fits one part needs no upload of parts.
        while self.waiting_bytes > self.blobs.inner.part_bytes {
            let part = self.cut(self.blobs.inner.part_bytes);
            self.send(part).await?;
        }
        Ok(())
    }

    /// All parts that were cut.
    pub(crate) async fn checkpoint(&mut self) -> Result<Grown, BlobError> {
        self.wait_until_sending(0).await?;
        match self.cut > self.recorded {
            true => Ok(self.grown(self.cut, None)),
            // Not one part more: what waits is kept as it is at the end of a request.
            false => self.pause().await,
        }
    }

    pub(crate) async fn pause(&mut self) -> Result<Grown, BlobError> {
        self.wait_until_sending(0).await?;
        let waiting = self.waiting_bytes as u64;
        if waiting == 0 || self.cut + waiting == self.recorded {
            let same = self.parts.tail.filter(|_| waiting > 0);
            return Ok(self.grown(self.cut + waiting, same));
        }
        let tail = Tail {
            fence: self.fence,
            number: self.tails,
            bytes: waiting,
        };
        self.tails += 1;
        let place = self.blobs.place(self.key_of(&tail).as_str());
        let payload = PutPayload::from_iter(self.waiting.iter().cloned());
        let options = PutOptions {
            mode: PutMode::Create,
            ..PutOptions::default()
        };
        let put = self.blobs.inner.bucket.put_opts(&place, payload, options);
        match put.await {
            // The name is this writer's alone: its answer was lost, and it was sent again.
            Ok(_) | Err(object_store::Error::AlreadyExists { .. }) => {}
            Err(error) => return Err(self.failed(error)),
        }
        Ok(self.grown(self.cut + waiting, Some(tail)))
    }

    pub(crate) async fn seal(&mut self) -> Result<Grown, BlobError> {
        if self.parts.upload.is_none() {
            // What fits one part is whole as it lies.
            let mut grown = self.pause().await?;
            let mut hasher = self.hasher.clone();
            for piece in &self.waiting {
                hasher.update(piece);
            }
            grown.hash = freeze(&hasher);
            return Ok(grown);
        }
        let rest = self.waiting_bytes;
        if rest > 0 {
            let last = self.cut(rest);
            self.send(last).await?;
        }
        self.wait_until_sending(0).await?;
        Ok(self.grown(self.cut, None))
    }

    pub(crate) async fn close(mut self, is_recorded: bool) {
        self.sending.shutdown().await;
        for key in self.superseded.iter().filter(|_| is_recorded) {
            if let Err(error) = self.blobs.delete(key).await {
                tracing::debug!(%key, %error, "a tail stays until the collector finds it");
            }
        }
    }

    fn key_of(&self, tail: &Tail) -> BlobKey {
        BlobKey::tail(self.id, tail.fence, tail.number)
    }

    fn grown(&mut self, bytes: u64, tail: Option<Tail>) -> Grown {
        if self.parts.tail != tail
            && let Some(old) = self.parts.tail
        {
            self.superseded.push(self.key_of(&old));
        }
        self.parts.tail = tail;
        self.recorded = bytes;
        let arrived = self.arrived.iter().map_while(Clone::clone);
        self.parts.sent = arrived.collect();
        Grown {
            bytes,
            hash: freeze(&self.hasher),
            place: Place::Parts(self.parts.clone()),
        }
    }

    /// So many bytes of those that wait, hashed.
    fn cut(&mut self, wanted: usize) -> PutPayload {
        let (mut part, mut bytes) = (Vec::new(), 0);
        let mut waiting = std::mem::take(&mut self.waiting).into_iter();
        while bytes < wanted
            && let Some(mut piece) = waiting.next()
        {
            let missing = wanted - bytes;
            if piece.len() > missing {
                self.waiting.push(piece.split_off(missing));
            }
            self.hasher.update(&piece);
            bytes += piece.len();
            part.push(piece);
        }
        self.waiting.extend(waiting);
        self.waiting_bytes -= bytes;
        self.cut += bytes as u64;
        PutPayload::from_iter(part)
    }

    async fn send(&mut self, part: PutPayload) -> Result<(), BlobError> {
        let number = self.arrived.len();
        if number >= PARTS_MAX {
            return Err(BlobError::Refused {
                action: "writing an upload",
                reason: "it has more than 10,000 parts; object_store.part_bytes must be larger"
                    .into(),
            });
        }
        let id = self.upload().await?;
        self.arrived.push(None);
        let (inner, place) = (Arc::clone(&self.blobs.inner), self.place.clone());
        let permits = Arc::clone(&inner.parts);
        let permit = permits.acquire_owned().await.expect("it is never closed");
        self.sending.spawn(async move {
            let _permit = permit;
            let part = inner.bucket.put_part(&place, &id, number, part).await?;
            Ok((number, part))
        });
        self.wait_until_sending(SENT_TOGETHER - 1).await
    }

    async fn upload(&mut self) -> Result<String, BlobError> {
        if let Some(upload) = &self.parts.upload {
            return Ok(upload.clone());
        }
        let mut options = PutMultipartOptions::default();
        // The library cannot mark Azure's uploads in parts.
        if self.blobs.inner.address.protocol != Protocol::Azure {
            options.attributes = self.mark();
        }
        let bucket = &self.blobs.inner.bucket;
        let begun = bucket.create_multipart_opts(&self.place, options).await;
        let upload = begun.map_err(|e| self.failed(e))?;
        self.parts.upload = Some(upload.clone());
        Ok(upload)
    }

    async fn wait_until_sending(&mut self, most: usize) -> Result<(), BlobError> {
        while self.sending.len() > most
            && let Some(sent) = self.sending.join_next().await
        {
            match sent {
                Ok(Ok((number, part))) => self.arrived[number] = Some(part.content_id),
                Ok(Err(error)) => return Err(self.failed(error)),
                Err(error) => {
                    return Err(BlobError::Io {
                        action: "writing an upload",
                        source: std::io::Error::other(error),
                    });
                }
            }
        }
        Ok(())
    }

    fn mark(&self) -> Attributes {
        let mark = self.id.simple().to_string();
        Attributes::from_iter([(Attribute::Metadata(MARK.into()), mark)])
    }

    fn failed(&self, error: object_store::Error) -> BlobError {
        let key = BlobKey::original(self.id);
        self.blobs.failed("writing an upload", key.as_str(), error)
    }
}
