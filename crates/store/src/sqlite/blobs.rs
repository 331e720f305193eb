//! Blob rows: adopted once per tenant and digest, and set aside when a reference to them goes.

use super::rows::{id, sha};
use super::writer::Session;
use crate::{BlobRow, NewBlob, StoreError};
use mediaflow_core::{BlobId, TenantId};
use rusqlite::{OptionalExtension, Params, Row, params};

/// The row in columns `blob_id`, `blob_sha256`, `blob_bytes`, `blob_key`.
pub(super) fn blob(row: &Row<'_>) -> rusqlite::Result<BlobRow> {
    blob_from(row, row.as_ref().column_index("blob_id")?)
}

/// The same, of which the first is in this place.
pub(super) fn blob_from(row: &Row<'_>, first: usize) -> rusqlite::Result<BlobRow> {
    Ok(BlobRow {
        id: id(row, first)?,
        sha256: sha(row, first + 1)?,
        bytes: row.get(first + 2)?,
        key: row.get(first + 3)?,
    })
}

/// The live row of these bytes, made if there is none. A condemned row is as good as gone.
pub(super) fn adopt(
    s: &Session<'_>,
    tenant: TenantId,
    new: &NewBlob,
) -> Result<BlobRow, StoreError> {
    let found = s
        .conn
        .prepare_cached(
            "SELECT id AS blob_id, sha256 AS blob_sha256, bytes AS blob_bytes, key AS blob_key
             FROM blobs WHERE tenant = ?1 AND sha256 = ?2 AND condemned_at IS NULL",
        )?
        .query_row(params![tenant.as_bytes(), new.sha256.0], blob)
        .optional()?;
    if let Some(found) = found {
        return Ok(found);
    }
    let row = BlobRow {
        id: BlobId(s.env.id()),
        sha256: new.sha256,
        bytes: new.bytes,
        key: new.key.clone(),
    };
    s.conn
        .prepare_cached(
            "INSERT INTO blobs (id, tenant, sha256, bytes, key, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            row.id.as_bytes(), tenant.as_bytes(), row.sha256.0, row.bytes, row.key, s.now.0
        ])?;
    Ok(row)
}

/// A row recorded before, if it may still be referred to.
pub(super) fn usable(s: &Session<'_>, tenant: TenantId, id: BlobId) -> Result<BlobRow, StoreError> {
    s.conn
        .prepare_cached(
            "SELECT id AS blob_id, sha256 AS blob_sha256, bytes AS blob_bytes, key AS blob_key
             FROM blobs WHERE id = ?1 AND tenant = ?2 AND condemned_at IS NULL",
        )?
        .query_row(params![id.as_bytes(), tenant.as_bytes()], blob)
        .optional()?
        .ok_or(StoreError::BlobCondemned)
}

/// A reference to the row is gone; perhaps it was the last.
pub(super) fn orphan(s: &Session<'_>, blob: BlobId) -> Result<(), StoreError> {
    s.conn
        .prepare_cached(
            "INSERT INTO orphans VALUES (?1, ?2) ON CONFLICT (blob) DO UPDATE SET since = excluded.since",
        )?
        .execute(params![blob.as_bytes(), s.now.0])?;
    Ok(())
}

/// Runs a statement that deletes rows and returns their `blob`, to which they refer no more.
pub(super) fn let_go(s: &Session<'_>, sql: &str, params: impl Params) -> Result<(), StoreError> {
    let mut statement = s.conn.prepare_cached(sql)?;
    let blobs = statement
        .query_map(params, |row| id(row, "blob"))?
        .collect::<Result<Vec<BlobId>, _>>()?;
    blobs.into_iter().try_for_each(|blob| orphan(s, blob))
}

/// Whether anything refers to the row.
pub(super) fn is_referenced(s: &Session<'_>, blob: BlobId) -> Result<bool, StoreError> {
    Ok(s.conn
        .prepare_cached(IS_REFERENCED)?
        .query_row([blob.as_bytes()], |row| row.get(0))?)
}

pub(super) const IS_REFERENCED: &str = "SELECT EXISTS (SELECT 1 FROM assets WHERE original = ?1)
     OR EXISTS (SELECT 1 FROM renditions WHERE blob = ?1)
     OR EXISTS (SELECT 1 FROM segments WHERE blob = ?1)
     OR EXISTS (SELECT 1 FROM tracks WHERE blob = ?1)
     OR EXISTS (SELECT 1 FROM captions WHERE blob = ?1)
     OR EXISTS (SELECT 1 FROM pieces WHERE blob = ?1)
     OR EXISTS (SELECT 1 FROM pins WHERE blob = ?1)";
