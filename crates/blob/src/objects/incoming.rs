//! Bytes that clients send to the bucket themselves. One request writes an object that is only copied; parts become an object
//! when we join them, and then nobody has an address for it.

use super::ObjectBlobs;
use super::config::Protocol;
use super::sign::{PUT_BYTES_MAX, SHA256};
use super::write::{MARK, found};
use crate::incoming::{Announced, Incoming, PART_BYTES};
use crate::{BlobError, BlobKey, BlobWriter, Signed};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, IF_NONE_MATCH};
use http::{HeaderName, Method};
use object_store::multipart::PartId;
use object_store::{Attribute, Attributes, CopyOptions, ObjectStore as _, PutMultipartOptions};
use std::time::Duration;
use uuid::Uuid;

/// The most that Azure takes in one request; the others take more.
const WHOLE_BYTES_MAX: u64 = 5000 << 20;
/// The most that S3 keeps as one object.
const OBJECT_BYTES_MAX: u64 = 5 << 40;

impl ObjectBlobs {
    pub(crate) fn incoming_bytes_max(&self) -> u64 {
        match self.inner.address.protocol {
            Protocol::S3 => OBJECT_BYTES_MAX,
            Protocol::Google | Protocol::Azure => WHOLE_BYTES_MAX,
        }
    }

    pub(crate) async fn expect(
        &self,
        id: Uuid,
        announced: &Announced,
        part_bytes: u64,
    ) -> Result<Incoming, BlobError> {
        if self.inner.address.protocol != Protocol::S3 {
            return Ok(Incoming::new(announced, u64::MAX));
        }
        let mut incoming = Incoming::new(announced, part_bytes.min(PUT_BYTES_MAX));
        if incoming.part_bytes.is_none() {
            return Ok(incoming);
        }
        let key = BlobKey::original(id);
        let mark = (Attribute::Metadata(MARK.into()), id.simple().to_string());
        let options = PutMultipartOptions {
            attributes: Attributes::from_iter([mark]),
            ..PutMultipartOptions::default()
        };
        let place = self.place(key.as_str());
        let bucket = &self.inner.unchecked;
        let begun = bucket.create_multipart_opts(&place, options).await;
        let begun = begun.map_err(|e| self.failed("expecting an upload", key.as_str(), e))?;
        incoming.upload = Some(begun);
        Ok(incoming)
    }

    pub(crate) async fn signed_incoming(
        &self,
        id: Uuid,
        incoming: &Incoming,
        valid: Duration,
    ) -> Result<Vec<Signed>, BlobError> {
        let Some(upload) = &incoming.upload else {
            return Ok(vec![self.signed_whole(id, incoming, valid).await?]);
        };
        let key = &BlobKey::original(id);
        let signed = incoming.pieces().into_iter().map(|piece| async move {
            let part = piece.part.unwrap_or_default().to_string();
            let query = [("partNumber", &*part), ("uploadId", upload)];
            let headers = vec![(CONTENT_LENGTH, piece.bytes.to_string())];
            self.signed(Method::PUT, key, valid, headers, &query).await
        });
        // Each is a moment's work, and credentials are fetched once for all.
        let signed = stream::iter(signed.collect::<Vec<_>>());
        signed.buffered(1).try_collect().await
    }

    /// The store itself refuses other bytes, and to replace what is there, where its signatures can say so.
    async fn signed_whole(
        &self,
        id: Uuid,
        incoming: &Incoming,
        valid: Duration,
    ) -> Result<Signed, BlobError> {
        let key = BlobKey::incoming(id);
        let mut headers: Vec<(HeaderName, String)> = Vec::new();
        if let Some(media_type) = &incoming.media_type {
            headers.push((CONTENT_TYPE, media_type.clone()));
        }
        match self.inner.address.protocol {
            Protocol::S3 => {
                headers.push((CONTENT_LENGTH, incoming.bytes.to_string()));
                headers.push((IF_NONE_MATCH, "*".to_owned()));
                if let Some(sha256) = &incoming.sha256 {
                    let sha256 = hex::decode(sha256).unwrap_or_default();
                    headers.push((SHA256, BASE64_STANDARD.encode(sha256)));
                }
            }
            Protocol::Google => {
                let none = HeaderName::from_static("x-goog-if-generation-match");
                headers.push((none, "0".to_owned()));
            }
            Protocol::Azure => {
                // It signs no headers; what it needs is told beside.
                let sort = ("x-ms-blob-type".to_owned(), "BlockBlob".to_owned());
                let told = headers.into_iter().map(|(n, v)| (n.to_string(), v));
                let told = told.chain([sort, (IF_NONE_MATCH.to_string(), "*".to_owned())]);
                let signed = self
                    .signed(Method::PUT, &key, valid, Vec::new(), &[])
                    .await?;
                return Ok(Signed {
                    headers: told.collect(),
                    ..signed
                });
            }
        }
        self.signed(Method::PUT, &key, valid, headers, &[]).await
    }

