//! API keys. Only digests are stored.

use crate::query::{cut, decode};
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

/// Which keys of a tenant to list.
#[derive(Debug, Clone, Default)]
pub struct KeyFilter {
    /// Only those that work, or only revoked ones.
    pub live: Option<bool>,
    /// The place after which to go on, from an earlier page.
    pub cursor: Option<String>,
}

/// Some of a tenant's keys, the newest first.
#[derive(Debug, Clone)]
pub struct KeyPage {
    /// These.
    pub keys: Vec<KeyRecord>,
    /// For the next page, where there is one.
    pub next_cursor: Option<String>,
}

/// Where a page ends: when its last key was made, and the key.
pub(crate) type KeyPlace = (i64, uuid::Uuid);

impl KeyFilter {
    /// After which the page begins; the first one begins after every time.
    pub(crate) fn place(&self) -> Result<KeyPlace, StoreError> {
        match &self.cursor {
            Some(cursor) => decode(cursor),
            None => Ok((i64::MAX, uuid::Uuid::max())),
        }
    }
}

impl KeyPage {
    /// Of one key more than it has room for, if there is one.
    pub(crate) fn of(mut keys: Vec<KeyRecord>, size: usize) -> Self {
        let next_cursor = cut(&mut keys, size, |key| (key.created_at.0, key.id.0));
        Self { keys, next_cursor }
    }
}

/// Verbs about keys.
#[async_trait]
pub trait Keys: Send + Sync {
    /// Stores a key.
    async fn add_key(&self, key: NewKey) -> Result<(), StoreError>;
    /// All keys of the tenant, oldest first, revoked ones included.
    async fn keys(&self, tenant: TenantId) -> Result<Vec<KeyRecord>, StoreError>;
    /// Up to `limit` keys of the tenant, 1 to 200, newest first.
    ///
    /// # Errors
    /// [`StoreError::InvalidQuery`] for a limit or a cursor that is none.
    async fn key_page(
        &self,
        tenant: TenantId,
        filter: &KeyFilter,
        limit: u32,
    ) -> Result<KeyPage, StoreError>;
    /// One key of any tenant.
    async fn key(&self, id: KeyId) -> Result<Option<KeyRecord>, StoreError>;
    /// Ends a key; answers whether it existed and was live.
    async fn revoke_key(&self, tenant: TenantId, id: KeyId) -> Result<bool, StoreError>;
}
