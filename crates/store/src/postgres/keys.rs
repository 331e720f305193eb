//! API keys.

use super::rows::{clamp, get, id, json, maybe_json, maybe_time, sha, time, to_json};
use super::{PostgresStore, Repeat, Session};
use crate::keys::KeyPlace;
use crate::query::page_size;
use crate::{KeyFilter, KeyPage, KeyRecord, Keys, NewKey, StoreError};
use async_trait::async_trait;
use futures_util::FutureExt;
use mediaflow_core::{KeyId, TenantId};
use tokio_postgres::Row;

#[async_trait]
impl Keys for PostgresStore {
    async fn add_key(&self, new: NewKey) -> Result<(), StoreError> {
        let new = &new;
        self.write(Repeat::BeforeCommit, move |s, _| add(s, new).boxed())
            .await
    }

    async fn keys(&self, tenant: TenantId) -> Result<Vec<KeyRecord>, StoreError> {
        self.read(move |s, _| all(s, tenant).boxed()).await
    }

    async fn key_page(
        &self,
        tenant: TenantId,
        filter: &KeyFilter,
        limit: u32,
    ) -> Result<KeyPage, StoreError> {
        let (size, place, live) = (page_size(limit)?, filter.place()?, filter.live);
        self.read(move |s, _| page(s, tenant, place, live, size).boxed())
            .await
    }

    async fn key(&self, id: KeyId) -> Result<Option<KeyRecord>, StoreError> {
        self.read(move |s, _| one(s, id).boxed()).await
    }

    async fn revoke_key(&self, tenant: TenantId, id: KeyId) -> Result<bool, StoreError> {
        self.write(Repeat::BeforeCommit, move |s, _| {
            revoke(s, tenant, id).boxed()
        })
        .await
    }
}

async fn add(s: &Session, new: &NewKey) -> Result<(), StoreError> {
    s.execute(
        "INSERT INTO api_keys (id, tenant, name, scopes, secret_sha256, created_at, limits) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        &[
            &new.id.0,
            &new.tenant.0,
            &new.name,
            &to_json(&new.scopes),
            &&new.secret_sha256.0[..],
            &s.now.0,
            &to_json(&new.limits),
        ],
    )
    .await?;
    Ok(())
}

async fn all(s: &Session, tenant: TenantId) -> Result<Vec<KeyRecord>, StoreError> {
    let sql = "SELECT * FROM api_keys WHERE tenant = $1 ORDER BY created_at, id";
    let rows = s.query(sql, &[&tenant.0]).await?;
    rows.iter().map(key).collect()
}

const PAGE: &str = "SELECT * FROM api_keys WHERE tenant = $1 AND (created_at, id) < ($2, $3)
       AND ($4::boolean IS NULL OR (revoked_at IS NULL) = $4)
     ORDER BY created_at DESC, id DESC LIMIT $5";

async fn page(
    s: &Session,
    tenant: TenantId,
    (at, id): KeyPlace,
    live: Option<bool>,
    size: usize,
) -> Result<KeyPage, StoreError> {
    let most: i64 = clamp(size + 1);
    let rows = s.query(PAGE, &[&tenant.0, &at, &id, &live, &most]).await?;
    let keys = rows.iter().map(key).collect::<Result<_, _>>()?;
    Ok(KeyPage::of(keys, size))
}

async fn one(s: &Session, id: KeyId) -> Result<Option<KeyRecord>, StoreError> {
    let sql = "SELECT * FROM api_keys WHERE id = $1";
    let row = s.maybe(sql, &[&id.0]).await?;
    row.as_ref().map(key).transpose()
}

async fn revoke(s: &Session, tenant: TenantId, id: KeyId) -> Result<bool, StoreError> {
    let sql =
        "UPDATE api_keys SET revoked_at = $3 WHERE id = $1 AND tenant = $2 AND revoked_at IS NULL";
    Ok(s.execute(sql, &[&id.0, &tenant.0, &s.now.0]).await? > 0)
}

fn key(row: &Row) -> Result<KeyRecord, StoreError> {
    Ok(KeyRecord {
        id: id(row, "id")?,
        tenant: id(row, "tenant")?,
        name: get(row, "name")?,
        scopes: json(row, "scopes")?,
        secret_sha256: sha(row, "secret_sha256")?,
        limits: maybe_json(row, "limits")?.unwrap_or_default(),
        created_at: time(row, "created_at")?,
        revoked_at: maybe_time(row, "revoked_at")?,
    })
}
