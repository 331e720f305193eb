//! Files that MediaFlow finds itself, in folders and buckets: remembered by a mark before they are read, so that each becomes one asset
//! whoever is killed when.

use crate::uploads::{mark_opened, said};
use crate::{Engine, EngineError, Receipt, Upload};
use bytes::Bytes;
use futures_util::Stream;
use mediaflow_core::{AssetId, AssetOptions, ErrorCode, Priority, Sha256, TenantId, Visibility};
use mediaflow_store::{FinishedUpload, ImportRecord, Mark, NewImport, NewUpload, StoreError, Way};
use std::future::Future;
use std::time::Duration;

/// How long an upload stands that nobody goes on with: whoever was killed may come back late.
const KEPT: Duration = Duration::from_secs(30 * 86_400);

/// Something to import.
pub(crate) struct FoundFile {
    pub(crate) tenant: TenantId,
    /// Under which name the store keeps imports from there.
    pub(crate) source: String,
    /// Where it is, for people.
    pub(crate) reference: String,
    /// What it is known by.
    pub(crate) mark: String,
    /// What else is to be known when it is read.
    pub(crate) details: String,
    /// What the asset is to be.
    pub(crate) upload: Upload,
}

/// What an operator has said of all files of one place.
pub(crate) struct Said<'a> {
    pub(crate) recipe: Option<&'a str>,
    pub(crate) tags: &'a [String],
    pub(crate) visibility: Visibility,
    pub(crate) priority: Priority,
}

impl Said<'_> {
    /// Of one of them, which has this name.
    pub(crate) fn of(&self, filename: Option<String>) -> Upload {
        Upload {
            filename,
            recipe: self.recipe.map(str::to_owned),
            options: AssetOptions {
                tags: self.tags.to_vec(),
                visibility: self.visibility,
                ..AssetOptions::default()
            },
            priority: self.priority,
            ..Upload::default()
        }
    }
}

/// What there is to do with an import.
pub(crate) enum Turn {
    /// It is an asset already.
    Done(AssetId),
    /// It is the caller's to read.
    Ours(Box<Upload>, FinishedUpload),
    /// It was begun so long ago that it is forgotten now, and may be begun anew.
    Gone,
}

impl Engine {
    /// Remembers it, or answers what is remembered of it.
    pub(crate) async fn found(&self, file: FoundFile) -> Result<ImportRecord, EngineError> {
        let correlation = self.environment().id().simple().to_string();
        let opened = self.store().open_import(NewImport {
            upload: NewUpload {
                tenant: file.tenant,
                key: None,
                way: Way::Tus,
                length: None,
                concat: None,
                said: serde_json::to_string(&file.upload).expect("plain data is always JSON"),
                metadata: file.details,
                correlation_id: correlation.clone(),
                kept: KEPT,
                open_max: self.parts.limits.open_max,
            },
            source: file.source,
            reference: file.reference,
            mark: Some(Mark {
                digest: Sha256::of(file.mark.as_bytes()),
                name: file.mark,
            }),
            after: Duration::ZERO,
        });
        let (import, is_known) = opened.await?;
        if !is_known {
            mark_opened(&correlation, import.id);
        }
        Ok(import)
    }

    /// Takes an import from whoever is at it.
    pub(crate) async fn turn(&self, import: &ImportRecord) -> Result<(Turn, String), EngineError> {
        let taken = match self.store().take_upload(import.tenant, import.id).await {
            Ok(taken) => taken,
            Err(StoreError::UploadNotFound) => {
                self.store().forget_import(import.id).await?;
                return Ok((Turn::Gone, String::new()));
            }
            Err(error) => return Err(error.into()),
        };
        if let Some(asset) = taken.asset {
            return Ok((Turn::Done(asset), taken.metadata));
        }
        let upload = said(&taken)?;
        let finished = FinishedUpload {
            id: taken.id,
            fence: taken.fence,
            kept: KEPT,
        };
        Ok((Turn::Ours(Box::new(upload), finished), taken.metadata))
    }

    /// Reads it whole; `complete` is asked when its bytes have ended. Nothing when somebody else has taken it.
    pub(crate) async fn accept_found<S, E, F>(
        &self,
        tenant: TenantId,
        upload: Upload,
        finished: FinishedUpload,
        body: S,
        complete: impl FnOnce(Upload) -> F + Send,
    ) -> Result<Option<Receipt>, EngineError>
    where
        S: Stream<Item = Result<Bytes, E>> + Send,
        E: std::error::Error + Send + Sync + 'static,
        F: Future<Output = Result<Upload, EngineError>> + Send,
    {
        let accepted = self.accept_as(tenant, upload, body, complete, Some(finished));
        match accepted.await {
            Ok(receipt) => Ok(Some(receipt)),
            Err(error) if error.code == ErrorCode::FenceStale => Ok(None),
            Err(error) => Err(error),
        }
    }
}
