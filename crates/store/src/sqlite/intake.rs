//! Taking uploads in.

use super::blobs::{adopt, blob, orphan};
use super::live::{Beginning, Live};
use super::rows::{clamp, id, sha, to_json};
use super::search::add_tags;
use super::writer::Session;
use super::{SqliteStore, blobs, limits, uploads};
use crate::record::words;
use crate::{Accept, Accepted, BlobRow, Idempotency, Intake, NewBlob, StoreError};
use async_trait::async_trait;
use mediaflow_core::{AssetId, AssetState, BlobId, EventDraft, EventType, TenantId};
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::json;
use std::sync::Arc;

#[async_trait]
impl Intake for SqliteStore {
    async fn accept(&self, accept: Accept) -> Result<Accepted, StoreError> {
        self.write(move |s| take_in(s, &accept)).await
    }

    async fn repeated(
        &self,
        tenant: TenantId,
        key: &Idempotency,
    ) -> Result<Option<AssetId>, StoreError> {
        let key = key.clone();
        self.read(move |conn, _| first_answer(conn, tenant, &key))
            .await
    }

    async fn pin(&self, tenant: TenantId, pin: &str, blob: NewBlob) -> Result<BlobRow, StoreError> {
        let pin = pin.to_owned();
        self.write(move |s| pin_blob(s, tenant, &pin, &blob)).await
    }

    async fn pinned(&self, tenant: TenantId, pin: &str) -> Result<Option<BlobRow>, StoreError> {
        let pin = pin.to_owned();
        self.read(move |conn, _| {
            let mut statement = conn.prepare_cached(
                "SELECT b.id AS blob_id, b.sha256 AS blob_sha256, b.bytes AS blob_bytes, b.key AS blob_key
                 FROM pins p JOIN blobs b ON b.id = p.blob WHERE p.tenant = ?1 AND p.name = ?2",
            )?;
            Ok(statement.query_row(params![tenant.as_bytes(), pin], blob).optional()?)
        })
        .await
    }
}

pub(super) fn take_in(s: &Session<'_>, accept: &Accept) -> Result<Accepted, StoreError> {
    s.phase.may_take_in()?;
    let tenant = accept.tenant;
    make_tenant(s, tenant)?;
    if let Some(upload) = &accept.upload
        && !uploads::is_held(s, upload)?
    {
        return Err(StoreError::StaleFence);
    }
    if let Some(key) = &accept.idempotency
        && let Some(asset) = first_answer(s.conn, tenant, key)?
    {
        let surplus = !is_key_of(s.conn, &accept.original.key)?;
        finish(s, accept, asset)?;
        return Ok(Accepted {
            asset,
            repeated: true,
            surplus,
            wake: false,
        });
    }
    let original = adopt(s, tenant, &accept.original)?;
    let asset = AssetId(s.env.id());
    insert_asset(s, asset, accept, original.id)?;
    if let Some(key) = accept.counted {
        limits::count(s, key, accept.original.bytes)?;
    }
    finish(s, accept, asset)?;
    if let Some(key) = &accept.idempotency {
        s.conn
            .prepare_cached("INSERT INTO idempotency VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![
                tenant.as_bytes(),
                key.key,
                key.digest.0,
                asset.as_bytes(),
                s.now.0
            ])?;
    }
    let accepted = json!({
        "filename": accept.filename, "media_type": accept.media_type,
        "bytes": original.bytes, "sha256": original.sha256,
        "recipe": accept.recipe.name, "generation": 1,
    });
    let beginning = Beginning {
        tenant,
        asset,
        published: 0,
        partial: false,
        generation: 1,
        recipe: Arc::clone(&accept.recipe),
        settings: accept.settings.clone(),
        watermark: accept.options.watermark,
        focus: accept.options.focus,
        facts: accept.facts,
        state: AssetState::Uploaded,
        in_review: false,
        sequence: 0,
    };
    let first = EventDraft::new(EventType::AssetAccepted, accepted);
    Live::begin(s, beginning, first)?;
    Ok(Accepted {
        asset,
        repeated: false,
        surplus: original.key != accept.original.key,
        wake: !s.ready.borrow().is_empty(),
    })
}

