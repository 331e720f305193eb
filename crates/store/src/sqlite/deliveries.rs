//! What webhooks are told, and were.

use super::SqliteStore;
use super::relaying;
use super::rows::{id, json, maybe_time, named, time, to_json};
use super::upkeep::before;
use super::webhooks::{keys, known};
use super::writer::Session;
use crate::deliveries::{AWAY, SOON, SOONER_MAX, remembered, switched_off};
use crate::query::page_size;
use crate::{
    Attempted, Deliveries, DeliveryDetails, DeliveryFilter, DeliveryNext, DeliveryPage,
    DeliveryRecord, DeliveryState, DueDelivery, NewDelivery, OffBecause, StoreError,
};
use async_trait::async_trait;
use mediaflow_core::{EventId, EventType, TenantId, Timestamp, WebhookId};
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::time::Duration;

/// Deliveries that one transaction deletes.
const FORGOTTEN_MAX: u32 = 1000;

const PLAN: &str = "INSERT INTO webhook_deliveries
            (webhook, event, asset, type, body, state, run, attempts, tries, created_at, due_at)
     SELECT id, ?2, ?3, ?4, ?5, 'waiting', 0, 0, '[]', ?6, ?6 FROM webhooks WHERE id = ?1 AND off_because IS NULL
     ON CONFLICT DO NOTHING";
/// Webhooks that have something due.
const WAITED: &str = "SELECT id, due FROM (
        SELECT w.id, w.failing_since IS NOT NULL AS failing,
               (SELECT min(due_at) FROM webhook_deliveries d WHERE d.webhook = w.id AND d.due_at IS NOT NULL) AS due
        FROM webhooks w WHERE w.off_because IS NULL)
     WHERE due <= ?1 ORDER BY failing, due, id LIMIT ?2";
pub(super) const DUE: &str = "SELECT d.*, w.url, w.secret, CASE WHEN w.old_until > ?2 THEN w.old_secret END AS old_secret,
            w.failing_since IS NOT NULL AS failing, a.correlation_id
     FROM webhook_deliveries d CROSS JOIN webhooks w ON w.id = d.webhook CROSS JOIN assets a ON a.id = d.asset
     WHERE d.webhook = ?1 AND d.due_at <= ?2 ORDER BY d.due_at LIMIT ?3";
const TRIES: &str =
    "SELECT tries FROM webhook_deliveries WHERE webhook = ?1 AND event = ?2 AND state = 'waiting'";
const SAVE: &str = "UPDATE webhook_deliveries SET state = ?3, run = run + 1, attempts = attempts + 1, tries = ?4, due_at = ?5,
            last_at = ?6, status = ?7, ms = ?8, error = ?9
     WHERE webhook = ?1 AND event = ?2";
const WELL: &str = "UPDATE webhooks SET failing_since = NULL, last_delivered_at = ?2 WHERE id = ?1";
/// What would have been due after `?3`, an hour from now, is due an hour after it was tried, where nothing went well since `?5`.
pub(super) const SOONER: &str =
    "UPDATE webhook_deliveries SET due_at = max(?2, last_at + (?3 - ?2))
     WHERE rowid IN (
        SELECT d.rowid FROM webhooks w CROSS JOIN webhook_deliveries d ON d.webhook = w.id
        WHERE w.id = ?1 AND w.failing_since <= ?5 AND d.due_at > ?3 ORDER BY d.due_at LIMIT ?4)";
const ILL: &str = "UPDATE webhooks SET failing_since = coalesce(failing_since, ?2), last_error = ?3
     WHERE id = ?1 AND off_because IS NULL RETURNING failing_since";
const SWITCH_OFF: &str = "UPDATE webhooks SET off_because = ?2 WHERE id = ?1";
pub(super) const NEWEST: &str = "SELECT * FROM webhook_deliveries WHERE webhook = ?1 AND event < ?2 ORDER BY event DESC LIMIT ?3";
pub(super) const NEWEST_OF: &str =
    "SELECT * FROM webhook_deliveries WHERE webhook = ?1 AND state = ?4 AND event < ?2
     ORDER BY event DESC LIMIT ?3";
const DELIVERY: &str = "SELECT d.* FROM webhook_deliveries d JOIN webhooks w ON w.id = d.webhook
     WHERE d.webhook = ?1 AND d.event = ?3 AND w.tenant = ?2 AND w.deleted_at IS NULL";
const AGAIN: &str = "UPDATE webhook_deliveries SET state = 'waiting', run = 0, due_at = ?3 WHERE webhook = ?1 AND event = ?2";
pub(super) const AGAIN_FAILED: &str =
    "UPDATE webhook_deliveries SET state = 'waiting', run = 0, due_at = ?2
     WHERE rowid IN (SELECT rowid FROM webhook_deliveries
                     WHERE webhook = ?1 AND state = 'failed' AND created_at >= ?3 ORDER BY event LIMIT ?4)";
