//! Reading and changing assets.

use super::blobs::{blob, orphan};
use super::live::Live;
use super::rows::{id, named, to_json};
use super::search::{add_tags, index_words, remove_tags};
use super::shown::shown;
use super::writer::Session;
use super::{SqliteStore, events, record, renditions, search, tasks};
use crate::catalog::{in_recipe_order, original_gone};
use crate::frozen::Frozen;
use crate::{
    AssetPage, AssetPatch, AssetRecord, BlobRow, Catalog, EventPage, Search, Servable, StoreError,
    TaskFilter, TaskPage,
};
use async_trait::async_trait;
use mediaflow_core::transition::{self, Effect};
use mediaflow_core::{
    AssetId, AssetState, BlobId, ErrorCode, EventDraft, EventType, TenantId, Timestamp, Visibility,
};
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::json;

#[async_trait]
impl Catalog for SqliteStore {
    async fn asset(&self, tenant: TenantId, asset: AssetId) -> Result<AssetRecord, StoreError> {
        self.read(move |conn, frozen| {
            let found = record::asset(conn, frozen, asset)?;
            if found.tenant != tenant {
                return Err(StoreError::AssetNotFound);
            }
            Ok(found)
        })
        .await
    }

    async fn renditions(&self, asset: AssetId) -> Result<Vec<Servable>, StoreError> {
        self.read(move |conn, frozen| visible(conn, frozen, asset))
            .await
    }

    async fn search(&self, tenant: TenantId, search: &Search) -> Result<AssetPage, StoreError> {
        let search = search.clone();
        self.read(move |conn, frozen| search::page(conn, frozen, tenant, &search))
            .await
    }

    async fn update(
        &self,
        tenant: TenantId,
        asset: AssetId,
        patch: AssetPatch,
    ) -> Result<AssetRecord, StoreError> {
        self.write(move |s| {
            change(s, tenant, asset, patch.clone())?;
            record::asset(s.conn, s.frozen, asset)
        })
        .await
    }

    async fn delete(&self, tenant: TenantId, asset: AssetId) -> Result<(), StoreError> {
        self.write(move |s| remove(s, tenant, asset)).await
    }

    async fn tasks(&self, tenant: TenantId, filter: &TaskFilter) -> Result<TaskPage, StoreError> {
        let filter = filter.clone();
        self.read(move |conn, frozen| tasks::page(conn, frozen, tenant, &filter))
            .await
    }

    async fn events(
        &self,
        tenant: TenantId,
        asset: AssetId,
        after: u64,
        limit: u32,
    ) -> Result<EventPage, StoreError> {
        self.read(move |conn, _| events::history(conn, tenant, asset, after, limit))
            .await
    }

    async fn feed(
        &self,
        tenant: TenantId,
        after: u64,
        limit: u32,
    ) -> Result<EventPage, StoreError> {
        self.read(move |conn, _| events::feed(conn, tenant, after, limit))
            .await
    }

    async fn feed_end(&self) -> Result<u64, StoreError> {
        self.read(|conn, _| Ok(events::end(conn)?)).await
    }

    async fn original(&self, tenant: TenantId, asset: AssetId) -> Result<BlobRow, StoreError> {
        self.read(move |conn, _| original(conn, tenant, asset))
            .await
    }
}

fn visible(
    conn: &Connection,
    frozen: &Frozen,
    asset: AssetId,
) -> Result<Vec<Servable>, StoreError> {
    let Some(shown) = shown(conn, asset)? else {
        return Ok(Vec::new());
    };
    let recipe = frozen.recipe(conn, shown.recipe)?;
    let mut statement = conn.prepare_cached(
        "SELECT r.generation, r.profile, r.format, r.width, r.height, r.animated, r.derivation,
                b.sha256 AS blob_sha256, b.bytes AS blob_bytes, b.key AS blob_key
         FROM renditions r JOIN blobs b ON b.id = r.blob
         WHERE r.asset = ?1 AND r.generation = ?2",
    )?;
    let mut found = statement
        .query_map(params![asset.as_bytes(), shown.generation], |row| {
            Ok(Servable {
                rendition: renditions::record(row)?,
                key: row.get("blob_key")?,
                visibility: shown.visibility,
            })
        })?
        .collect::<Result<Vec<_>, _>>()?;
    in_recipe_order(&mut found, &recipe);
    Ok(found)
}

