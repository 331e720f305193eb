//! Captions: those found in the file belong to a generation, those that people give stay beside all of them.

use crate::{NewBlob, StoreError};
use async_trait::async_trait;
use mediaflow_core::{AssetId, Sha256, TenantId, Visibility};

/// Captions as WebVTT, about to be recorded.
#[derive(Debug, Clone)]
pub struct NewCaptions {
    /// In URLs: `captions-en`.
    pub name: String,
    /// BCP 47.
    pub language: String,
    /// What people choose by.
    pub label: String,
    /// The bytes.
    pub blob: NewBlob,
}

/// Captions that readers may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaptionsRecord {
    /// In URLs.
    pub name: String,
    /// BCP 47.
    pub language: String,
    /// What people choose by.
    pub label: String,
    /// Of their bytes.
    pub sha256: Sha256,
    /// Length.
    pub bytes: u64,
    /// Where the bytes are.
    pub key: String,
    /// Who may fetch them.
    pub visibility: Visibility,
}

/// Verbs of captions.
#[async_trait]
pub trait Captioning: Send + Sync {
    /// What readers may see at this moment, by name. Given ones hide what was found under the same name.
    async fn captions(&self, asset: AssetId) -> Result<Vec<CaptionsRecord>, StoreError>;

    /// Gives an asset captions; those given before under this name are replaced.
    ///
    /// # Errors
    /// Deleted and rejected assets, and kinds that have nothing to say.
    async fn give_captions(
        &self,
        tenant: TenantId,
        asset: AssetId,
        new: NewCaptions,
    ) -> Result<(), StoreError>;

    /// Takes given captions away. Found ones under the same name show again.
    ///
    /// # Errors
    /// [`StoreError::CaptionsNotFound`] where none were given under this name.
    async fn take_captions(
        &self,
        tenant: TenantId,
        asset: AssetId,
        name: &str,
    ) -> Result<(), StoreError>;
}
