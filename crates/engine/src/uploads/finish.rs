//! From all bytes of an upload to an asset, and from several uploads to one.

use super::{Opening, overtaken, said, taken_over};
use crate::accept::{HEAD_BYTES, Stored, display_name};
use crate::{Engine, EngineError, Receipt, Upload};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _, TryStreamExt as _, stream};
use mediaflow_blob::{BlobError, BlobKey, Grown, Written};
use mediaflow_core::{ErrorCode, Sha256, TenantId, UploadId};
use mediaflow_store::{Advance, FinishedUpload, UploadRecord, UploadState, Way};
use std::future::ready;
use std::time::{Duration, Instant};

/// What became a part of something else is kept so long, for the case that nobody heard of it.
const JOINED_KEPT: Duration = Duration::from_secs(3600);

impl Engine {
    /// Makes an asset of an upload that was taken and is whole. `filename` counts where nobody has said a name.
    pub(super) async fn finish(
        &self,
        taken: &UploadRecord,
        filename: Option<String>,
    ) -> Result<Receipt, EngineError> {
        let done = self.try_finish(taken, filename).await;
        match done {
            Err(error) if error.code == ErrorCode::FenceStale => Err(taken_over()),
            Err(error) if error.is_refusal() => {
                self.metrics().upload_refused(error.code);
                self.give_up(taken).await?;
                Err(error)
            }
            done => done,
        }
    }

    async fn try_finish(
        &self,
        taken: &UploadRecord,
        filename: Option<String>,
    ) -> Result<Receipt, EngineError> {
        let (grown, written) = self.assemble(taken).await?;
        let mut upload = said(taken)?;
        if upload.is_named_by_guess {
            let known = filename.as_deref().and_then(display_name);
            upload.filename = known.or(upload.filename);
        }
        let (id, key) = (taken.id, written.key.clone());
        let head = self.head_of(&written).await?;
        let finished = FinishedUpload {
            id,
            fence: taken.fence,
            kept: self.uploads_kept(),
        };
        let stored = Stored {
            written,
            head,
            began: Instant::now(),
        };
        let (receipt, is_surplus) = self
            .record(taken.tenant, &upload, stored, Some(finished))
            .await?;
        let but = (!is_surplus).then_some(&key);
        let blobs = &self.parts.blobs;
        let removed = blobs.abandon(id.0, taken.fence, Some(&grown), but);
        if let Err(error) = removed.await {
            tracing::warn!(%id, %error, "surplus bytes stay until the collector finds them");
        }
        Ok(receipt)
    }

    async fn assemble(&self, whole: &UploadRecord) -> Result<(Grown, Written), EngineError> {
        let grown = Grown::from_text(&whole.progress)?;
        let grown = grown
            .ok_or_else(|| EngineError::new(ErrorCode::InputEmpty, "the upload has no bytes"))?;
        let written = self.parts.blobs.complete(whole.id.0, &grown).await?;
        Ok((grown, written))
    }

    async fn head_of(&self, written: &Written) -> Result<Bytes, EngineError> {
        let length = written.bytes.min(HEAD_BYTES as u64);
        let reader = self.parts.blobs.open(&written.key, 0, length).await?;
        let head = reader.stream().try_collect::<BytesMut>().await?;
        Ok(head.freeze())
    }

    /// Makes one asset of uploads that are parts of it, in this order.
    ///
    /// # Errors
    /// When one of them is no part or not whole; else those of [`Engine::accept`].
    pub async fn join_uploads(
        &self,
        opening: Opening,
        parts: &[UploadId],
    ) -> Result<(UploadRecord, Receipt), EngineError> {
        let tenant = opening.tenant;
        let (mut records, mut pieces, mut total) = (Vec::new(), Vec::new(), 0u64);
        for id in parts {
            let part = self.parts.store.upload(tenant, *id).await?;
            let part = part.coming(Way::Tus)?;
            if !part.is_partial() {
                let text = format!("the upload {id} is not a partial one");
                return Err(EngineError::new(ErrorCode::RequestInvalid, text));
            }
            if !part.is_whole() {
                let text = format!("the partial upload {id} is not finished");
                return Err(EngineError::new(ErrorCode::ConflictState, text));
            }
            let (_, written) = self.assemble(&part).await?;
            total = total.saturating_add(written.bytes);
            pieces.push((written.key, written.bytes));
            records.push(part);
        }
        let list: Vec<String> = parts.iter().map(ToString::to_string).collect();
        let upload = Upload {
            length: Some(total),
            // Said again because the answer was lost, it is the same asset.
            idempotency_key: Some(format!("joined-{}", Sha256::of(list.join(" ").as_bytes()))),
            ..opening.upload.clone()
        };
        let opening = Opening {
            upload: upload.clone(),
            ..opening
        };
        let opened = self.open_upload(opening).await?;
        let finished = FinishedUpload {
            id: opened.id,
            fence: opened.fence,
            kept: self.uploads_kept(),
        };
        let body = self.bytes_of(pieces);
        let accepted = self
            .accept_as(
                tenant,
                upload,
                body,
                |upload| ready(Ok(upload)),
                Some(finished),
            )
            .await;
        let receipt = match accepted {
            Ok(receipt) => receipt,
            Err(error) => {
                self.give_up(&opened).await?;
                return Err(error);
            }
        };
        for part in records {
            self.soon_gone(tenant, &part).await;
        }
        let done = self.parts.store.upload(tenant, opened.id).await?;
        Ok((done, receipt))
    }

    /// The bytes of several keys, one after the other, each opened when it is its turn.
    fn bytes_of(
        &self,
        pieces: Vec<(BlobKey, u64)>,
    ) -> impl Stream<Item = Result<Bytes, BlobError>> + Send + use<> {
        let blobs = self.parts.blobs.clone();
        let opened = stream::iter(pieces).then(move |(key, bytes)| {
            let blobs = blobs.clone();
            async move { Ok(blobs.open(&key, 0, bytes).await?.stream()) }
        });
        opened.try_flatten()
    }

    /// Its bytes were copied; the place that they take is given back before their time is over.
    async fn soon_gone(&self, tenant: TenantId, part: &UploadRecord) {
        let gone = async {
            let taken = self.parts.store.take_upload(tenant, part.id).await?;
            let advance = Advance {
                bytes: taken.bytes,
                length: taken.length,
                progress: taken.progress,
                state: UploadState::Open,
                kept: JOINED_KEPT,
            };
            let advanced = self
                .parts
                .store
                .advance_upload(taken.id, taken.fence, advance);
            advanced.await.map_err(overtaken)
        };
        if let Err(error) = gone.await {
            tracing::debug!(id = %part.id, %error, "a part stays until its own time is over");
        }
    }
}