fn original(conn: &Connection, tenant: TenantId, asset: AssetId) -> Result<BlobRow, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT a.state, b.id AS blob_id, b.sha256 AS blob_sha256, b.bytes AS blob_bytes, b.key AS blob_key
         FROM assets a LEFT JOIN blobs b ON b.id = a.original WHERE a.id = ?1 AND a.tenant = ?2",
    )?;
    let mut rows = statement.query(params![asset.as_bytes(), tenant.as_bytes()])?;
    let row = rows.next()?.ok_or(StoreError::AssetNotFound)?;
    if named(row, "state", AssetState::parse)? == AssetState::Deleted {
        return Err(StoreError::AssetDeleted);
    }
    if row.get::<_, Option<[u8; 16]>>("blob_id")?.is_none() {
        return Err(original_gone());
    }
    Ok(blob(row)?)
}

fn change(
    s: &Session<'_>,
    tenant: TenantId,
    asset: AssetId,
    patch: AssetPatch,
) -> Result<(), StoreError> {
    let mut live = Live::of(s, tenant, asset)?;
    if live.state == AssetState::Deleted {
        return Err(StoreError::AssetDeleted);
    }
    let (old, created_at) = said(s, asset)?;
    let (new, changed) = patch.apply(&old);
    if changed.is_empty() {
        return Ok(());
    }
    s.conn
        .prepare_cached(
            "UPDATE assets SET title = ?2, tags = ?3, metadata = ?4, visibility = ?5, focus = ?6, updated_at = ?7
             WHERE id = ?1",
        )?
        .execute(params![
            asset.as_bytes(),
            new.title,
            to_json(&new.tags),
            to_json(&new.metadata),
            new.visibility.as_str(),
            new.focus.as_ref().map(to_json),
            s.now.0
        ])?;
    if new.visibility == Visibility::Private && old.visibility == Visibility::Public {
        renditions::hide(s, asset, live.published)?;
    }
    remove_tags(s, tenant, asset, created_at, &old.tags)?;
    add_tags(s, tenant, asset, created_at, &new.tags)?;
    index_words(s.conn, asset)?;
    live.record(
        s,
        &EventDraft::new(EventType::AssetUpdated, json!({ "fields": changed })),
    )?;
    live.save(s)
}

fn said(
    s: &Session<'_>,
    asset: AssetId,
) -> Result<(mediaflow_core::AssetOptions, Timestamp), StoreError> {
    Ok(s.conn
        .prepare_cached(
            "SELECT title, tags, metadata, visibility, watermark, focus, created_at
             FROM assets WHERE id = ?1",
        )?
        .query_row([asset.as_bytes()], |row| {
            Ok((record::options(row)?, super::rows::time(row, "created_at")?))
        })?)
}

fn remove(s: &Session<'_>, tenant: TenantId, asset: AssetId) -> Result<(), StoreError> {
    let mut live = Live::of(s, tenant, asset)?;
    if live.state == AssetState::Deleted {
        return Ok(());
    }
    let effects = transition::cancel(&mut live.run, ErrorCode::AssetDeleted);
    live.apply(s, &effects, None)?;
    live.apply(s, &[Effect::DropRenditions], None)?;
    let (options, created_at) = said(s, asset)?;
    remove_tags(s, tenant, asset, created_at, &options.tags)?;
    let original = s
        .conn
        .prepare_cached(
            "SELECT original AS blob FROM assets WHERE id = ?1 AND original IS NOT NULL",
        )?
        .query_row([asset.as_bytes()], |row| id::<BlobId>(row, "blob"))
        .optional()?;
    if let Some(original) = original {
        orphan(s, original)?;
    }
    for sql in [
        "UPDATE assets SET original = NULL, search_text = NULL WHERE id = ?1",
        "DELETE FROM facts WHERE asset = ?1",
    ] {
        s.conn.prepare_cached(sql)?.execute([asset.as_bytes()])?;
    }
    live.set_state(s, AssetState::Deleted)?;
    index_words(s.conn, asset)?;
    live.record(s, &EventDraft::new(EventType::AssetDeleted, json!({})))?;
    live.save(s)
}