const FORGET_REMOVED: &str = "DELETE FROM webhook_deliveries WHERE rowid IN (
        SELECT d.rowid FROM webhooks w CROSS JOIN webhook_deliveries d ON d.webhook = w.id
        WHERE w.deleted_at IS NOT NULL LIMIT ?1)";
const FORGET_WEBHOOKS: &str = "DELETE FROM webhooks WHERE deleted_at IS NOT NULL
     AND NOT EXISTS (SELECT 1 FROM webhook_deliveries d WHERE d.webhook = webhooks.id)";
pub(super) const FORGET_OLD: &str = "DELETE FROM webhook_deliveries WHERE rowid IN (
        SELECT d.rowid FROM webhook_deliveries d CROSS JOIN webhooks w ON w.id = d.webhook
        WHERE d.created_at <= ?1 AND (d.state <> 'waiting' OR w.off_because IS NOT NULL)
        ORDER BY d.created_at LIMIT ?2)";

#[async_trait]
impl Deliveries for SqliteStore {
    async fn plan_deliveries(
        &self,
        outlet: &str,
        position: u64,
        deliveries: Vec<NewDelivery>,
    ) -> Result<(), StoreError> {
        let outlet = outlet.to_owned();
        self.write(move |s| {
            let mut plan = s.conn.prepare_cached(PLAN)?;
            for new in &deliveries {
                plan.execute(params![
                    new.webhook.as_bytes(),
                    new.event.as_bytes(),
                    new.asset.as_bytes(),
                    new.kind.as_str(),
                    new.body,
                    s.now.0,
                ])?;
            }
            relaying::tell(s.conn, &outlet, position)
        })
        .await
    }

    async fn due_deliveries(
        &self,
        webhooks: u32,
        each: u32,
    ) -> Result<Vec<DueDelivery>, StoreError> {
        let now = self.env.now();
        self.read(move |conn, _| {
            let mut waited = conn.prepare_cached(WAITED)?;
            let mut waited = waited.query(params![now.0, webhooks])?;
            let mut due = conn.prepare_cached(DUE)?;
            let mut found = Vec::new();
            while let Some(row) = waited.next()? {
                let webhook: WebhookId = id(row, "id")?;
                for row in due.query_map(params![webhook.as_bytes(), now.0, each], due_one)? {
                    found.push(row?);
                }
            }
            Ok(found)
        })
        .await
    }

    async fn save_attempt(
        &self,
        webhook: WebhookId,
        event: EventId,
        attempted: Attempted,
    ) -> Result<Option<OffBecause>, StoreError> {
        self.write(move |s| save(s, webhook, event, &attempted))
            .await
    }

    async fn deliveries(
        &self,
        tenant: TenantId,
        webhook: WebhookId,
        filter: &DeliveryFilter,
        limit: u32,
    ) -> Result<DeliveryPage, StoreError> {
        let (size, place, state) = (page_size(limit)?, filter.place()?, filter.state);
        self.read(move |conn, _| {
            known(conn, tenant, webhook)?;
            let (before, most) = (place.into_bytes(), size + 1);
            let found = match state {
                None => conn
                    .prepare_cached(NEWEST)?
                    .query_map(params![webhook.as_bytes(), before, most], delivery)?
                    .collect::<Result<_, _>>()?,
                Some(state) => conn
                    .prepare_cached(NEWEST_OF)?
                    .query_map(
                        params![webhook.as_bytes(), before, most, state.as_str()],
                        delivery,
                    )?
                    .collect::<Result<_, _>>()?,
            };
            Ok(DeliveryPage::of(found, size))
        })
        .await
    }

    async fn delivery(
        &self,
        tenant: TenantId,
        webhook: WebhookId,
        event: EventId,
    ) -> Result<DeliveryDetails, StoreError> {
        self.read(move |conn, _| details(conn, tenant, webhook, event))
            .await
    }

    async fn redeliver(
        &self,
        tenant: TenantId,
        webhook: WebhookId,
        event: EventId,
    ) -> Result<DeliveryRecord, StoreError> {
        self.write(move |s| {
            details(s.conn, tenant, webhook, event)?;
            let params = params![webhook.as_bytes(), event.as_bytes(), s.now.0];
            s.conn.prepare_cached(AGAIN)?.execute(params)?;
            Ok(details(s.conn, tenant, webhook, event)?.delivery)
        })
        .await
    }

