//! Tokens: each lets somebody without a key make one upload. Only digests of their secrets are stored.

use crate::StoreError;
use async_trait::async_trait;
use mediaflow_core::{KeyId, Sha256, TenantId, Timestamp, TokenId, UploadId};
use std::time::Duration;

/// A token to store.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// The public part.
    pub id: TokenId,
    /// Whose the asset will be.
    pub tenant: TenantId,
    /// Who minted it; nobody where no keys are needed.
    pub key: Option<KeyId>,
    /// Of the secret part.
    pub secret_sha256: Sha256,
    /// What it is for, as the caller wrote it.
    pub terms: String,
    /// Until then it can be used.
    pub kept: Duration,
}

/// A stored token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRecord {
    /// The public part.
    pub id: TokenId,
    /// Whose the asset will be.
    pub tenant: TenantId,
    /// Who minted it.
    pub key: Option<KeyId>,
    /// Of the secret part; compare in constant time.
    pub secret_sha256: Sha256,
    /// What it is for, as the caller wrote it.
    pub terms: String,
    /// The upload that was begun with it, which it still lets go on.
    pub upload: Option<UploadId>,
    /// Whether it is being used, or was.
    pub is_held: bool,
    /// When it is forgotten.
    pub expires_at: Timestamp,
}

/// Verbs about tokens.
#[async_trait]
pub trait Tokens: Send + Sync {
    /// Stores a token; answers when it ends.
    async fn add_token(&self, new: NewToken) -> Result<Timestamp, StoreError>;

    /// One token of any tenant, whose time is not over.
    async fn token(&self, id: TokenId) -> Result<Option<TokenRecord>, StoreError>;

    /// Takes it for one upload; answers whether it was free and its time not over.
    async fn hold_token(&self, id: TokenId) -> Result<bool, StoreError>;

    /// Gives it back: nothing came of the upload.
    async fn release_token(&self, id: TokenId) -> Result<(), StoreError>;

    /// It was used for this upload, which it lets go on for so long.
    async fn spend_token(
        &self,
        id: TokenId,
        upload: UploadId,
        kept: Duration,
    ) -> Result<(), StoreError>;
}
