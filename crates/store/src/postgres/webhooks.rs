//! Webhooks.

use super::rows::{get, id, json, maybe_time, named, number, time, to_json};
use super::session::Params;
use super::{PostgresStore, Repeat, Session, events};
use crate::webhooks::select;
use crate::{
    NewWebhook, OffBecause, SigningKeys, StoreError, Subscription, WebhookChange, WebhookRecord,
    Webhooks,
};
use async_trait::async_trait;
use futures_util::FutureExt;
use mediaflow_core::{TenantId, WebhookId};
use std::time::Duration;
use tokio_postgres::Row;

/// Held by whoever makes a webhook, so that there are never more than there may be.
const LOCK: i64 = 0x6d66_0005;

const COUNT: &str =
    "SELECT count(*) AS count FROM webhooks WHERE tenant = $1 AND deleted_at IS NULL";
const INSERT: &str =
    "INSERT INTO webhooks (id, tenant, url, types, description, after_position, secret, created_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
const ONE: &str = "w.id = $1 AND w.tenant = $2";
const KEYS: &str =
    "SELECT secret, CASE WHEN old_until > $3 THEN old_secret END AS old_secret FROM webhooks
     WHERE id = $1 AND tenant = $2 AND deleted_at IS NULL";
/// Of one that is switched on again nothing is told that happened meanwhile.
const CHANGE: &str = "UPDATE webhooks SET url = coalesce($3::text, url), types = coalesce($4::text, types),
            description = CASE WHEN $5::boolean THEN $6::text ELSE description END,
            after_position = CASE WHEN $7::boolean AND off_because IS NOT NULL THEN $8::bigint ELSE after_position END,
            failing_since = CASE WHEN $7::boolean THEN NULL ELSE failing_since END,
            off_because = CASE WHEN $7::boolean THEN NULL WHEN NOT $7::boolean THEN coalesce(off_because, 'operator')
                          ELSE off_because END
     WHERE id = $1 AND tenant = $2 AND deleted_at IS NULL";
const ROTATE: &str = "UPDATE webhooks SET old_secret = secret, old_until = $4, secret = $3
     WHERE id = $1 AND tenant = $2 AND deleted_at IS NULL";
const REMOVE: &str =
    "UPDATE webhooks SET deleted_at = $3, secret = '', old_secret = NULL, off_because = 'operator'
     WHERE id = $1 AND tenant = $2 AND deleted_at IS NULL";
const ON: &str = "SELECT * FROM webhooks WHERE off_because IS NULL ORDER BY id";

#[async_trait]
impl Webhooks for PostgresStore {
    async fn add_webhook(&self, new: NewWebhook) -> Result<WebhookRecord, StoreError> {
        let new = &new;
        self.write(Repeat::BeforeCommit, move |s, _| add(s, new).boxed())
            .await
    }

    async fn webhooks(&self, tenant: TenantId) -> Result<Vec<WebhookRecord>, StoreError> {
        self.read(move |s, _| all(s, tenant).boxed()).await
    }

    async fn webhook(&self, tenant: TenantId, id: WebhookId) -> Result<WebhookRecord, StoreError> {
        self.read(move |s, _| one(s, tenant, id).boxed()).await
    }

    async fn signing_keys(
        &self,
        tenant: TenantId,
        id: WebhookId,
    ) -> Result<SigningKeys, StoreError> {
        self.read(move |s, _| signing_keys(s, tenant, id).boxed())
            .await
    }

    async fn change_webhook(
        &self,
        tenant: TenantId,
        id: WebhookId,
        change: WebhookChange,
    ) -> Result<WebhookRecord, StoreError> {
        let change = &change;
        self.write(Repeat::Always, move |s, _| {
            changed(s, tenant, id, change).boxed()
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
        let key = &key;
        // Twice it would forget the key that receivers have.
        self.write(Repeat::BeforeCommit, move |s, _| {
            async move {
                let until = s.now.after(both).0;
                let params: Params<'_> = &[&id.0, &tenant.0, key, &until];
                found(s.execute(ROTATE, params).await?)
            }
            .boxed()
        })
        .await
    }

    async fn remove_webhook(&self, tenant: TenantId, id: WebhookId) -> Result<(), StoreError> {
        self.write(Repeat::BeforeCommit, move |s, _| {
            async move {
                let params: Params<'_> = &[&id.0, &tenant.0, &s.now.0];
                found(s.execute(REMOVE, params).await?)
            }
            .boxed()
        })
        .await
    }

    async fn subscriptions(&self) -> Result<Vec<Subscription>, StoreError> {
        self.read(|s, _| {
            async move {
                let rows = s.query(ON, &[]).await?;
                rows.iter().map(subscription).collect()
            }
            .boxed()
        })
        .await
    }
}

async fn add(s: &Session, new: &NewWebhook) -> Result<WebhookRecord, StoreError> {
    s.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK])
        .await?;
    let count = number(&s.one(COUNT, &[&new.tenant.0]).await?, "count")?;
    if count >= new.count_max {
        return Err(StoreError::WebhooksFull(count));
    }
    let end = i64::try_from(events::end(s).await?).unwrap_or(i64::MAX);
    s.execute(
        INSERT,
        &[
            &new.id.0,
            &new.tenant.0,
            &new.url,
            &to_json(&new.types),
            &new.description,
            &end,
            &new.keys.0.first(),
            &s.now.0,
        ],
    )
    .await?;
    one(s, new.tenant, new.id).await
}

