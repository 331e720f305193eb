//! Imports: files that MediaFlow fetches from other people's servers.
//!
//! An import is an upload that nobody sends: the importer asks for its bytes, adds them like a request of a client would, and goes
//! on where it was after whatever breaks. Nothing inside the operator's networks can be reached with it; see [`gate`].

mod attempt;
mod config;
mod fetch;
mod found;
mod gate;
mod network;
mod tally;

pub use config::{ImportConfig, IngestConfig};
pub use fetch::Fetcher;
pub(crate) use found::{FoundFile, Said, Turn};
pub use gate::Lookup;
pub(crate) use gate::{Gate, Rules, SystemLookup};
pub use network::{Network, is_public};
pub use tally::ImportCounts;
pub(crate) use tally::Tally;

use crate::uploads::mark_opened;
use crate::{Engine, EngineError, Opening, Upload};
use mediaflow_core::{Sha256, TenantId, UploadId};
use mediaflow_store::{ImportRecord, Mark, NewImport, NewUpload, Way};
use std::time::Duration;

/// Under which name the store keeps imports by address.
pub(crate) const SOURCE: &str = "url";

impl Engine {
    /// Begins an import, or answers the one that was begun with the same idempotency key, and whether it did.
    ///
    /// # Errors
    /// `import.url` and `import.address` for what may not be asked for; limits, options that make no sense, uploads that are
    /// switched off.
    pub async fn open_import(
        &self,
        url: &str,
        opening: Opening,
    ) -> Result<(ImportRecord, bool), EngineError> {
        let Opening {
            tenant,
            key,
            upload,
            open_max,
            ..
        } = opening;
        let parsed = self.parts.fetcher.check(url)?;
        self.check_options(&upload.options)?;
        self.check_idempotency_key(upload.idempotency_key.as_deref())?;
        self.check_room()?;
        self.check_admission(tenant).await?;
        self.check_day(tenant, &upload.bounds, None).await?;
        let limit = self.parts.limits.open_max;
        let correlation = upload.correlation_id.clone();
        let mark = upload.idempotency_key.clone();
        let said = Upload {
            is_named_by_guess: upload.filename.is_none(),
            filename: upload.filename.or_else(|| attempt::filename(&parsed)),
            idempotency_key: None,
            correlation_id: String::new(),
            ..upload
        };
        let said = serde_json::to_string(&said).expect("plain data is always JSON");
        let mark = mark.map(|key| Mark {
            name: format!("url {tenant} {key}"),
            digest: Sha256::of(format!("{url}\n{said}").as_bytes()),
        });
        let opened = self.parts.store.open_import(NewImport {
            upload: NewUpload {
                tenant,
                key,
                way: Way::Tus,
                length: None,
                concat: None,
                said,
                metadata: String::new(),
                correlation_id: correlation.clone(),
                kept: self.uploads_kept(),
                open_max: open_max.map_or(limit, |most| most.min(limit)),
            },
            source: SOURCE.to_owned(),
            reference: url.to_owned(),
            mark,
            after: Duration::ZERO,
        });
        let opened = opened.await?;
        if let (import, false) = &opened {
            mark_opened(&correlation, import.id);
        }
        self.import_wanted.notify_one();
        Ok(opened)
    }

    /// How imports by address went in this process.
    pub fn import_counts(&self) -> ImportCounts {
        self.imported.counts()
    }

    /// How an import is going.
    ///
    /// # Errors
    /// `import.not_found`.
    pub async fn import(
        &self,
        tenant: TenantId,
        id: UploadId,
    ) -> Result<ImportRecord, EngineError> {
        Ok(self.parts.store.import(tenant, id).await?)
    }

    /// Ends and forgets an import. What it became stays.
    ///
    /// # Errors
    /// `import.not_found`.
    pub async fn end_import(&self, tenant: TenantId, id: UploadId) -> Result<(), EngineError> {
        let import = self.parts.store.import(tenant, id).await?;
        // First, or the importer would ask for it once more when its try is stopped.
        self.parts.store.forget_import(id).await?;
        self.drop_upload(&import).await
    }
}
