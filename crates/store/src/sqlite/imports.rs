//! Files that are fetched.

use super::rows::{error, id, maybe_time, sha, time};
use super::writer::Session;
use super::{SqliteStore, uploads};
use crate::{
    ImportChange, ImportFilter, ImportNext, ImportRecord, Importing, NewImport, StoreError,
};
use async_trait::async_trait;
use mediaflow_core::{AssetId, TenantId, UploadId};
use rusqlite::{OptionalExtension, Row, params};
use std::time::Duration;
use uuid::Uuid;

/// With how far its upload is; one that just became an asset may not be recorded as such here.
const SELECT: &str = "SELECT i.*, coalesce(i.asset, u.asset) AS became, coalesce(u.bytes, 0) AS bytes, u.length AS length
     FROM imports i LEFT JOIN uploads u ON u.id = i.id";

#[async_trait]
impl Importing for SqliteStore {
    async fn open_import(&self, new: NewImport) -> Result<(ImportRecord, bool), StoreError> {
        self.write(move |s| open(s, &new)).await
    }

    async fn import(&self, tenant: TenantId, id: UploadId) -> Result<ImportRecord, StoreError> {
        self.read(move |conn, _| {
            conn.prepare_cached(&format!("{SELECT} WHERE i.id = ?1 AND i.tenant = ?2"))?
                .query_row(params![id.as_bytes(), tenant.as_bytes()], record)
                .optional()?
                .ok_or(StoreError::ImportNotFound)
        })
        .await
    }