    async fn redeliver_failed(
        &self,
        tenant: TenantId,
        webhook: WebhookId,
        since: Option<Timestamp>,
        limit: u32,
    ) -> Result<u32, StoreError> {
        self.write(move |s| {
            known(s.conn, tenant, webhook)?;
            let since = since.map_or(i64::MIN, |since| since.0);
            let params = params![webhook.as_bytes(), s.now.0, since, limit];
            let again = s.conn.prepare_cached(AGAIN_FAILED)?.execute(params)?;
            Ok(u32::try_from(again).unwrap_or(u32::MAX))
        })
        .await
    }

    async fn forget_deliveries(&self, age: Duration) -> Result<bool, StoreError> {
        self.write(move |s| {
            let removed = s
                .conn
                .prepare_cached(FORGET_REMOVED)?
                .execute([FORGOTTEN_MAX])?;
            s.conn.prepare_cached(FORGET_WEBHOOKS)?.execute([])?;
            let old = s
                .conn
                .prepare_cached(FORGET_OLD)?
                .execute(params![before(s.now, age), FORGOTTEN_MAX])?;
            Ok(removed.max(old) >= FORGOTTEN_MAX as usize)
        })
        .await
    }
}

fn save(
    s: &Session<'_>,
    webhook: WebhookId,
    event: EventId,
    attempted: &Attempted,
) -> Result<Option<OffBecause>, StoreError> {
    let tries = s
        .conn
        .prepare_cached(TRIES)?
        .query_row(params![webhook.as_bytes(), event.as_bytes()], |row| {
            json(row, "tries")
        })
        .optional()?;
    let Some(tries) = tries else { return Ok(None) };
    let tried = &attempted.tried;
    let (state, due) = match attempted.next {
        DeliveryNext::Delivered => (DeliveryState::Delivered, None),
        DeliveryNext::Again(pause) => (DeliveryState::Waiting, Some(s.now.after(pause).0)),
        DeliveryNext::Failed => (DeliveryState::Failed, None),
    };
    s.conn.prepare_cached(SAVE)?.execute(params![
        webhook.as_bytes(),
        event.as_bytes(),
        state.as_str(),
        to_json(&remembered(tries, tried)),
        due,
        tried.at.0,
        tried.status,
        tried.ms,
        tried.error,
    ])?;
    if attempted.next == DeliveryNext::Delivered {
        let soon = s.now.after(SOON).0;
        let away = before(s.now, AWAY);
        let params = params![webhook.as_bytes(), s.now.0, soon, SOONER_MAX, away];
        s.conn.prepare_cached(SOONER)?.execute(params)?;
        let params = params![webhook.as_bytes(), s.now.0];
        s.conn.prepare_cached(WELL)?.execute(params)?;
        return Ok(None);
    }
    let since = s
        .conn
        .prepare_cached(ILL)?
        .query_row(params![webhook.as_bytes(), s.now.0, tried.error], |row| {
            time(row, "failing_since")
        })
        .optional()?;
    let off = since.and_then(|since| switched_off(attempted, since, s.now));
    if let Some(off) = off {
        let params = params![webhook.as_bytes(), off.as_str()];
        s.conn.prepare_cached(SWITCH_OFF)?.execute(params)?;
    }
    Ok(off)
}

fn details(
    conn: &Connection,
    tenant: TenantId,
    webhook: WebhookId,
    event: EventId,
) -> Result<DeliveryDetails, StoreError> {
    let params = params![webhook.as_bytes(), tenant.as_bytes(), event.as_bytes()];
    conn.prepare_cached(DELIVERY)?
        .query_row(params, |row| {
            Ok(DeliveryDetails {
                delivery: delivery(row)?,
                body: row.get("body")?,
                tries: json(row, "tries")?,
            })
        })
        .optional()?
        .ok_or(StoreError::DeliveryNotFound)
}

fn due_one(row: &Row<'_>) -> rusqlite::Result<DueDelivery> {
    Ok(DueDelivery {
        webhook: id(row, "webhook")?,
        event: id(row, "event")?,
        kind: named(row, "type", EventType::parse)?,
        asset: id(row, "asset")?,
        correlation_id: row.get("correlation_id")?,
        url: row.get("url")?,
        keys: keys(row)?,
        body: row.get("body")?,
        run: row.get("run")?,
        due_at: time(row, "due_at")?,
        is_failing: row.get("failing")?,
    })
}

fn delivery(row: &Row<'_>) -> rusqlite::Result<DeliveryRecord> {
    Ok(DeliveryRecord {
        event: id(row, "event")?,
        kind: named(row, "type", EventType::parse)?,
        asset: id(row, "asset")?,
        state: named(row, "state", DeliveryState::parse)?,
        attempts: row.get("attempts")?,
        created_at: time(row, "created_at")?,
        due_at: maybe_time(row, "due_at")?,
        last_at: maybe_time(row, "last_at")?,
        status: row.get("status")?,
        ms: row.get("ms")?,
        error: row.get("error")?,
    })
}
