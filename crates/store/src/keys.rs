//! API keys. Only digests are stored.

use crate::{KeyLimits, StoreError};
use async_trait::async_trait;
use mediaflow_core::{KeyId, Sha256, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Upload, change, reprocess and delete assets.
    Ingest,
    /// Read assets, tasks and events.
    Read,
    /// Decide about assets in review.
    Moderate,
    /// Everything but what workers do, and replaying dead tasks.
    Admin,
    /// Claim and report tasks from a network of one's own, and nothing else.
    Worker,
}

impl Scope {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::Ingest,
        Self::Read,
        Self::Moderate,
        Self::Admin,
        Self::Worker,
    ];

    /// The name on the command line and in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Read => "read",
            Self::Moderate => "moderate",
            Self::Admin => "admin",
            Self::Worker => "worker",
        }
    }

    /// The scope of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|s| s.as_str() == name)
    }
}

/// A key to store.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// The public part.
    pub id: KeyId,
    /// The owner.
    pub tenant: TenantId,
    /// For people.
    pub name: String,
    /// What it may do; not empty.
    pub scopes: Vec<Scope>,
    /// Of the secret part.
    pub secret_sha256: Sha256,
    /// What uploads with it may be.
    pub limits: KeyLimits,
}

/// A stored key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    /// The public part.
    pub id: KeyId,
    /// The owner.
    pub tenant: TenantId,
    /// For people.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// Of the secret part; compare in constant time.
    pub secret_sha256: Sha256,
    /// What uploads with it may be.
    pub limits: KeyLimits,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was revoked, if it was.
    pub revoked_at: Option<Timestamp>,
}

impl KeyRecord {
    /// Whether it may do that. A worker's key can do nothing else, and no other one what a worker's can.
    pub fn allows(&self, scope: Scope) -> bool {
        let is_admin = scope != Scope::Worker && self.scopes.contains(&Scope::Admin);
        is_admin || self.scopes.contains(&scope)
    }
}

/// Verbs about keys.
#[async_trait]
pub trait Keys: Send + Sync {
    /// Stores a key.
    async fn add_key(&self, key: NewKey) -> Result<(), StoreError>;
    /// All keys of the tenant, oldest first, revoked ones included.
    async fn keys(&self, tenant: TenantId) -> Result<Vec<KeyRecord>, StoreError>;
    /// One key of any tenant.
    async fn key(&self, id: KeyId) -> Result<Option<KeyRecord>, StoreError>;
    /// Ends a key; answers whether it existed and was live.
    async fn revoke_key(&self, tenant: TenantId, id: KeyId) -> Result<bool, StoreError>;
}
