//! Webhooks.

use super::SqliteStore;
use super::events;
use super::rows::{id, json, maybe_time, named, time, to_json};
use super::writer::Session;
use crate::webhooks::select;
use crate::{
    NewWebhook, OffBecause, SigningKeys, StoreError, Subscription, WebhookChange, WebhookRecord,
    Webhooks,
};
use async_trait::async_trait;
use mediaflow_core::{TenantId, WebhookId};
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::time::Duration;

const INSERT: &str =
    "INSERT INTO webhooks (id, tenant, url, types, description, after_position, secret, created_at)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
const ONE: &str = "w.id = ?1 AND w.tenant = ?2";
const KEYS: &str =
    "SELECT secret, CASE WHEN old_until > ?3 THEN old_secret END AS old_secret FROM webhooks
     WHERE id = ?1 AND tenant = ?2 AND deleted_at IS NULL";
/// Of one that is switched on again nothing is told that happened meanwhile.
const CHANGE: &str = "UPDATE webhooks SET url = coalesce(?3, url), types = coalesce(?4, types),
            description = CASE WHEN ?5 THEN ?6 ELSE description END,
            after_position = CASE WHEN ?7 AND off_because IS NOT NULL THEN ?8 ELSE after_position END,
            failing_since = CASE WHEN ?7 THEN NULL ELSE failing_since END,
            off_because = CASE WHEN ?7 THEN NULL WHEN ?7 = 0 THEN coalesce(off_because, 'operator') ELSE off_because END
     WHERE id = ?1 AND tenant = ?2 AND deleted_at IS NULL";
const ROTATE: &str = "UPDATE webhooks SET old_secret = secret, old_until = ?4, secret = ?3
     WHERE id = ?1 AND tenant = ?2 AND deleted_at IS NULL";
const REMOVE: &str =
    "UPDATE webhooks SET deleted_at = ?3, secret = x'', old_secret = NULL, off_because = 'operator'
     WHERE id = ?1 AND tenant = ?2 AND deleted_at IS NULL";
const ON: &str = "SELECT * FROM webhooks WHERE off_because IS NULL ORDER BY id";

#[async_trait]
impl Webhooks for SqliteStore {
    async fn add_webhook(&self, new: NewWebhook) -> Result<WebhookRecord, StoreError> {
        self.write(move |s| add(s, &new)).await
    }

