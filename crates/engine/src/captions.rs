//! Captions that people give: stored like every blob, then recorded.

use crate::{Engine, EngineError};
use mediaflow_blob::BlobKey;
use mediaflow_core::language::Language;
use mediaflow_core::{AssetId, Sha256, TenantId};
use mediaflow_store::{NewBlob, NewCaptions};

/// Longest label, in characters.
const LABEL_CHARS_MAX: usize = 100;

impl Engine {
    /// Gives an asset captions in this language, over those given before. `webvtt` is what readers get.
    ///
    /// # Errors
    /// Deleted and rejected assets, pictures, a label that is too long; storage that does not take it.
    pub async fn give_captions(
        &self,
        tenant: TenantId,
        asset: AssetId,
        language: &Language,
        label: Option<String>,
        webvtt: String,
    ) -> Result<(), EngineError> {
        let label = label.unwrap_or_else(|| language.label());
        if label.chars().count() > LABEL_CHARS_MAX || label.contains(char::is_control) {
            return Err(EngineError::new(
                mediaflow_core::ErrorCode::RequestInvalid,
                format!("`label` has at most {LABEL_CHARS_MAX} characters, all of them visible"),
            ));
        }
        // Whose it is, before anything is written.
        self.parts.store.asset(tenant, asset).await?;
        let sha256 = Sha256::of(webvtt.as_bytes());
        let key = BlobKey::original(self.parts.environment.id());
        let mut writer = self.parts.blobs.writer(key);
        writer.write(webvtt.into()).await?;
        let written = writer.finish().await?;
        let new = NewCaptions {
            name: name(language),
            language: language.to_string(),
            label,
            blob: NewBlob {
                sha256,
                bytes: written.bytes,
                key: written.key.as_str().to_owned(),
            },
        };
        Ok(self.parts.store.give_captions(tenant, asset, new).await?)
    }

    /// Takes given captions away.
    ///
    /// # Errors
    /// Where none were given in this language.
    pub async fn take_captions(
        &self,
        tenant: TenantId,
        asset: AssetId,
        language: &Language,
    ) -> Result<(), EngineError> {
        let name = name(language);
        Ok(self.parts.store.take_captions(tenant, asset, &name).await?)
    }
}

fn name(language: &Language) -> String {
    format!("captions-{language}")
}
