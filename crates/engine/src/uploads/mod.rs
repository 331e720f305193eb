//! Uploads that arrive over several requests: opened, added to, joined, finished and given up.
//!
//! What counts is what the store has recorded, and it records only what is durable. Whoever adds to an upload takes it
//! first; within this process the one before is told to stop, and waited for.

mod append;
mod direct;
mod finish;
mod held;

pub use append::{Append, Appended, EndsAt, Verify};
pub use direct::Completion;
pub(crate) use held::Growing;

use crate::accept::display_name;
use crate::{Bounds, Engine, EngineError, Upload};
use mediaflow_blob::{Grown, Incoming};
use mediaflow_core::trace::TraceId;
use mediaflow_core::{ErrorCode, KeyId, TenantId, UploadId};
use mediaflow_store::{NewUpload, UploadRecord, UploadState, Way};
use std::sync::Arc;
use std::time::Duration;

/// An upload to open.
#[derive(Debug, Clone)]
pub struct Opening {
    /// Whose asset it becomes.
    pub tenant: TenantId,
    /// Who opens it; nobody where no keys are needed.
    pub key: Option<KeyId>,
    /// What the asset is to be. `length` is that of the whole, where it is known.
    pub upload: Upload,
    /// How many its key may have open, where that is less than all keys may.
    pub open_max: Option<u32>,
    /// How it belongs to others, as the client said it.
    pub concat: Option<String>,
    /// What the client said of it, to be shown to it again.
    pub metadata: String,
}

impl Engine {
    /// Opens an upload. Nothing of it has arrived.
    ///
    /// # Errors
    /// Limits, options that make no sense, uploads that are switched off.
    pub async fn open_upload(&self, opening: Opening) -> Result<UploadRecord, EngineError> {
        self.open_as(Way::Tus, opening).await
    }

    async fn open_as(&self, way: Way, opening: Opening) -> Result<UploadRecord, EngineError> {
        let Opening {
            tenant,
            key,
            upload,
            open_max,
            concat,
            metadata,
        } = opening;
        self.check_options(&upload.options)?;
        self.check_length(upload.length, &upload.bounds)?;
        self.check_room()?;
        self.check_admission(tenant).await?;
        self.check_day(tenant, &upload.bounds, upload.length)
            .await?;
        let limit = self.parts.limits.open_max;
        let opened = self.parts.store.open_upload(NewUpload {
            tenant,
            key,
            way,
            length: upload.length,
            concat,
            said: serde_json::to_string(&upload).expect("plain data is always JSON"),
            metadata,
            correlation_id: upload.correlation_id,
            kept: self.uploads_kept(),
            open_max: open_max.map_or(limit, |most| most.min(limit)),
        });
        let opened = opened.await?;
        mark_opened(&opened.correlation_id, opened.id);
        Ok(opened)
    }

    /// How far an upload is. One whose bytes are all there, but of which no asset was made because somebody stopped in the
    /// middle, is finished now.
    ///
    /// # Errors
    /// `upload.not_found`.
    pub async fn upload(
        &self,
        tenant: TenantId,
        id: UploadId,
    ) -> Result<UploadRecord, EngineError> {
        let found = self.parts.store.upload(tenant, id).await?;
        let found = found.coming(Way::Tus)?;
        if found.asset.is_some() || found.is_partial() || !found.is_whole() {
            return Ok(found);
        }
        self.settled_upload(tenant, id).await
    }

    /// The same, and it stays so until more bytes are sent: whoever still sends some is stopped first.
    ///
    /// # Errors
    /// `upload.not_found`.
    pub async fn settled_upload(
        &self,
        tenant: TenantId,
        id: UploadId,
    ) -> Result<UploadRecord, EngineError> {
        let found = self.parts.store.upload(tenant, id).await?;
        let found = found.coming(Way::Tus)?;
        if found.asset.is_some() {
            return Ok(found);
        }
        let held = self.growing.hold(id).await;
        let taken = self.parts.store.take_upload(tenant, id).await?;
        if taken.asset.is_none()
            && taken.is_whole()
            && !taken.is_partial()
            && let Err(error) = self.finish(&taken, None).await
        {
            tracing::warn!(%id, %error, "an upload whose bytes are all there is not finished yet");
        }
        drop(held);
        Ok(self.parts.store.upload(tenant, id).await?)
    }