fn finish(s: &Session<'_>, accept: &Accept, asset: AssetId) -> Result<(), StoreError> {
    match &accept.upload {
        Some(upload) => uploads::finish(s, upload, asset, accept.original.bytes),
        None => Ok(()),
    }
}

fn insert_asset(
    s: &Session<'_>,
    asset: AssetId,
    accept: &Accept,
    original: BlobId,
) -> Result<(), StoreError> {
    let options = &accept.options;
    s.conn
        .prepare_cached(
            "INSERT INTO assets (id, tenant, state, generation, kind, original, original_sha256, original_bytes,
                                 media_type, filename, width, height, fact_pixels, fact_frames, fact_bytes,
                                 title, tags, metadata, visibility, watermark, focus,
                                 correlation_id, created_at, updated_at)
             VALUES (?1, ?2, ?3, 1, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20,
                     ?21, ?22, ?22)",
        )?
        .execute(params![
            asset.as_bytes(),
            accept.tenant.as_bytes(),
            AssetState::Uploaded.as_str(),
            accept.kind.as_str(),
            original.as_bytes(),
            accept.original.sha256.0,
            accept.original.bytes,
            accept.media_type,
            accept.filename,
            accept.dimensions.map(|d| d.0),
            accept.dimensions.map(|d| d.1),
            clamp(accept.facts.pixels),
            accept.facts.frames,
            clamp(accept.facts.bytes),
            options.title,
            to_json(&options.tags),
            to_json(&options.metadata),
            options.visibility.as_str(),
            options.watermark,
            options.focus.as_ref().map(to_json),
            accept.correlation_id,
            s.now.0,
        ])?;
    let seq = s.conn.last_insert_rowid();
    add_tags(s, accept.tenant, asset, s.now, &options.tags)?;
    let text = words(
        options.title.as_deref(),
        accept.filename.as_deref(),
        &options.tags,
        None,
    );
    s.conn
        .prepare_cached("INSERT INTO asset_text (rowid, words) VALUES (?1, ?2)")?
        .execute(params![seq, text])?;
    Ok(())
}

pub(super) fn make_tenant(s: &Session<'_>, tenant: TenantId) -> Result<(), StoreError> {
    s.conn
        .prepare_cached("INSERT OR IGNORE INTO tenants (id) VALUES (?1)")?
        .execute([tenant.as_bytes()])?;
    Ok(())
}

fn first_answer(
    conn: &Connection,
    tenant: TenantId,
    key: &Idempotency,
) -> Result<Option<AssetId>, StoreError> {
    let found = conn
        .prepare_cached("SELECT digest, asset FROM idempotency WHERE tenant = ?1 AND key = ?2")?
        .query_row(params![tenant.as_bytes(), key.key], |row| {
            Ok((sha(row, "digest")?, id(row, "asset")?))
        })
        .optional()?;
    match found {
        None => Ok(None),
        Some((digest, asset)) if digest == key.digest => Ok(Some(asset)),
        Some(_) => Err(StoreError::IdempotencyMismatch),
    }
}

fn is_key_of(conn: &Connection, key: &str) -> Result<bool, StoreError> {
    let mut statement =
        conn.prepare_cached("SELECT EXISTS (SELECT 1 FROM blobs WHERE key = ?1)")?;
    Ok(statement.query_row([key], |row| row.get(0))?)
}

fn pin_blob(
    s: &Session<'_>,
    tenant: TenantId,
    pin: &str,
    new: &NewBlob,
) -> Result<BlobRow, StoreError> {
    make_tenant(s, tenant)?;
    let row = blobs::adopt(s, tenant, new)?;
    let before = s
        .conn
        .prepare_cached("SELECT blob FROM pins WHERE tenant = ?1 AND name = ?2")?
        .query_row(params![tenant.as_bytes(), pin], |row| id(row, "blob"))
        .optional()?;
    if let Some(before) = before.filter(|before: &BlobId| *before != row.id) {
        orphan(s, before)?;
    }
    s.conn
        .prepare_cached("INSERT OR REPLACE INTO pins VALUES (?1, ?2, ?3)")?
        .execute(params![tenant.as_bytes(), pin, row.id.as_bytes()])?;
    Ok(row)
}
