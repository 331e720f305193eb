//! Reading and changing assets.

use super::changes::{Changes, Withdrawal, values};
use super::flush::flush;
use super::rows::{blob, get, id, named, number, sha, time, to_json};
use super::shown::{of_shown, shown};
use super::{PostgresStore, Repeat, Session, events, indexing, live, record, search, tasks};
use crate::catalog::{in_recipe_order, original_gone};
use crate::{
    AssetPage, AssetPatch, AssetRecord, BlobRow, Catalog, EventPage, RenditionRecord, Search,
    Servable, StoreError, TaskFilter, TaskPage,
};
use async_trait::async_trait;
use futures_util::FutureExt;
use mediaflow_core::operation::Format;
use mediaflow_core::transition::{self, Effect};
use mediaflow_core::{
    AssetId, AssetState, BlobId, ErrorCode, EventDraft, EventType, TenantId, Visibility,
};
use serde_json::json;
use tokio_postgres::Row;
use uuid::Uuid;

#[async_trait]
impl Catalog for PostgresStore {
    async fn asset(&self, tenant: TenantId, asset: AssetId) -> Result<AssetRecord, StoreError> {
        let found = self
            .read(move |s, _| record::asset(s, asset).boxed())
            .await?;
        if found.tenant != tenant {
            return Err(StoreError::AssetNotFound);
        }
        Ok(found)
    }

    async fn renditions(&self, asset: AssetId) -> Result<Vec<Servable>, StoreError> {
        self.read(move |s, _| visible(s, asset).boxed()).await
    }

    async fn search(&self, tenant: TenantId, search: &Search) -> Result<AssetPage, StoreError> {
        self.read(move |s, _| search::page(s, tenant, search).boxed())
            .await
    }

    async fn update(
        &self,
        tenant: TenantId,
        asset: AssetId,
        patch: AssetPatch,
    ) -> Result<AssetRecord, StoreError> {
        let patch = &patch;
        self.write(Repeat::BeforeCommit, move |s, _| {
            change(s, tenant, asset, patch).boxed()
        })
        .await
    }

    async fn delete(&self, tenant: TenantId, asset: AssetId) -> Result<(), StoreError> {
        self.write(Repeat::Always, move |s, _| remove(s, tenant, asset).boxed())
            .await
    }

    async fn tasks(&self, tenant: TenantId, filter: &TaskFilter) -> Result<TaskPage, StoreError> {
        self.read(move |s, _| tasks::page(s, tenant, filter).boxed())
            .await
    }

    async fn events(
        &self,
        tenant: TenantId,
        asset: AssetId,
        after: u64,
        limit: u32,
    ) -> Result<EventPage, StoreError> {
        // What this process committed gets its numbers first; no connection is held meanwhile.
        self.core.relay.caught_up().await;
        self.read(move |s, _| events::history(s, tenant, asset, after, limit).boxed())
            .await
    }

    async fn feed(
        &self,
        tenant: TenantId,
        after: u64,
        limit: u32,
    ) -> Result<EventPage, StoreError> {
        self.core.relay.caught_up().await;
        self.read(move |s, _| events::feed(s, tenant, after, limit).boxed())
            .await
    }

    async fn feed_end(&self) -> Result<u64, StoreError> {
        self.core.relay.caught_up().await;
        self.read(|s, _| events::end(s).boxed()).await
    }

    async fn original(&self, tenant: TenantId, asset: AssetId) -> Result<BlobRow, StoreError> {
        self.read(move |s, _| original(s, tenant, asset).boxed())
            .await
    }
}

const RENDITIONS: &str = of_shown!(
    "SELECT s.*, r.generation, r.profile, r.format, r.width, r.height, r.animated, r.derivation,
            b.sha256 AS blob_sha256, b.bytes AS blob_bytes, b.key AS blob_key
     FROM s LEFT JOIN renditions r ON s.shows AND r.asset = s.asset AND r.generation = s.generation
          LEFT JOIN blobs b ON b.id = r.blob"
);

async fn visible(s: &Session, asset: AssetId) -> Result<Vec<Servable>, StoreError> {
    let rows = s.query(RENDITIONS, &[&asset.0]).await?;
    let Some(shown) = shown(&rows)? else {
        return Ok(Vec::new());
    };
    let made = rows
        .iter()
        .filter(|row| matches!(get(row, "profile"), Ok(Some::<&str>(_))));
    let servable = made.map(|row| servable(row, shown.visibility));
    let mut found = servable.collect::<Result<Vec<_>, _>>()?;
    in_recipe_order(&mut found, &*s.recipe(shown.recipe).await?);
    Ok(found)
}