    async fn webhooks(&self, tenant: TenantId) -> Result<Vec<WebhookRecord>, StoreError> {
        self.read(move |conn, _| {
            let mut all = conn.prepare_cached(&select("w.tenant = ?1 ORDER BY w.id"))?;
            let all = all.query_map([tenant.as_bytes()], webhook)?;
            Ok(all.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn webhook(&self, tenant: TenantId, id: WebhookId) -> Result<WebhookRecord, StoreError> {
        self.read(move |conn, _| one(conn, tenant, id)).await
    }

    async fn signing_keys(
        &self,
        tenant: TenantId,
        id: WebhookId,
    ) -> Result<SigningKeys, StoreError> {
        let now = self.env.now();
        self.read(move |conn, _| {
            let found = conn
                .prepare_cached(KEYS)?
                .query_row(params![id.as_bytes(), tenant.as_bytes(), now.0], keys)
                .optional()?;
            found.ok_or(StoreError::WebhookNotFound)
        })
        .await
    }

    async fn change_webhook(
        &self,
        tenant: TenantId,
        id: WebhookId,
        change: WebhookChange,
    ) -> Result<WebhookRecord, StoreError> {
        self.write(move |s| {
            let end = events::end(s.conn)?;
            s.conn.prepare_cached(CHANGE)?.execute(params![
                id.as_bytes(),
                tenant.as_bytes(),
                change.url,
                change.types.as_ref().map(to_json),
                change.description.is_some(),
                change.description.as_ref().and_then(Option::as_ref),
                change.is_on,
                end,
            ])?;
            one(s.conn, tenant, id)
        })
        .await
    }

    async fn rotate_webhook(
        &self,
        tenant: TenantId,
        id: WebhookId,
        key: Vec<u8>,
        both: Duration,
    ) -> Result<(), StoreError> {
        self.write(move |s| {
            let until = s.now.after(both).0;
            let params = params![id.as_bytes(), tenant.as_bytes(), key, until];
            found(s.conn.prepare_cached(ROTATE)?.execute(params)?)
        })
        .await
    }

    async fn remove_webhook(&self, tenant: TenantId, id: WebhookId) -> Result<(), StoreError> {
        self.write(move |s| {
            let params = params![id.as_bytes(), tenant.as_bytes(), s.now.0];
            found(s.conn.prepare_cached(REMOVE)?.execute(params)?)
        })
        .await
    }

    async fn subscriptions(&self) -> Result<Vec<Subscription>, StoreError> {
        self.read(|conn, _| {
            let mut all = conn.prepare_cached(ON)?;
            let all = all.query_map([], |row| {
                Ok(Subscription {
                    webhook: id(row, "id")?,
                    tenant: id(row, "tenant")?,
                    types: json(row, "types")?,
                    after: row.get("after_position")?,
                })
            })?;
            Ok(all.collect::<Result<_, _>>()?)
        })
        .await
    }
}

fn add(s: &Session<'_>, new: &NewWebhook) -> Result<WebhookRecord, StoreError> {
    let count: u32 = s
        .conn
        .prepare_cached("SELECT count(*) FROM webhooks WHERE tenant = ?1 AND deleted_at IS NULL")?
        .query_row([new.tenant.as_bytes()], |row| row.get(0))?;
    if count >= new.count_max {
        return Err(StoreError::WebhooksFull(count));
    }
    s.conn.prepare_cached(INSERT)?.execute(params![
        new.id.as_bytes(),
        new.tenant.as_bytes(),
        new.url,
        to_json(&new.types),
        new.description,
        events::end(s.conn)?,
        new.keys.0.first(),
        s.now.0,
    ])?;
    one(s.conn, new.tenant, new.id)
}

fn one(conn: &Connection, tenant: TenantId, id: WebhookId) -> Result<WebhookRecord, StoreError> {
    conn.prepare_cached(&select(ONE))?
        .query_row(params![id.as_bytes(), tenant.as_bytes()], webhook)
        .optional()?
        .ok_or(StoreError::WebhookNotFound)
}

/// Whether there is such a webhook.
pub(super) fn known(conn: &Connection, tenant: TenantId, id: WebhookId) -> Result<(), StoreError> {
    let sql = "SELECT 1 FROM webhooks WHERE id = ?1 AND tenant = ?2 AND deleted_at IS NULL";
    let known = conn
        .prepare_cached(sql)?
        .exists(params![id.as_bytes(), tenant.as_bytes()])?;
    found(known.into())
}

fn found(changed: usize) -> Result<(), StoreError> {
    match changed {
        0 => Err(StoreError::WebhookNotFound),
        _ => Ok(()),
    }
}

fn webhook(row: &Row<'_>) -> rusqlite::Result<WebhookRecord> {
    let off: Option<String> = row.get("off_because")?;
    Ok(WebhookRecord {
        id: id(row, "id")?,
        tenant: id(row, "tenant")?,
        url: row.get("url")?,
        types: json(row, "types")?,
        description: row.get("description")?,
        off_because: off
            .map(|_| named(row, "off_because", OffBecause::parse))
            .transpose()?,
        created_at: time(row, "created_at")?,
        failing_since: maybe_time(row, "failing_since")?,
        last_delivered_at: maybe_time(row, "last_delivered_at")?,
        last_error: row.get("last_error")?,
        waiting: row.get("waiting")?,
        failed: row.get("failed")?,
        delivered: row.get("delivered")?,
    })
}

pub(super) fn keys(row: &Row<'_>) -> rusqlite::Result<SigningKeys> {
    let old: Option<Vec<u8>> = row.get("old_secret")?;
    Ok(SigningKeys(
        [row.get("secret")?].into_iter().chain(old).collect(),
    ))
}
