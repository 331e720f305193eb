//! Captions: those found in the file belong to a generation, those that people give stay beside all of them.

use crate::{NewBlob, StoreError};
use async_trait::async_trait;
use mediaflow_core::{AssetId, AssetState, Kind, Sha256, TenantId, Visibility};

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

/// The generation of what people gave.
pub(crate) const GIVEN: u32 = 0;

/// Why an asset takes no captions, if it takes none.
pub(crate) fn may_have_captions(state: AssetState, kind: Kind) -> Result<(), StoreError> {
    match (state, kind) {
        (AssetState::Deleted, _) => Err(StoreError::AssetDeleted),
        (AssetState::Rejected, _) => Err(StoreError::Conflict(
            "the asset was rejected; it takes no captions".into(),
        )),
        (_, Kind::Image) => Err(StoreError::Conflict("a picture has no captions".into())),
        _ => Ok(()),
    }
}

/// The first of each name, by name; given ones come first and hide the others.
pub(crate) fn one_of_each_name(mut found: Vec<CaptionsRecord>) -> Vec<CaptionsRecord> {
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found.dedup_by(|later, first| later.name == first.name);
    found
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
