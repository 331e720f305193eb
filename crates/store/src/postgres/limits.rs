//! What uploads with a key may be, and how much of it was used.

use super::rows::{clamp, number, to_json};
use super::{PostgresStore, Repeat, Session};
use crate::limits::{DAYS_KEPT, day};
use crate::{KeyLimits, Limiting, StoreError, Usage};
use async_trait::async_trait;
use futures_util::FutureExt;
use mediaflow_core::{KeyId, TenantId};
use std::collections::BTreeMap;
use uuid::Uuid;

#[async_trait]
impl Limiting for PostgresStore {
    async fn limit_key(
        &self,
        tenant: TenantId,
        id: KeyId,
        limits: KeyLimits,
    ) -> Result<bool, StoreError> {
        let limits = &limits;
        self.write(Repeat::Always, move |s, _| {
            limit(s, tenant, id, limits).boxed()
        })
        .await
    }

    async fn usage(&self, tenant: TenantId, id: KeyId) -> Result<Usage, StoreError> {
        self.read(move |s, _| usage(s, tenant, id).boxed()).await
    }
}

async fn limit(
    s: &Session,
    tenant: TenantId,
    id: KeyId,
    limits: &KeyLimits,
) -> Result<bool, StoreError> {
    let sql = "UPDATE api_keys SET limits = $3 WHERE id = $1 AND tenant = $2";
    let limits = to_json(limits);
    Ok(s.execute(sql, &[&id.0, &tenant.0, &limits]).await? > 0)
}

const USED: &str = "SELECT coalesce(sum(bytes), 0)::bigint AS bytes, coalesce(sum(files), 0)::bigint AS files FROM (
        SELECT bytes, files FROM key_usage WHERE key = $2 AND day = $3
        UNION ALL
        SELECT coalesce(length, bytes), 1 FROM uploads
        WHERE tenant = $1 AND key = $2 AND asset IS NULL AND state <> 'refused') u";
const COUNT: &str = "INSERT INTO key_usage (key, day, slot, bytes, files)
     SELECT w.key, $2, pg_backend_pid() % 16, w.bytes, w.files
     FROM unnest($1::uuid[], $3::bigint[], $4::bigint[]) w (key, bytes, files)
     ON CONFLICT (key, day, slot) DO UPDATE
     SET bytes = key_usage.bytes + excluded.bytes, files = key_usage.files + excluded.files";

async fn usage(s: &Session, tenant: TenantId, id: KeyId) -> Result<Usage, StoreError> {
    let row = s.one(USED, &[&tenant.0, &id.0, &day(s.now)]).await?;
    Ok(Usage {
        bytes: number(&row, "bytes")?,
        files: number(&row, "files")?,
    })
}

/// These were taken in. Each connection counts in a slot of its own, or shares it with few: what all would change at once would be
/// changed by one after the other.
pub(super) async fn count(s: &Session, taken: &[(KeyId, u64)]) -> Result<(), StoreError> {
    if taken.is_empty() {
        return Ok(());
    }
    // In one order everywhere: two that count for the same keys wait for each other.
    let mut all: BTreeMap<KeyId, (u64, i64)> = BTreeMap::new();
    for (key, bytes) in taken {
        let of_key = all.entry(*key).or_default();
        *of_key = (of_key.0.saturating_add(*bytes), of_key.1 + 1);
    }
    let keys: Vec<Uuid> = all.keys().map(|key| key.0).collect();
    let bytes: Vec<i64> = all.values().map(|(bytes, _)| clamp(*bytes)).collect();
    let files: Vec<i64> = all.values().map(|(_, files)| *files).collect();
    s.execute(COUNT, &[&keys, &day(s.now), &bytes, &files])
        .await
        .map(drop)
}

/// Ends what nobody asks for any more: tokens whose time is over, and days that are long past.
pub(super) async fn forget(s: &Session) -> Result<(), StoreError> {
    let tokens = "DELETE FROM upload_tokens WHERE expires_at <= $1";
    s.execute(tokens, &[&s.now.0]).await?;
    let days = "DELETE FROM key_usage WHERE day < $1";
    s.execute(days, &[&(day(s.now) - DAYS_KEPT)])
        .await
        .map(drop)
}