fn servable(row: &Row, visibility: Visibility) -> Result<Servable, StoreError> {
    let seen: (u32, u32) = (number(row, "width")?, number(row, "height")?);
    Ok(Servable {
        rendition: RenditionRecord {
            generation: number(row, "generation")?,
            profile: get(row, "profile")?,
            format: named(row, "format", Format::parse)?,
            dimensions: Some(seen).filter(|seen| *seen != (0, 0)),
            animated: get(row, "animated")?,
            derivation: sha(row, "derivation")?,
            bytes: number(row, "blob_bytes")?,
            sha256: sha(row, "blob_sha256")?,
        },
        key: get(row, "blob_key")?,
        visibility,
    })
}

async fn original(s: &Session, tenant: TenantId, asset: AssetId) -> Result<BlobRow, StoreError> {
    let sql = "SELECT a.state, b.id AS blob_id, b.sha256 AS blob_sha256, b.bytes AS blob_bytes, b.key AS blob_key
               FROM assets a LEFT JOIN blobs b ON b.id = a.original WHERE a.id = $1 AND a.tenant = $2";
    let row = s.maybe(sql, &[&asset.0, &tenant.0]).await?;
    let row = row.ok_or(StoreError::AssetNotFound)?;
    if named(&row, "state", AssetState::parse)? == AssetState::Deleted {
        return Err(StoreError::AssetDeleted);
    }
    match get::<Option<Uuid>>(&row, "blob_id")? {
        Some(_) => blob(&row),
        None => Err(original_gone()),
    }
}

async fn change(
    s: &mut Session,
    tenant: TenantId,
    asset: AssetId,
    patch: &AssetPatch,
) -> Result<AssetRecord, StoreError> {
    let mut live = live::of(s, tenant, asset).await?;
    if live.state == AssetState::Deleted {
        return Err(StoreError::AssetDeleted);
    }
    let sql = "SELECT title, tags, metadata, visibility, watermark, focus, created_at
               FROM assets WHERE id = $1";
    let row = s.one(sql, &[&asset.0]).await?;
    let old = record::options(&row)?;
    let (new, changed) = patch.clone().apply(&old);
    if changed.is_empty() {
        return record::asset(s, asset).await;
    }
    s.execute(
        "UPDATE assets SET title = $2, tags = $3, metadata = $4, visibility = $5, focus = $6, updated_at = $7
         WHERE id = $1",
        &[
            &asset.0,
            &new.title,
            &to_json(&new.tags),
            &to_json(&new.metadata),
            &new.visibility.as_str(),
            &new.focus.as_ref().map(to_json),
            &s.now.0,
        ],
    )
    .await?;
    let place = (tenant, asset, time(&row, "created_at")?);
    search::set_tags(s, place, &new.tags).await?;
    indexing::index(s, &[asset]).await?;

    let mut changes = Changes::new(s);
    if new.visibility == Visibility::Private && old.visibility == Visibility::Public {
        let hidden = (asset, live.published, Withdrawal::Hide);
        changes.withdrawals.push(hidden);
    }
    let event = EventDraft::new(EventType::AssetUpdated, json!({ "fields": changed }));
    live.record(&mut changes, &event);
    flush(s, changes, &mut [&mut live]).await?;
    record::asset(s, asset).await
}

async fn remove(s: &mut Session, tenant: TenantId, asset: AssetId) -> Result<(), StoreError> {
    let mut live = live::of(s, tenant, asset).await?;
    if live.state == AssetState::Deleted {
        return Ok(());
    }
    let mut changes = Changes::new(s);
    let effects = transition::cancel(&mut live.run, ErrorCode::AssetDeleted);
    live.apply(&mut changes, &effects, None);
    live.apply(&mut changes, &[Effect::DropRenditions], None);
    let sql = "SELECT original FROM assets WHERE id = $1 AND original IS NOT NULL";
    if let Some(row) = s.maybe(sql, &[&asset.0]).await? {
        changes.orphans.push(id::<BlobId>(&row, "original")?);
    }
    for sql in [
        "UPDATE assets SET original = NULL, search_text = NULL WHERE id = $1",
        "DELETE FROM facts WHERE asset = $1",
    ] {
        changes.call(sql, values![asset.0]);
    }
    search::forget(s, asset).await?;
    live.state = AssetState::Deleted;
    live.settle();
    live.record(
        &mut changes,
        &EventDraft::new(EventType::AssetDeleted, json!({})),
    );
    flush(s, changes, &mut [&mut live]).await
}