    pub(crate) async fn take_in(
        &self,
        id: Uuid,
        fence: u64,
        incoming: &Incoming,
    ) -> Result<BlobKey, BlobError> {
        match &incoming.upload {
            Some(upload) => self.join_incoming(id, upload, incoming).await,
            None => self.copy_incoming(id, fence, incoming.bytes).await,
        }
    }

    /// Under a name of this caller's own: another one's copy is another object.
    async fn copy_incoming(&self, id: Uuid, fence: u64, bytes: u64) -> Result<BlobKey, BlobError> {
        let (from, to) = (BlobKey::incoming(id), BlobKey::segment(id, fence));
        let place = self.place(from.as_str());
        let there = found(self, &place).await?;
        let there = there.ok_or_else(|| BlobError::NotFound(from.to_string()))?;
        if there.bytes != bytes {
            return Err(BlobError::Torn {
                expected: bytes,
                found: there.bytes,
            });
        }
        if self.inner.address.protocol == Protocol::S3 {
            let target = self.place(to.as_str());
            let options = CopyOptions::default();
            let copied = self.inner.bucket.copy_opts(&place, &target, options).await;
            copied.map_err(|e| self.failed("taking an upload in", from.as_str(), e))?;
            return Ok(to);
        }
        // What copies large objects on these takes many requests of its own.
        let mut writer = BlobWriter::Objects(self.writer(to.clone()));
        let mut pieces = self.open_key(&from, 0, bytes).await?.stream();
        while let Some(piece) = pieces.try_next().await? {
            writer.write(piece).await?;
        }
        match writer.finish().await {
            // An earlier try of the same caller's.
            Err(BlobError::AlreadyExists(_)) | Ok(_) => Ok(to),
            Err(error) => Err(error),
        }
    }

    /// What was joined cannot be written through an address of a part any more.
    async fn join_incoming(
        &self,
        id: Uuid,
        upload: &String,
        incoming: &Incoming,
    ) -> Result<BlobKey, BlobError> {
        let key = BlobKey::original(id);
        let place = self.place(key.as_str());
        if self.is_joined(id, incoming.bytes).await? {
            return Ok(key);
        }
        let tags = incoming.tags.iter();
        let parts = tags.map(|tag| PartId {
            content_id: format!("\"{tag}\""),
        });
        let bucket = &self.inner.unchecked;
        let said = bucket
            .complete_multipart(&place, upload, parts.collect())
            .await;
        // An answer may have been lost though the store did what was asked, or somebody else have asked the same.
        if self.is_joined(id, incoming.bytes).await? {
            return Ok(key);
        }
        let said = said.map_err(|e| self.failed("taking an upload in", key.as_str(), e));
        Err(match said {
            // What it refuses are parts that are missing, or other ones than were named.
            Err(BlobError::Refused { reason, .. }) => {
                tracing::debug!(%key, reason, "parts cannot be joined");
                BlobError::NotFound(key.to_string())
            }
            Err(error) => error,
            Ok(_) => BlobError::NotFound(key.to_string()),
        })
    }

    async fn is_joined(&self, id: Uuid, bytes: u64) -> Result<bool, BlobError> {
        let place = self.place(BlobKey::original(id).as_str());
        let Some(found) = found(self, &place).await? else {
            return Ok(false);
        };
        if found.mark != Some(id.simple().to_string()) {
            return Err(BlobError::AlreadyExists(place.to_string()));
        }
        match found.bytes == bytes {
            true => Ok(true),
            false => Err(BlobError::Torn {
                expected: bytes,
                found: found.bytes,
            }),
        }
    }

    pub(crate) async fn turn_away(
        &self,
        id: Uuid,
        incoming: &Incoming,
        but: Option<&BlobKey>,
    ) -> Result<(), BlobError> {
        let key = BlobKey::original(id);
        match &incoming.upload {
            None => self.delete(&BlobKey::incoming(id)).await?,
            Some(_) if but == Some(&key) => return Ok(()),
            Some(upload) => self.end_parts(&key, upload).await?,
        }
        match but {
            None => self.delete(&key).await,
            Some(_) => Ok(()),
        }
    }
}

const _: () = assert!(PART_BYTES.end <= PUT_BYTES_MAX);
