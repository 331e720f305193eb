//! Uploads that arrive in several requests.

use super::SqliteStore;
use super::rows::{clamp, id, maybe_json, named, time, to_json};
use super::writer::Session;
use crate::{
    Advance, FinishedUpload, NewUpload, StoreError, UploadRecord, UploadState, Uploading, Way,
};
use async_trait::async_trait;
use mediaflow_core::{AssetId, TenantId, Timestamp, UploadId};
use rusqlite::{OptionalExtension, Row, params};
use uuid::Uuid;

#[async_trait]
impl Uploading for SqliteStore {
    async fn open_upload(&self, new: NewUpload) -> Result<UploadRecord, StoreError> {
        self.write(move |s| open(s, &new)).await
    }

    async fn upload(&self, tenant: TenantId, id: UploadId) -> Result<UploadRecord, StoreError> {
        let now = self.env.now();
        self.read(move |conn, _| {
            conn.prepare_cached(ONE)?
                .query_row(params![id.as_bytes(), tenant.as_bytes(), now.0], record)
                .optional()?
                .ok_or(StoreError::UploadNotFound)
        })
        .await
    }

    async fn take_upload(
        &self,
        tenant: TenantId,
        id: UploadId,
    ) -> Result<UploadRecord, StoreError> {
        self.write(move |s| {
            s.conn
                .prepare_cached(TAKE)?
                .query_row(params![id.as_bytes(), tenant.as_bytes(), s.now.0], record)
                .optional()?
                .ok_or(StoreError::UploadNotFound)
        })
        .await
    }

    async fn advance_upload(
        &self,
        id: UploadId,
        fence: u64,
        advance: Advance,
    ) -> Result<Timestamp, StoreError> {
        self.write(move |s| {
            let until = s.now.after(advance.kept);
            let changed = s.conn.prepare_cached(ADVANCE)?.execute(params![
                id.as_bytes(),
                clamp(fence),
                clamp(advance.bytes),
                advance.length.map(clamp),
                advance.progress,
                until.0,
                advance.state.as_str(),
                advance.state.refusal().map(to_json),
            ])?;
            (changed == 1)
                .then_some(until)
                .ok_or(StoreError::StaleFence)
        })
        .await
    }

    async fn end_upload(&self, id: UploadId, fence: u64) -> Result<(), StoreError> {
        self.write(move |s| {
            let ended = s
                .conn
                .prepare_cached("DELETE FROM uploads WHERE id = ?1 AND fence = ?2")?
                .execute(params![id.as_bytes(), clamp(fence)])?;
            (ended == 1).then_some(()).ok_or(StoreError::StaleFence)
        })
        .await
    }

    async fn take_expired_uploads(&self, limit: u32) -> Result<Vec<UploadRecord>, StoreError> {
        self.write(move |s| {
            let mut statement = s.conn.prepare_cached(EXPIRED)?;
            let expired = statement.query_map(params![s.now.0, limit], |row| id(row, "id"))?;
            let expired: Vec<Uuid> = expired.collect::<Result<_, _>>()?;
            let mut take = s.conn.prepare_cached(TAKE_ANY)?;
            let taken = expired
                .iter()
                .map(|id| take.query_row([id.as_bytes()], record));
            Ok(taken.collect::<Result<_, _>>()?)
        })
        .await
    }
}

impl SqliteStore {
    pub(super) async fn open_uploads_among(
        &self,
        ids: &[UploadId],
    ) -> Result<Vec<UploadId>, StoreError> {
        let ids = ids.to_vec();
        self.read(move |conn, _| {
            let mut statement = conn.prepare_cached(
                "SELECT 1 FROM uploads WHERE id = ?1 AND asset IS NULL AND state <> 'refused'",
            )?;
            let mut open = Vec::new();
            for id in ids {
                if statement.exists([id.as_bytes()])? {
                    open.push(id);
                }
            }
            Ok(open)
        })
        .await
    }
}

