//! What uploads with a key may be, and how much of it was used.

use super::SqliteStore;
use super::rows::{clamp, to_json};
use super::writer::Session;
use crate::limits::{DAYS_KEPT, day};
use crate::{KeyLimits, Limiting, StoreError, Usage};
use async_trait::async_trait;
use mediaflow_core::{KeyId, TenantId};
use rusqlite::params;

#[async_trait]
impl Limiting for SqliteStore {
    async fn limit_key(
        &self,
        tenant: TenantId,
        id: KeyId,
        limits: KeyLimits,
    ) -> Result<bool, StoreError> {
        self.write(move |s| {
            let changed = s
                .conn
                .prepare_cached("UPDATE api_keys SET limits = ?3 WHERE id = ?1 AND tenant = ?2")?
                .execute(params![id.as_bytes(), tenant.as_bytes(), to_json(&limits)])?;
            Ok(changed > 0)
        })
        .await
    }

    async fn usage(&self, tenant: TenantId, id: KeyId) -> Result<Usage, StoreError> {
        let today = day(self.env.now());
        self.read(move |conn, _| {
            let mut taken = conn.prepare_cached(TAKEN)?;
            let (bytes, files) = taken.query_row(params![id.as_bytes(), today], |r| {
                Ok((r.get(0)?, r.get(1)?))
            })?;
            let taken = Usage { bytes, files };
            let mut open = conn.prepare_cached(OPEN)?;
            let open = open.query_row(params![tenant.as_bytes(), id.as_bytes()], |r| {
                Ok(Usage {
                    bytes: r.get(0)?,
                    files: r.get(1)?,
                })
            })?;
            Ok(Usage {
                bytes: taken.bytes.saturating_add(open.bytes),
                files: taken.files.saturating_add(open.files),
            })
        })
        .await
    }
}

const TAKEN: &str = "SELECT coalesce(sum(bytes), 0), coalesce(sum(files), 0) FROM key_usage WHERE key = ?1 AND day = ?2";
const OPEN: &str = "SELECT coalesce(sum(coalesce(length, bytes)), 0), count(*) FROM uploads
     WHERE tenant = ?1 AND key = ?2 AND asset IS NULL AND state <> 'refused'";

/// One more file was taken in.
pub(super) fn count(s: &Session<'_>, key: KeyId, bytes: u64) -> Result<(), StoreError> {
    s.conn
        .prepare_cached(
            "INSERT INTO key_usage (key, day, slot, bytes, files) VALUES (?1, ?2, 0, ?3, 1)
             ON CONFLICT DO UPDATE SET bytes = bytes + excluded.bytes, files = files + 1",
        )?
        .execute(params![key.as_bytes(), day(s.now), clamp(bytes)])?;
    Ok(())
}

/// Ends what nobody asks for any more: tokens whose time is over, and days that are long past.
pub(super) fn forget(s: &Session<'_>) -> Result<(), StoreError> {
    s.conn
        .prepare_cached("DELETE FROM upload_tokens WHERE expires_at <= ?1")?
        .execute([s.now.0])?;
    s.conn
        .prepare_cached("DELETE FROM key_usage WHERE day < ?1")?
        .execute([day(s.now) - DAYS_KEPT])?;
    Ok(())
}
