//! Uploads whose bytes a client brings to where blobs are by itself: expected, then taken in, looked at once, and made assets.
//!
//! Looking at many bytes takes longer than a client waits. So it is done beside the request that asked for it, by whoever has the
//! upload's lease: its time is put off while somebody does it, and when nobody does any more another process goes on.

use super::{Opening, overtaken, taken_over};
use crate::accept::{HEAD_BYTES, Stored};
use crate::{Bounds, Engine, EngineError, Receipt};
use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt as _;
use mediaflow_blob::{Announced, BlobError, BlobKey, Incoming, Written};
use mediaflow_core::{ErrorCode, TenantId, UploadId};
use mediaflow_store::{Advance, FinishedUpload, Refusal, UploadRecord, UploadState, Way};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a client is let wait for what it asked for.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// Who looks at bytes has them so long, and puts it off in time.
const LEASE: Duration = Duration::from_secs(60);
const RENEWED: Duration = Duration::from_secs(15);

/// What came of a client's word that all bytes are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Completion {
    /// They are an asset.
    Done(Receipt),
    /// They are being looked at.
    Checking,
}

impl Engine {
    /// Opens an upload whose bytes the client brings by itself. Its length must be known.
    ///
    /// # Errors
    /// Those of [`Engine::open_upload`].
    pub async fn expect_upload(
        &self,
        opening: Opening,
        media_type: Option<String>,
    ) -> Result<UploadRecord, EngineError> {
        let length = opening.upload.length.unwrap_or_default();
        let most = self.parts.blobs.incoming_bytes_max();
        if length > most {
            let text = format!("where blobs are, no more than {most} bytes can come at once");
            return Err(EngineError::new(ErrorCode::LimitBytes, text));
        }
        if let Some(media_type) = &media_type {
            opening.upload.bounds.check_type(media_type)?;
        }
        let announced = Announced {
            bytes: length,
            sha256: opening.upload.sha256.map(|sha256| sha256.0),
            media_type,
        };
        let tenant = opening.tenant;
        let opened = self.open_as(Way::Direct, opening).await?;
        match self.expect(&opened, &announced).await {
            Ok(()) => self.direct_upload(tenant, opened.id).await,
            Err(error) => {
                self.give_up(&opened).await?;
                Err(error)
            }
        }
    }

    async fn expect(
        &self,
        opened: &UploadRecord,
        announced: &Announced,
    ) -> Result<(), EngineError> {
        let part_bytes = self.parts.limits.part_bytes;
        let expected = self.parts.blobs.expect(opened.id.0, announced, part_bytes);
        let incoming = expected.await?;
        self.note_direct(opened, &incoming, UploadState::Open).await
    }

    /// An upload whose bytes the client brings by itself, as it is.
    ///
    /// # Errors
    /// `upload.not_found`.
    pub async fn direct_upload(
        &self,
        tenant: TenantId,
        id: UploadId,
    ) -> Result<UploadRecord, EngineError> {
        let found = self.parts.store.upload(tenant, id).await?;
        Ok(found.coming(Way::Direct)?)
    }

    /// Takes a client at its word that all bytes are there: `tags` are what was answered for each part. Looking at them goes on
    /// when the caller has gone.
    ///
    /// # Errors
    /// `upload.incomplete` when they are not there, after which the client may go on; what [`Engine::accept`] refuses, after which
    /// the upload says so until its time is over.
    pub async fn complete_upload(
        self: &Arc<Self>,
        tenant: TenantId,
        id: UploadId,
        tags: Vec<String>,
    ) -> Result<Completion, EngineError> {
        let found = self.direct_upload(tenant, id).await?;
        if let Some(receipt) = self.outcome(&found).await? {
            return Ok(Completion::Done(receipt));
        }
        // Of several in this process one does it, and the others wait for it.
        let Ok(held) = tokio::time::timeout(ANSWER_MAX, self.growing.hold(id)).await else {
            return Ok(Completion::Checking);
        };
        let found = self.direct_upload(tenant, id).await?;
        if let Some(receipt) = self.outcome(&found).await? {
            return Ok(Completion::Done(receipt));
        }
        if found.state == UploadState::Checking {
            return Ok(Completion::Checking);
        }
        let incoming = Incoming::from_text(&found.progress)?.tagged(tags);
        let incoming =
            incoming.map_err(|text| EngineError::new(ErrorCode::RequestInvalid, text))?;
        let taken = self.parts.store.take_upload(tenant, id).await?;
        self.note_direct(&taken, &incoming, UploadState::Checking)
            .await?;
        let engine = Arc::clone(self);
        let checking = tokio::spawn(async move {
            let checked = engine.check(&taken, &incoming).await;
            drop(held);
            checked
        });
        match tokio::time::timeout(ANSWER_MAX, checking).await {
            Err(_) => Ok(Completion::Checking),
            Ok(Ok(checked)) => checked.map(Completion::Done),
            Ok(Err(error)) => Err(EngineError {
                code: ErrorCode::Internal,
                message: "looking at the upload failed".into(),
                reason: Some(Box::new(error)),
            }),
        }
    }

    /// What became of it, if anything.
    async fn outcome(&self, found: &UploadRecord) -> Result<Option<Receipt>, EngineError> {
        if let UploadState::Refused(refusal) = &found.state {
            return Err(EngineError::new(refusal.code, refusal.message.clone()));
        }
        let Some(asset) = found.asset else {
            return Ok(None);
        };
        let original = self.parts.store.asset(found.tenant, asset).await?.original;
        Ok(Some(Receipt {
            asset,
            repeated: true,
            sha256: original.sha256,
            bytes: original.bytes,
            media_type: original.media_type,
        }))
    }