const ONE: &str = "SELECT * FROM uploads WHERE id = ?1 AND tenant = ?2 AND expires_at > ?3";
const TAKE: &str = "UPDATE uploads SET fence = fence + 1 WHERE id = ?1 AND tenant = ?2 AND expires_at > ?3 RETURNING *";
const TAKE_ANY: &str = "UPDATE uploads SET fence = fence + 1 WHERE id = ?1 RETURNING *";
const ADVANCE: &str = "UPDATE uploads SET bytes = ?3, length = ?4, progress = ?5, expires_at = ?6, state = ?7, refusal = ?8
     WHERE id = ?1 AND fence = ?2 AND asset IS NULL";
const OPEN: &str = "SELECT count(*) FROM (
        SELECT 1 FROM uploads WHERE tenant = ?1 AND key = ?2 AND asset IS NULL AND state <> 'refused' LIMIT ?3)";
pub(super) const EXPIRED: &str =
    "SELECT id FROM uploads WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2";

pub(super) fn open(s: &Session<'_>, new: &NewUpload) -> Result<UploadRecord, StoreError> {
    s.phase.may_take_in()?;
    let key = new.key.map_or(Uuid::nil(), |key| key.0);
    let open: u32 = s.conn.prepare_cached(OPEN)?.query_row(
        params![new.tenant.as_bytes(), key.as_bytes(), new.open_max],
        |row| row.get(0),
    )?;
    if open >= new.open_max {
        return Err(StoreError::UploadsFull(new.open_max));
    }
    let opened = s
        .conn
        .prepare_cached(
            "INSERT INTO uploads (id, tenant, key, fence, length, bytes, progress, concat, said, metadata, correlation_id,
                                  created_at, expires_at, way)
             VALUES (?1, ?2, ?3, 1, ?4, 0, '', ?5, ?6, ?7, ?8, ?9, ?10, ?11) RETURNING *",
        )?
        .query_row(
            params![
                s.env.id().as_bytes(),
                new.tenant.as_bytes(),
                key.as_bytes(),
                new.length.map(clamp),
                new.concat,
                new.said,
                new.metadata,
                new.correlation_id,
                s.now.0,
                s.now.after(new.kept).0,
                new.way.as_str(),
            ],
            record,
        )?;
    Ok(opened)
}

/// Whether the upload is still the caller's.
pub(super) fn is_held(s: &Session<'_>, upload: &FinishedUpload) -> Result<bool, StoreError> {
    let mut statement = s
        .conn
        .prepare_cached("SELECT 1 FROM uploads WHERE id = ?1 AND fence = ?2 AND asset IS NULL")?;
    Ok(statement.exists(params![upload.id.as_bytes(), clamp(upload.fence)])?)
}

/// The upload has become the asset.
pub(super) fn finish(
    s: &Session<'_>,
    upload: &FinishedUpload,
    asset: AssetId,
    bytes: u64,
) -> Result<(), StoreError> {
    s.conn
        .prepare_cached(
            "UPDATE uploads SET asset = ?2, bytes = ?3, length = ?3, progress = '', expires_at = ?4 WHERE id = ?1",
        )?
        .execute(params![
            upload.id.as_bytes(),
            asset.as_bytes(),
            clamp(bytes),
            s.now.after(upload.kept).0
        ])?;
    Ok(())
}

pub(super) fn record(row: &Row<'_>) -> rusqlite::Result<UploadRecord> {
    let asset: Option<[u8; 16]> = row.get("asset")?;
    let state = match maybe_json(row, "refusal")? {
        Some(refusal) => UploadState::Refused(refusal),
        None => named(row, "state", UploadState::parse)?,
    };
    Ok(UploadRecord {
        way: named(row, "way", Way::parse)?,
        state,
        id: id(row, "id")?,
        tenant: id(row, "tenant")?,
        fence: row.get("fence")?,
        length: row.get("length")?,
        bytes: row.get("bytes")?,
        progress: row.get("progress")?,
        concat: row.get("concat")?,
        said: row.get("said")?,
        metadata: row.get("metadata")?,
        correlation_id: row.get("correlation_id")?,
        asset: asset.map(|asset| AssetId(Uuid::from_bytes(asset))),
        expires_at: time(row, "expires_at")?,
    })
}
