//! From an event to an asset.

use super::{Created, StorageSource, read};
use crate::imports::{FoundFile, Turn};
use crate::{Engine, EngineError, Upload};
use mediaflow_blob::BlobError;
use mediaflow_core::failure::backoff;
use mediaflow_core::{AssetId, ErrorCode, Sha256, TenantId};
use mediaflow_store::{ImportChange, ImportNext, ImportRecord};
use serde::{Deserialize, Serialize};
use std::future::ready;
use std::time::Duration;

/// Tries of an object that cannot be read, after which it is given up.
const TRIES_MAX: u32 = 20;
/// How long an event is known again: longer than any queue keeps messages.
const KEPT: Duration = Duration::from_secs(15 * 86_400);

/// What must be the same when an object is read.
#[derive(Debug, Serialize, Deserialize)]
struct Wanted {
    version: Option<String>,
    e_tag: Option<String>,
}

impl Engine {
    /// Buckets whose new objects are taken.
    pub fn storage_sources(&self) -> &[StorageSource] {
        &self.parts.storage_sources
    }

    /// Records what a message tells, so that the message is not needed any more: each object that is to be taken, once. They are
    /// taken in the background.
    ///
    /// # Errors
    /// `request.invalid` when it is no such message; when it could not be recorded.
    pub async fn record_events(
        &self,
        source: &StorageSource,
        body: &str,
    ) -> Result<Vec<ImportRecord>, EngineError> {
        let mut recorded = Vec::new();
        for created in read(body)?
            .into_iter()
            .filter(|created| source.takes(created))
        {
            recorded.push(self.record_event(source, created).await?);
        }
        source.recorded.notify_one();
        Ok(recorded)
    }

    async fn record_event(
        &self,
        source: &StorageSource,
        created: Created,
    ) -> Result<ImportRecord, EngineError> {
        let config = &source.config;
        // A version stays what it is; without one the same content written again is another upload.
        let which = match &created.version {
            Some(version) => format!("version {version}"),
            None => format!("{:?} {:?}", created.e_tag, created.sequencer),
        };
        let known_by = format!("{}\n{}\n{which}", created.bucket, created.key);
        let wanted = Wanted {
            version: created.version,
            e_tag: created.e_tag,
        };
        self.found(FoundFile {
            tenant: config.tenant.unwrap_or(TenantId::DEFAULT),
            source: config.source(),
            reference: created.key.clone(),
            mark: format!("{} {}", config.source(), Sha256::of(known_by.as_bytes())),
            details: serde_json::to_string(&wanted).expect("plain data is always JSON"),
            upload: config.said().of(Some(created.key)),
        })
        .await
    }

    /// Imports of a bucket that are due.
    pub(crate) async fn due_events(
        &self,
        source: &StorageSource,
        limit: u32,
    ) -> Result<Vec<ImportRecord>, EngineError> {
        Ok(self
            .store()
            .due_imports(&source.config.source(), limit)
            .await?)
    }

    /// Tries one once, and records how that went.
    pub(crate) async fn take_object(
        &self,
        source: &StorageSource,
        import: &ImportRecord,
    ) -> Result<(), EngineError> {
        let mut change = ImportChange {
            validator: None,
            tries: import.tries,
            error: None,
            next: ImportNext::Failed,
            kept: Some(KEPT),
        };
        match self.copy_object(source, import).await {
            Ok(Some(asset)) => change.next = ImportNext::Done(asset),
            Ok(None) => return Ok(()),
            Err(error) => {
                let is_ours = matches!(
                    error.code,
                    ErrorCode::LimitRate
                        | ErrorCode::LimitStorage
                        | ErrorCode::StoreUnavailable
                        | ErrorCode::SwitchOff
                );
                let may_pass = error.code.status() >= 500 && error.code != ErrorCode::ImportRefused
                    || matches!(
                        error.code,
                        ErrorCode::LimitRate
                            | ErrorCode::InputInterrupted
                            | ErrorCode::RequestTimeout
                    );
                change.tries += u32::from(!is_ours);
                if may_pass && change.tries < TRIES_MAX {
                    let pause = backoff(change.tries.max(3), self.environment().jitter());
                    change.next = ImportNext::Again(pause);
                } else {
                    let name = &source.config.name;
                    tracing::warn!(source = name, key = import.reference, code = %error.code, message = error.message, "an object is not taken");
                    self.drop_upload(import).await?;
                }
                change.error = Some((error.code, error.message));
            }
        }
        Ok(self.store().save_import(import.id, change).await?)
    }

    /// The asset; nothing when somebody else is at it, or it is forgotten.
    async fn copy_object(
        &self,
        source: &StorageSource,
        import: &ImportRecord,
    ) -> Result<Option<AssetId>, EngineError> {
        let (upload, finished, details) = match self.turn(import).await? {
            (Turn::Done(asset), _) => return Ok(Some(asset)),
            (Turn::Gone, _) => return Ok(None),
            (Turn::Ours(upload, finished), details) => (upload, finished, details),
        };
        self.check_admission(import.tenant).await?;
        let wanted: Wanted = serde_json::from_str(&details).map_err(|e| EngineError {
            code: ErrorCode::Internal,
            message: "what is known of the object cannot be read".into(),
            reason: Some(Box::new(e)),
        })?;
        let opening = source.bucket.get(
            &import.reference,
            wanted.version.as_deref(),
            wanted.e_tag.as_deref(),
        );
        let object = opening.await.map_err(unread)?;
        let upload = Upload {
            length: Some(object.bytes),
            ..*upload
        };
        let whole = |upload| ready(Ok(upload));
        let accepted = self.accept_found(import.tenant, upload, finished, object.stream, whole);
        Ok(accepted.await?.map(|receipt| receipt.asset))
    }
}

fn unread(error: BlobError) -> EngineError {
    let (code, message) = match &error {
        BlobError::NotFound(_) => (
            ErrorCode::ImportRefused,
            "the object is not there any more, or was replaced by another one".to_owned(),
        ),
        BlobError::Refused { reason, .. } => (
            ErrorCode::ImportRefused,
            format!("the bucket refuses to give the object: {reason}"),
        ),
        _ => (
            ErrorCode::ImportFailed,
            "the bucket did not answer".to_owned(),
        ),
    };
    EngineError {
        code,
        message,
        reason: Some(Box::new(error)),
    }
}
