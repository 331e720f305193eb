//! What webhooks are told, and were.

use super::relaying;
use super::rows::{clamp, get, id, json, maybe_number, maybe_time, named, number, time, to_json};
use super::session::Params;
use super::upkeep::before;
use super::webhooks::{keys, known};
use super::{PostgresStore, Repeat, Session};
use crate::deliveries::{AWAY, SOON, SOONER_MAX, remembered, switched_off};
use crate::query::page_size;
use crate::{
    Attempted, Deliveries, DeliveryDetails, DeliveryFilter, DeliveryNext, DeliveryPage,
    DeliveryRecord, DeliveryState, DueDelivery, NewDelivery, OffBecause, StoreError,
};
use async_trait::async_trait;
use futures_util::FutureExt;
use mediaflow_core::{EventId, EventType, TenantId, Timestamp, WebhookId};
use std::time::Duration;
use tokio_postgres::Row;
use uuid::Uuid;

/// Deliveries that one transaction deletes.
const FORGOTTEN_MAX: i64 = 1000;

const PLAN: &str = "INSERT INTO webhook_deliveries
            (webhook, event, asset, type, body, state, run, attempts, tries, created_at, due_at)
     SELECT n.webhook, n.event, n.asset, n.type, n.body, 'waiting', 0, 0, '[]', $6::bigint, $6::bigint
     FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[]) n (webhook, event, asset, type, body)
          JOIN webhooks w ON w.id = n.webhook WHERE w.off_because IS NULL
     ON CONFLICT DO NOTHING";
pub(super) const DUE: &str = "SELECT d.*, w.url, w.secret, CASE WHEN w.old_until > $1 THEN w.old_secret END AS old_secret, w.failing,
            a.correlation_id
     FROM (SELECT * FROM (
               SELECT *, failing_since IS NOT NULL AS failing,
                      (SELECT min(due_at) FROM webhook_deliveries WHERE webhook = id AND due_at IS NOT NULL) AS due
               FROM webhooks WHERE off_because IS NULL) o
           WHERE due <= $1 ORDER BY failing, due, id LIMIT $2) w
     CROSS JOIN LATERAL (
        SELECT * FROM webhook_deliveries WHERE webhook = w.id AND due_at <= $1 ORDER BY due_at LIMIT $3) d
     JOIN assets a ON a.id = d.asset ORDER BY w.failing, w.due, w.id, d.due_at";
const TRIES: &str = "SELECT tries FROM webhook_deliveries WHERE webhook = $1 AND event = $2 AND state = 'waiting' FOR UPDATE";
const SAVE: &str = "UPDATE webhook_deliveries SET state = $3, run = run + 1, attempts = attempts + 1, tries = $4, due_at = $5,
            last_at = $6, status = $7, ms = $8, error = $9
     WHERE webhook = $1 AND event = $2";
const WELL: &str = "UPDATE webhooks SET failing_since = NULL, last_delivered_at = $2 WHERE id = $1";
/// What would have been due after `$3`, an hour from now, is due an hour after it was tried, where nothing went well since `$5`. What
/// others are at comes as they say.
const SOONER: &str = "UPDATE webhook_deliveries SET due_at = greatest($2::bigint, last_at + ($3::bigint - $2::bigint))
     WHERE webhook = $1 AND event = ANY(ARRAY(
        SELECT d.event FROM webhooks w JOIN webhook_deliveries d ON d.webhook = w.id
        WHERE w.id = $1 AND w.failing_since <= $5 AND d.due_at > $3::bigint
        ORDER BY d.due_at LIMIT $4 FOR UPDATE OF d SKIP LOCKED))";
const ILL: &str = "UPDATE webhooks SET failing_since = coalesce(failing_since, $2), last_error = $3
     WHERE id = $1 AND off_because IS NULL RETURNING failing_since";
const SWITCH_OFF: &str = "UPDATE webhooks SET off_because = $2 WHERE id = $1";
pub(super) const NEWEST: &str = "SELECT * FROM webhook_deliveries WHERE webhook = $1 AND event < $2 ORDER BY event DESC LIMIT $3";
pub(super) const NEWEST_OF: &str =
    "SELECT * FROM webhook_deliveries WHERE webhook = $1 AND state = $4 AND event < $2
     ORDER BY event DESC LIMIT $3";
const DELIVERY: &str = "SELECT d.* FROM webhook_deliveries d JOIN webhooks w ON w.id = d.webhook
     WHERE d.webhook = $1 AND d.event = $3 AND w.tenant = $2 AND w.deleted_at IS NULL";