    /// Gives an upload up, with all of its bytes. What it became stays.
    ///
    /// # Errors
    /// `upload.not_found`.
    pub async fn end_upload(
        &self,
        tenant: TenantId,
        id: UploadId,
        way: Way,
    ) -> Result<(), EngineError> {
        let found = self.parts.store.upload(tenant, id).await?;
        found.coming(way)?;
        let _held = match way {
            Way::Tus => Some(self.growing.hold(id).await),
            // Who looks at it finds that it was taken; that may be late, and harms nothing.
            Way::Direct => None,
        };
        let taken = self.parts.store.take_upload(tenant, id).await?;
        self.give_up(&taken).await
    }

    /// Ends uploads whose time is over, and finishes those whose bytes are all there, up to `limit`. Answers how many.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn end_expired(self: &Arc<Self>, limit: u32) -> Result<usize, EngineError> {
        let expired = self.parts.store.take_expired_uploads(limit).await?;
        for upload in &expired {
            let is_to_finish = upload.asset.is_none() && upload.is_whole() && !upload.is_partial();
            let is_to_check = upload.asset.is_none() && upload.state == UploadState::Checking;
            let done = match is_to_finish {
                true => self.finish(upload, None).await.map(drop),
                false if is_to_check => self.check_again(upload.clone()).await,
                false => self.give_up(upload).await,
            };
            match done {
                Ok(()) => {}
                Err(error) if error.code == ErrorCode::UploadTaken => {}
                Err(error) => {
                    tracing::warn!(id = %upload.id, %error, "an upload could not be ended; it is tried again");
                }
            }
        }
        Ok(expired.len())
    }

    /// Forgets it, then removes its bytes; what stays of them is found by the collector.
    async fn give_up(&self, taken: &UploadRecord) -> Result<(), EngineError> {
        let ended = self.parts.store.end_upload(taken.id, taken.fence).await;
        ended.map_err(overtaken)?;
        if taken.asset.is_some() {
            return Ok(());
        }
        if taken.way == Way::Direct {
            if !taken.progress.is_empty() {
                let incoming = Incoming::from_text(&taken.progress)?;
                self.turn_away(taken, &incoming, None).await;
            }
            return Ok(());
        }
        let grown = Grown::from_text(&taken.progress)?;
        let blobs = &self.parts.blobs;
        let removed = blobs.abandon(taken.id.0, taken.fence, grown.as_ref(), None);
        if let Err(error) = removed.await {
            tracing::warn!(id = %taken.id, %error, "bytes of an upload stay until the collector finds them");
        }
        Ok(())
    }

    pub(crate) fn check_length(
        &self,
        length: Option<u64>,
        bounds: &Bounds,
    ) -> Result<(), EngineError> {
        let (most, says) = self.bytes_max(bounds);
        match length {
            Some(0) => Err(EngineError::new(
                ErrorCode::InputEmpty,
                "the upload has no bytes",
            )),
            Some(length) if length > most => Err(EngineError::new(
                ErrorCode::LimitBytes,
                format!("the upload is larger than {most} bytes ({says})"),
            )),
            _ => Ok(()),
        }
    }

    /// How long an upload stands without progress.
    pub fn uploads_kept(&self) -> Duration {
        Duration::from_secs(self.parts.retention.uploads_hours * 3600)
    }
}

/// The moment in a trace that hangs together what comes of an upload, in whichever process.
pub(crate) fn mark_opened(correlation: &str, upload: UploadId) {
    let trace_id = TraceId::of(correlation);
    let _opened = tracing::info_span!("upload", correlation_id = correlation, %trace_id, %upload);
}

/// What the asset is to be, as it was said when the upload was opened.
pub(crate) fn said(taken: &UploadRecord) -> Result<Upload, EngineError> {
    let upload: Upload = serde_json::from_str(&taken.said).map_err(|e| EngineError {
        code: ErrorCode::Internal,
        message: "what was said with the upload cannot be read".into(),
        reason: Some(Box::new(e)),
    })?;
    Ok(Upload {
        filename: upload.filename.as_deref().and_then(display_name),
        correlation_id: taken.correlation_id.clone(),
        ..upload
    })
}

fn overtaken(error: mediaflow_store::StoreError) -> EngineError {
    match error {
        mediaflow_store::StoreError::StaleFence => taken_over(),
        error => error.into(),
    }
}

fn taken_over() -> EngineError {
    EngineError::new(
        ErrorCode::UploadTaken,
        "a newer request has taken this upload over",
    )
}
