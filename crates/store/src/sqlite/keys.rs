//! API keys.

use super::SqliteStore;
use super::rows::{id, json, maybe_json, maybe_time, sha, time, to_json};
use crate::query::page_size;
use crate::{KeyFilter, KeyPage, KeyRecord, Keys, NewKey, StoreError};
use async_trait::async_trait;
use mediaflow_core::{KeyId, TenantId};
use rusqlite::{OptionalExtension, Row, params};

fn key(row: &Row<'_>) -> rusqlite::Result<KeyRecord> {
    Ok(KeyRecord {
        id: id(row, "id")?,
        tenant: id(row, "tenant")?,
        name: row.get("name")?,
        scopes: json(row, "scopes")?,
        secret_sha256: sha(row, "secret_sha256")?,
        limits: maybe_json(row, "limits")?.unwrap_or_default(),
        created_at: time(row, "created_at")?,
        revoked_at: maybe_time(row, "revoked_at")?,
    })
}

pub(super) const PAGE: &str =
    "SELECT * FROM api_keys WHERE tenant = ?1 AND (created_at, id) < (?2, ?3)
       AND (?4 IS NULL OR (revoked_at IS NULL) = ?4)
     ORDER BY created_at DESC, id DESC LIMIT ?5";

#[async_trait]
impl Keys for SqliteStore {
    async fn add_key(&self, key: NewKey) -> Result<(), StoreError> {
        self.write(move |s| {
            s.conn
                .prepare_cached(
                    "INSERT INTO api_keys (id, tenant, name, scopes, secret_sha256, created_at, limits)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                )?
                .execute(params![
                    key.id.as_bytes(),
                    key.tenant.as_bytes(),
                    key.name,
                    to_json(&key.scopes),
                    key.secret_sha256.0,
                    s.now.0,
                    to_json(&key.limits)
                ])?;
            Ok(())
        })
        .await
    }

    async fn keys(&self, tenant: TenantId) -> Result<Vec<KeyRecord>, StoreError> {
        self.read(move |conn, _| {
            let mut statement = conn.prepare_cached(
                "SELECT * FROM api_keys WHERE tenant = ?1 ORDER BY created_at, id",
            )?;
            let keys = statement.query_map([tenant.as_bytes()], key)?;
            Ok(keys.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn key_page(
        &self,
        tenant: TenantId,
        filter: &KeyFilter,
        limit: u32,
    ) -> Result<KeyPage, StoreError> {
        let (size, (at, id), live) = (page_size(limit)?, filter.place()?, filter.live);
        self.read(move |conn, _| {
            let mut statement = conn.prepare_cached(PAGE)?;
            let (after, most) = (id.into_bytes(), size + 1);
            let params = params![tenant.as_bytes(), at, after, live, most];
            let keys = statement.query_map(params, key)?;
            Ok(KeyPage::of(keys.collect::<Result<_, _>>()?, size))
        })
        .await
    }

    async fn key(&self, id: KeyId) -> Result<Option<KeyRecord>, StoreError> {
        self.read(move |conn, _| {
            let mut statement = conn.prepare_cached("SELECT * FROM api_keys WHERE id = ?1")?;
            Ok(statement.query_row([id.as_bytes()], key).optional()?)
        })
        .await
    }

    async fn revoke_key(&self, tenant: TenantId, id: KeyId) -> Result<bool, StoreError> {
        self.write(move |s| {
            let revoked = s
                .conn
                .prepare_cached(
                    "UPDATE api_keys SET revoked_at = ?3
                     WHERE id = ?1 AND tenant = ?2 AND revoked_at IS NULL",
                )?
                .execute(params![id.as_bytes(), tenant.as_bytes(), s.now.0])?;
            Ok(revoked > 0)
        })
        .await
    }
}