    /// Goes on where somebody has stopped looking.
    pub(super) async fn check_again(
        self: &Arc<Self>,
        taken: UploadRecord,
    ) -> Result<(), EngineError> {
        let incoming = Incoming::from_text(&taken.progress)?;
        self.note_direct(&taken, &incoming, UploadState::Checking)
            .await?;
        let engine = Arc::clone(self);
        tokio::spawn(async move {
            if let Err(error) = engine.check(&taken, &incoming).await {
                tracing::info!(id = %taken.id, %error, "an upload that was said to be whole is no asset");
            }
        });
        Ok(())
    }

    async fn check(
        &self,
        taken: &UploadRecord,
        incoming: &Incoming,
    ) -> Result<Receipt, EngineError> {
        let checking = self.try_check(taken, incoming);
        tokio::pin!(checking);
        let checked = loop {
            tokio::select! {
                checked = &mut checking => break checked,
                () = tokio::time::sleep(RENEWED) => {
                    let noted = self.note_direct(taken, incoming, UploadState::Checking).await;
                    match noted {
                        Err(error) if error.code == ErrorCode::UploadTaken => break Err(error),
                        // The store is not there at the moment. What matters is whether it is there in the end.
                        _ => {}
                    }
                }
            }
        };
        match checked {
            Err(error) if error.code == ErrorCode::FenceStale => Err(taken_over()),
            Err(error) if error.code == ErrorCode::UploadIncomplete => {
                self.note_direct(taken, incoming, UploadState::Open).await?;
                Err(error)
            }
            Err(error) if error.is_refusal() => {
                let refusal = Refusal {
                    code: error.code,
                    message: error.message.clone(),
                };
                self.note_direct(taken, incoming, UploadState::Refused(refusal))
                    .await?;
                self.turn_away(taken, incoming, None).await;
                Err(error)
            }
            checked => checked,
        }
    }

    async fn try_check(
        &self,
        taken: &UploadRecord,
        incoming: &Incoming,
    ) -> Result<Receipt, EngineError> {
        let (id, blobs) = (taken.id, &self.parts.blobs);
        let key = blobs.take_in(id.0, taken.fence, incoming).await;
        let key = key.map_err(not_as_announced)?;
        let made = self.make(taken, &key, incoming.bytes).await;
        match &made {
            Ok((_, is_surplus)) => {
                if *is_surplus {
                    self.discard(&key).await;
                }
                self.turn_away(taken, incoming, Some(&key)).await;
            }
            Err(error) if error.is_refusal() => self.discard(&key).await,
            // It may be recorded nevertheless, or tried again: the collector decides.
            Err(_) => {}
        }
        made.map(|(receipt, _)| receipt)
    }

    async fn make(
        &self,
        taken: &UploadRecord,
        key: &BlobKey,
        bytes: u64,
    ) -> Result<(Receipt, bool), EngineError> {
        let upload = super::said(taken)?;
        let stored = self.look_at(key, bytes, &upload.bounds).await?;
        let finished = FinishedUpload {
            id: taken.id,
            fence: taken.fence,
            kept: self.uploads_kept(),
        };
        self.record(taken.tenant, &upload, stored, Some(finished))
            .await
    }

    /// Reads all of it once.
    async fn look_at(
        &self,
        key: &BlobKey,
        bytes: u64,
        bounds: &Bounds,
    ) -> Result<Stored, EngineError> {
        let reader = self.parts.blobs.open(key, 0, bytes).await?;
        if reader.bytes() != bytes {
            let found = reader.bytes();
            let other = BlobError::Torn {
                expected: bytes,
                found,
            };
            return Err(not_as_announced(other));
        }
        let (mut hasher, mut head) = (Sha256::new(), BytesMut::new());
        let mut pieces = reader.stream();
        while let Some(piece) = pieces.try_next().await? {
            hasher.update(&piece);
            let missing = HEAD_BYTES - head.len();
            if missing > 0 {
                head.extend_from_slice(&piece[..piece.len().min(missing)]);
                if head.len() == HEAD_BYTES {
                    // What is not taken is refused before all of it was read.
                    self.recognise_within(&head, false, bounds)?;
                }
            }
        }
        let written = Written {
            key: key.clone(),
            sha256: hasher.finalize().into(),
            bytes,
        };
        let head: Bytes = head.freeze();
        let began = Instant::now();
        Ok(Stored {
            written,
            head,
            began,
        })
    }

    async fn note_direct(
        &self,
        taken: &UploadRecord,
        incoming: &Incoming,
        state: UploadState,
    ) -> Result<(), EngineError> {
        let advance = Advance {
            bytes: 0,
            length: taken.length,
            progress: incoming.to_text(),
            kept: match state {
                UploadState::Checking => LEASE,
                UploadState::Open | UploadState::Refused(_) => self.uploads_kept(),
            },
            state,
        };
        let noted = self
            .parts
            .store
            .advance_upload(taken.id, taken.fence, advance);
        noted.await.map(drop).map_err(overtaken)
    }

    pub(super) async fn turn_away(
        &self,
        taken: &UploadRecord,
        incoming: &Incoming,
        but: Option<&BlobKey>,
    ) {
        let away = self.parts.blobs.turn_away(taken.id.0, incoming, but).await;
        if let Err(error) = away {
            tracing::warn!(id = %taken.id, %error, "bytes of an upload stay until the collector finds them");
        }
    }
}

fn not_as_announced(error: BlobError) -> EngineError {
    match error {
        BlobError::NotFound(_) => EngineError::new(
            ErrorCode::UploadIncomplete,
            "the bytes are not there, or not all, or a part has another `etag`",
        ),
        BlobError::Torn { expected, found } => EngineError::new(
            ErrorCode::UploadSize,
            format!("{expected} bytes were announced, and {found} have come"),
        ),
        error => error.into(),
    }
}