const AGAIN: &str = "UPDATE webhook_deliveries SET state = 'waiting', run = 0, due_at = $3 WHERE webhook = $1 AND event = $2";
/// As an array it is asked once: a subquery with a lock would be asked again for other rows, beyond its limit.
const AGAIN_FAILED: &str = "UPDATE webhook_deliveries SET state = 'waiting', run = 0, due_at = $2
     WHERE webhook = $1 AND event = ANY(ARRAY(
        SELECT event FROM webhook_deliveries WHERE webhook = $1 AND state = 'failed' AND created_at >= $3
        ORDER BY event LIMIT $4 FOR UPDATE SKIP LOCKED))";
const FORGET_REMOVED: &str = "DELETE FROM webhook_deliveries d USING (
        SELECT r.webhook, r.event FROM webhooks w JOIN webhook_deliveries r ON r.webhook = w.id
        WHERE w.deleted_at IS NOT NULL LIMIT $1) old
     WHERE d.webhook = old.webhook AND d.event = old.event";
const FORGET_WEBHOOKS: &str = "DELETE FROM webhooks w WHERE deleted_at IS NOT NULL
     AND NOT EXISTS (SELECT 1 FROM webhook_deliveries d WHERE d.webhook = w.id)";
pub(super) const FORGET_OLD: &str = "DELETE FROM webhook_deliveries d USING (
        SELECT o.webhook, o.event FROM webhook_deliveries o JOIN webhooks w ON w.id = o.webhook
        WHERE o.created_at <= $1 AND (o.state <> 'waiting' OR w.off_because IS NOT NULL)
        ORDER BY o.created_at LIMIT $2) old
     WHERE d.webhook = old.webhook AND d.event = old.event";

#[async_trait]
impl Deliveries for PostgresStore {
    async fn plan_deliveries(
        &self,
        outlet: &str,
        position: u64,
        deliveries: Vec<NewDelivery>,
    ) -> Result<(), StoreError> {
        let deliveries = &deliveries;
        self.write(Repeat::Always, move |s, _| {
            plan(s, outlet, position, deliveries).boxed()
        })
        .await
    }

    async fn due_deliveries(
        &self,
        webhooks: u32,
        each: u32,
    ) -> Result<Vec<DueDelivery>, StoreError> {
        self.read(move |s, _| {
            async move {
                let params: Params<'_> = &[&s.now.0, &i64::from(webhooks), &i64::from(each)];
                let rows = s.query(DUE, params).await?;
                rows.iter().map(due_one).collect()
            }
            .boxed()
        })
        .await
    }

    async fn save_attempt(
        &self,
        webhook: WebhookId,
        event: EventId,
        attempted: Attempted,
    ) -> Result<Option<OffBecause>, StoreError> {
        let attempted = &attempted;
        self.write(Repeat::BeforeCommit, move |s, _| {
            save(s, webhook, event, attempted).boxed()
        })
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
        self.read(move |s, _| page(s, tenant, webhook, place, state, size).boxed())
            .await
    }

    async fn delivery(
        &self,
        tenant: TenantId,
        webhook: WebhookId,
        event: EventId,
    ) -> Result<DeliveryDetails, StoreError> {
        self.read(move |s, _| details(s, tenant, webhook, event).boxed())
            .await
    }