    async fn due_imports(&self, source: &str, limit: u32) -> Result<Vec<ImportRecord>, StoreError> {
        let (source, now) = (source.to_owned(), self.env.now());
        self.read(move |conn, _| {
            let sql = format!(
                "{SELECT} WHERE i.source = ?1 AND i.due_at <= ?2 ORDER BY i.due_at, i.id LIMIT ?3"
            );
            let mut statement = conn.prepare_cached(&sql)?;
            let found = statement.query_map(params![source, now.0, limit], record)?;
            Ok(found.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn due_in_turns(
        &self,
        source: &str,
        limit: u32,
    ) -> Result<Vec<ImportRecord>, StoreError> {
        let (source, now) = (source.to_owned(), self.env.now());
        self.read(move |conn, _| {
            let sql = format!(
                "{SELECT} JOIN (
                     SELECT id, due_at, row_number() OVER (PARTITION BY tenant ORDER BY due_at, id) AS turn
                     FROM imports WHERE source = ?1 AND due_at <= ?2 ORDER BY turn, due_at, id LIMIT ?3) t ON t.id = i.id
                 ORDER BY t.turn, i.due_at, i.id"
            );
            let mut statement = conn.prepare_cached(&sql)?;
            let found = statement.query_map(params![source, now.0, limit], record)?;
            Ok(found.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn imports(&self, filter: &ImportFilter) -> Result<Vec<ImportRecord>, StoreError> {
        let filter = filter.clone();
        self.read(move |conn, _| {
            let sql = format!(
                "{SELECT} WHERE i.source = ?1 AND i.id > ?2
                 AND (NOT ?3 OR (i.due_at IS NULL AND i.code IS NOT NULL)) ORDER BY i.id LIMIT ?4"
            );
            let after = filter.after.map_or(Uuid::nil(), |id| id.0);
            let mut statement = conn.prepare_cached(&sql)?;
            let params = params![
                filter.source,
                after.as_bytes(),
                filter.is_failed,
                filter.limit
            ];
            let found = statement.query_map(params, record)?;
            Ok(found.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn marked(&self, marks: &[String]) -> Result<Vec<(String, ImportRecord)>, StoreError> {
        let marks = marks.to_vec();
        self.read(move |conn, _| {
            let mut statement = conn.prepare_cached(&format!("{SELECT} WHERE i.mark = ?1"))?;
            let mut known = Vec::new();
            for mark in marks {
                let found = statement.query_row([&mark], record).optional()?;
                known.extend(found.map(|found| (mark, found)));
            }
            Ok(known)
        })
        .await
    }

    async fn save_import(&self, id: UploadId, change: ImportChange) -> Result<(), StoreError> {
        self.write(move |s| {
            let (due, asset) = match change.next {
                ImportNext::Again(after) => (Some(s.now.after(after).0), None),
                ImportNext::Done(asset) => (None, Some(asset)),
                ImportNext::Failed => (None, None),
            };
            let kept = change.kept.filter(|_| due.is_none());
            s.conn
                .prepare_cached(
                    "UPDATE imports SET validator = ?2, tries = ?3, code = ?4, message = ?5, asset = ?6, due_at = ?7, expires_at = ?8
                     WHERE id = ?1 AND due_at IS NOT NULL",
                )?
                .execute(params![
                    id.as_bytes(),
                    change.validator,
                    change.tries,
                    change.error.as_ref().map(|(code, _)| code.as_str()),
                    change.error.as_ref().map(|(_, message)| message),
                    asset.as_ref().map(AssetId::as_bytes),
                    due,
                    kept.map(|kept| s.now.after(kept).0),
                ])?;
            Ok(())
        })
        .await
    }

    async fn expire_imports(
        &self,
        ids: &[UploadId],
        after: Option<Duration>,
    ) -> Result<(), StoreError> {
        let ids = ids.to_vec();
        self.write(move |s| {
            let until = after.map(|after| s.now.after(after).0);
            let mut statement = s.conn.prepare_cached(
                "UPDATE imports SET expires_at = CASE WHEN ?2 IS NULL THEN NULL ELSE min(coalesce(expires_at, ?2), ?2) END
                 WHERE id = ?1 AND due_at IS NULL AND coalesce(expires_at, 0) <> coalesce(?2, 0)",
            )?;
            for id in &ids {
                statement.execute(params![id.as_bytes(), until])?;
            }
            Ok(())
        })
        .await
    }

    async fn forget_import(&self, id: UploadId) -> Result<(), StoreError> {
        self.write(move |s| {
            s.conn
                .prepare_cached("DELETE FROM imports WHERE id = ?1")?
                .execute([id.as_bytes()])?;
            Ok(())
        })
        .await
    }

    async fn forget_old_imports(&self, limit: u32) -> Result<u32, StoreError> {
        self.write(move |s| {
            let forgotten = s
                .conn
                .prepare_cached(
                    "DELETE FROM imports WHERE id IN (
                         SELECT id FROM imports WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)",
                )?
                .execute(params![s.now.0, limit])?;
            Ok(u32::try_from(forgotten).unwrap_or(u32::MAX))
        })
        .await
    }
}

fn open(s: &Session<'_>, new: &NewImport) -> Result<(ImportRecord, bool), StoreError> {
    if let Some(mark) = &new.mark {
        let found = s
            .conn
            .prepare_cached(&format!("{SELECT} WHERE i.mark = ?1"))?
            .query_row([&mark.name], |row| Ok((record(row)?, sha(row, "digest")?)))
            .optional()?;
        match found {
            Some((found, digest)) if digest == mark.digest => return Ok((found, true)),
            Some(_) => return Err(StoreError::IdempotencyMismatch),
            None => {}
        }
    }
    let upload = uploads::open(s, &new.upload)?;
    s.conn
        .prepare_cached(
            "INSERT INTO imports (id, tenant, source, reference, mark, digest, tries, due_at, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, ?7, ?8)",
        )?
        .execute(params![
            upload.id.as_bytes(),
            upload.tenant.as_bytes(),
            new.source,
            new.reference,
            new.mark.as_ref().map(|mark| &mark.name),
            new.mark.as_ref().map(|mark| mark.digest.0),
            s.now.after(new.after).0,
            s.now.0,
        ])?;
    let mut statement = s
        .conn
        .prepare_cached(&format!("{SELECT} WHERE i.id = ?1"))?;
    Ok((statement.query_row([upload.id.as_bytes()], record)?, false))
}

fn record(row: &Row<'_>) -> rusqlite::Result<ImportRecord> {
    let asset: Option<[u8; 16]> = row.get("became")?;
    Ok(ImportRecord {
        id: id(row, "id")?,
        tenant: id(row, "tenant")?,
        source: row.get("source")?,
        reference: row.get("reference")?,
        validator: row.get("validator")?,
        tries: row.get("tries")?,
        error: error(row, "code", "message")?,
        asset: asset.map(|asset| AssetId(Uuid::from_bytes(asset))),
        bytes: row.get("bytes")?,
        length: row.get("length")?,
        due_at: maybe_time(row, "due_at")?,
        created_at: time(row, "created_at")?,
    })
}
