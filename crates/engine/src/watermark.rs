//! The configured mark becomes a blob, so that a run frozen with it can be repeated after the file changed.

use crate::config::WatermarkConfig;
use mediaflow_blob::{BlobKey, Blobs};
use mediaflow_core::run::WatermarkSettings;
use mediaflow_core::{Sha256, TenantId};
use mediaflow_store::{NewBlob, Store};
use std::sync::Arc;
use uuid::Uuid;

impl crate::Engine {
    /// Stores the mark's bytes, unless they are stored already, and answers what runs freeze.
    ///
    /// # Errors
    /// A sentence for the operator: the file cannot be read or stored.
    pub async fn pin_watermark(
        store: &Arc<dyn Store>,
        blobs: &Blobs,
        config: &WatermarkConfig,
    ) -> Result<Option<WatermarkSettings>, String> {
        let Some(file) = &config.file else {
            return Ok(None);
        };
        let bytes = tokio::fs::read(file)
            .await
            .map_err(|e| format!("watermark.file {}: {e}", file.display()))?;
        let sha256 = Sha256::of(&bytes);
        let pin = crate::depot::mark_pin(sha256);
        let stored = store
            .pinned(TenantId::DEFAULT, &pin)
            .await
            .map_err(|e| e.to_string())?;
        if stored.is_none() {
            let mut writer = blobs.writer(BlobKey::original(Uuid::now_v7()));
            writer
                .write(bytes.into())
                .await
                .map_err(|e| e.to_string())?;
            let written = writer.finish().await.map_err(|e| e.to_string())?;
            let blob = NewBlob {
                sha256,
                bytes: written.bytes,
                key: written.key.as_str().to_owned(),
            };
            store
                .pin(TenantId::DEFAULT, &pin, blob)
                .await
                .map_err(|e| e.to_string())?;
        }
        Ok(Some(WatermarkSettings {
            sha256,
            position: config.position.as_str().to_owned(),
            opacity: config.opacity,
            scale: config.scale,
        }))
    }
}