    async fn redeliver(
        &self,
        tenant: TenantId,
        webhook: WebhookId,
        event: EventId,
    ) -> Result<DeliveryRecord, StoreError> {
        self.write(Repeat::Always, move |s, _| {
            async move {
                details(s, tenant, webhook, event).await?;
                s.execute(AGAIN, &[&webhook.0, &event.0, &s.now.0]).await?;
                Ok(details(s, tenant, webhook, event).await?.delivery)
            }
            .boxed()
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
        self.write(Repeat::BeforeCommit, move |s, _| {
            async move {
                known(s, tenant, webhook).await?;
                let since = since.map_or(i64::MIN, |since| since.0);
                let params: Params<'_> = &[&webhook.0, &s.now.0, &since, &i64::from(limit)];
                let again = s.execute(AGAIN_FAILED, params).await?;
                Ok(u32::try_from(again).unwrap_or(u32::MAX))
            }
            .boxed()
        })
        .await
    }

    async fn forget_deliveries(&self, age: Duration) -> Result<bool, StoreError> {
        self.write(Repeat::Always, move |s, _| {
            async move {
                let removed = s.execute(FORGET_REMOVED, &[&FORGOTTEN_MAX]).await?;
                s.execute(FORGET_WEBHOOKS, &[]).await?;
                let until = before(s.now, age);
                let old = s.execute(FORGET_OLD, &[&until, &FORGOTTEN_MAX]).await?;
                Ok(removed.max(old) >= FORGOTTEN_MAX.unsigned_abs())
            }
            .boxed()
        })
        .await
    }
}

async fn plan(
    s: &Session,
    outlet: &str,
    position: u64,
    deliveries: &[NewDelivery],
) -> Result<(), StoreError> {
    let ids = |of: fn(&NewDelivery) -> Uuid| deliveries.iter().map(of).collect::<Vec<_>>();
    let kinds: Vec<&str> = deliveries.iter().map(|new| new.kind.as_str()).collect();
    let bodies: Vec<&str> = deliveries.iter().map(|new| &*new.body).collect();
    let params: Params<'_> = &[
        &ids(|new| new.webhook.0),
        &ids(|new| new.event.0),
        &ids(|new| new.asset.0),
        &kinds,
        &bodies,
        &s.now.0,
    ];
    s.execute(PLAN, params).await?;
    relaying::tell(s, outlet, position).await
}

async fn save(
    s: &Session,
    webhook: WebhookId,
    event: EventId,
    attempted: &Attempted,
) -> Result<Option<OffBecause>, StoreError> {
    let Some(row) = s.maybe(TRIES, &[&webhook.0, &event.0]).await? else {
        return Ok(None);
    };
    let tried = &attempted.tried;
    let (state, due) = match attempted.next {
        DeliveryNext::Delivered => (DeliveryState::Delivered, None),
        DeliveryNext::Again(pause) => (DeliveryState::Waiting, Some(s.now.after(pause).0)),
        DeliveryNext::Failed => (DeliveryState::Failed, None),
    };
    let params: Params<'_> = &[
        &webhook.0,
        &event.0,
        &state.as_str(),
        &to_json(&remembered(json(&row, "tries")?, tried)),
        &due,
        &tried.at.0,
        &tried.status.map(i64::from),
        &clamp(tried.ms),
        &tried.error,
    ];
    s.execute(SAVE, params).await?;
    if attempted.next == DeliveryNext::Delivered {
        let (soon, most) = (s.now.after(SOON).0, i64::from(SOONER_MAX));
        let params: Params<'_> = &[&webhook.0, &s.now.0, &soon, &most, &before(s.now, AWAY)];
        s.execute(SOONER, params).await?;
        s.execute(WELL, &[&webhook.0, &s.now.0]).await?;
        return Ok(None);
    }
    let params: Params<'_> = &[&webhook.0, &s.now.0, &tried.error];
    let Some(row) = s.maybe(ILL, params).await? else {
        return Ok(None);
    };
    let off = switched_off(attempted, time(&row, "failing_since")?, s.now);
    if let Some(off) = off {
        s.execute(SWITCH_OFF, &[&webhook.0, &off.as_str()]).await?;
    }
    Ok(off)
}

async fn page(
    s: &Session,
    tenant: TenantId,
    webhook: WebhookId,
    place: Uuid,
    state: Option<DeliveryState>,
    size: usize,
) -> Result<DeliveryPage, StoreError> {
    known(s, tenant, webhook).await?;
    let most: i64 = clamp(size + 1);
    let rows = match state {
        None => s.query(NEWEST, &[&webhook.0, &place, &most]).await?,
        Some(state) => {
            let params: Params<'_> = &[&webhook.0, &place, &most, &state.as_str()];
            s.query(NEWEST_OF, params).await?
        }
    };
    let found = rows.iter().map(delivery).collect::<Result<_, _>>()?;
    Ok(DeliveryPage::of(found, size))
}

async fn details(
    s: &Session,
    tenant: TenantId,
    webhook: WebhookId,
    event: EventId,
) -> Result<DeliveryDetails, StoreError> {
    let found = s
        .maybe(DELIVERY, &[&webhook.0, &tenant.0, &event.0])
        .await?;
    let row = found.ok_or(StoreError::DeliveryNotFound)?;
    Ok(DeliveryDetails {
        delivery: delivery(&row)?,
        body: get(&row, "body")?,
        tries: json(&row, "tries")?,
    })
}

fn due_one(row: &Row) -> Result<DueDelivery, StoreError> {
    Ok(DueDelivery {
        webhook: id(row, "webhook")?,
        event: id(row, "event")?,
        kind: named(row, "type", EventType::parse)?,
        asset: id(row, "asset")?,
        correlation_id: get(row, "correlation_id")?,
        url: get(row, "url")?,
        keys: keys(row)?,
        body: get(row, "body")?,
        run: number(row, "run")?,
        due_at: time(row, "due_at")?,
        is_failing: get(row, "failing")?,
    })
}

fn delivery(row: &Row) -> Result<DeliveryRecord, StoreError> {
    Ok(DeliveryRecord {
        event: id(row, "event")?,
        kind: named(row, "type", EventType::parse)?,
        asset: id(row, "asset")?,
        state: named(row, "state", DeliveryState::parse)?,
        attempts: number(row, "attempts")?,
        created_at: time(row, "created_at")?,
        due_at: maybe_time(row, "due_at")?,
        last_at: maybe_time(row, "last_at")?,
        status: maybe_number(row, "status")?,
        ms: maybe_number(row, "ms")?,
        error: get(row, "error")?,
    })
}
