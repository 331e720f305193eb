//! What uploads with a key may be, and how much of it was used.

use crate::StoreError;
use async_trait::async_trait;
use mediaflow_core::{KeyId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

/// What uploads with a key may be. What is not said is not limited by it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeyLimits {
    /// Most bytes of one file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_bytes_max: Option<u64>,
    /// Types that are taken, such as `image/jpeg` or `video/*`; all where there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<String>,
    /// Uploads over several requests that may be open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_max: Option<u32>,
    /// Bytes that are taken in a day, from midnight to midnight in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub day_bytes_max: Option<u64>,
    /// Files, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub day_files_max: Option<u64>,
}

impl KeyLimits {
    /// Whether what is taken in must be counted.
    pub fn counts(&self) -> bool {
        self.day_bytes_max.is_some() || self.day_files_max.is_some()
    }
}

/// What a key has used of its day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Bytes that were taken in, and those that open uploads were announced with.
    pub bytes: u64,
    /// Files, likewise.
    pub files: u64,
}

/// Days since 1970 in UTC.
pub(crate) fn day(now: Timestamp) -> i64 {
    now.0.div_euclid(86_400_000)
}

/// Days of which the use is remembered.
pub(crate) const DAYS_KEPT: i64 = 8;

/// Verbs about the limits of keys.
#[async_trait]
pub trait Limiting: Send + Sync {
    /// Says what uploads with a key may be; answers whether there is such a key.
    async fn limit_key(
        &self,
        tenant: TenantId,
        id: KeyId,
        limits: KeyLimits,
    ) -> Result<bool, StoreError>;

    /// What a key that is counted has used today.
    async fn usage(&self, tenant: TenantId, id: KeyId) -> Result<Usage, StoreError>;
}