async fn all(s: &Session, tenant: TenantId) -> Result<Vec<WebhookRecord>, StoreError> {
    let sql = select("w.tenant = $1 ORDER BY w.id");
    let rows = s.query(&sql, &[&tenant.0]).await?;
    rows.iter().map(webhook).collect()
}

async fn one(s: &Session, tenant: TenantId, id: WebhookId) -> Result<WebhookRecord, StoreError> {
    let row = s.maybe(&select(ONE), &[&id.0, &tenant.0]).await?;
    let found = row.as_ref().map(webhook).transpose()?;
    found.ok_or(StoreError::WebhookNotFound)
}

async fn signing_keys(
    s: &Session,
    tenant: TenantId,
    id: WebhookId,
) -> Result<SigningKeys, StoreError> {
    let row = s.maybe(KEYS, &[&id.0, &tenant.0, &s.now.0]).await?;
    let found = row.as_ref().map(keys).transpose()?;
    found.ok_or(StoreError::WebhookNotFound)
}

async fn changed(
    s: &Session,
    tenant: TenantId,
    id: WebhookId,
    change: &WebhookChange,
) -> Result<WebhookRecord, StoreError> {
    let end = i64::try_from(events::end(s).await?).unwrap_or(i64::MAX);
    s.execute(
        CHANGE,
        &[
            &id.0,
            &tenant.0,
            &change.url,
            &change.types.as_ref().map(to_json),
            &change.description.is_some(),
            &change.description.as_ref().and_then(Option::as_ref),
            &change.is_on,
            &end,
        ],
    )
    .await?;
    one(s, tenant, id).await
}

/// Whether there is such a webhook.
pub(super) async fn known(s: &Session, tenant: TenantId, id: WebhookId) -> Result<(), StoreError> {
    let sql = "SELECT 1 FROM webhooks WHERE id = $1 AND tenant = $2 AND deleted_at IS NULL";
    let known = s.maybe(sql, &[&id.0, &tenant.0]).await?;
    found(known.is_some().into())
}

fn found(changed: u64) -> Result<(), StoreError> {
    match changed {
        0 => Err(StoreError::WebhookNotFound),
        _ => Ok(()),
    }
}

fn webhook(row: &Row) -> Result<WebhookRecord, StoreError> {
    let off: Option<&str> = get(row, "off_because")?;
    Ok(WebhookRecord {
        id: id(row, "id")?,
        tenant: id(row, "tenant")?,
        url: get(row, "url")?,
        types: json(row, "types")?,
        description: get(row, "description")?,
        off_because: off
            .map(|_| named(row, "off_because", OffBecause::parse))
            .transpose()?,
        created_at: time(row, "created_at")?,
        failing_since: maybe_time(row, "failing_since")?,
        last_delivered_at: maybe_time(row, "last_delivered_at")?,
        last_error: get(row, "last_error")?,
        waiting: number(row, "waiting")?,
        failed: number(row, "failed")?,
        delivered: number(row, "delivered")?,
    })
}

fn subscription(row: &Row) -> Result<Subscription, StoreError> {
    Ok(Subscription {
        webhook: id(row, "id")?,
        tenant: id(row, "tenant")?,
        types: json(row, "types")?,
        after: number(row, "after_position")?,
    })
}

pub(super) fn keys(row: &Row) -> Result<SigningKeys, StoreError> {
    let secret: Vec<u8> = get(row, "secret")?;
    let old: Option<Vec<u8>> = get(row, "old_secret")?;
    Ok(SigningKeys([secret].into_iter().chain(old).collect()))
}
