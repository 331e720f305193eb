//! Uploads that arrive in several requests.

use super::rows::{clamp, get, id, maybe_json, maybe_number, named, number, time, to_json};
use super::{PostgresStore, Repeat, Session};
use crate::{
    Accepted, Advance, FinishedUpload, NewUpload, StoreError, UploadRecord, UploadState, Uploading,
    Way,
};
use async_trait::async_trait;
use futures_util::FutureExt;
use mediaflow_core::{AssetId, TenantId, Timestamp, UploadId};
use std::collections::HashSet;
use tokio_postgres::Row;
use uuid::Uuid;

#[async_trait]
impl Uploading for PostgresStore {
    async fn open_upload(&self, new: NewUpload) -> Result<UploadRecord, StoreError> {
        // One name for all tries: what was committed though the answer was lost is not made again.
        let (id, new) = (UploadId(self.core.env.id()), &new);
        self.write(Repeat::Always, move |s, _| open(s, id, new).boxed())
            .await
    }

    async fn upload(&self, tenant: TenantId, id: UploadId) -> Result<UploadRecord, StoreError> {
        self.read(move |s, _| one(s, tenant, id).boxed()).await
    }

    async fn take_upload(
        &self,
        tenant: TenantId,
        id: UploadId,
    ) -> Result<UploadRecord, StoreError> {
        self.write(Repeat::Always, move |s, _| take(s, tenant, id).boxed())
            .await
    }

    async fn advance_upload(
        &self,
        id: UploadId,
        fence: u64,
        advance: Advance,
    ) -> Result<Timestamp, StoreError> {
        let advance = &advance;
        self.write(Repeat::Always, move |s, _| {
            advanced(s, id, fence, advance).boxed()
        })
        .await
    }

    async fn end_upload(&self, id: UploadId, fence: u64) -> Result<(), StoreError> {
        self.write(Repeat::BeforeCommit, move |s, _| end(s, id, fence).boxed())
            .await
    }

    async fn take_expired_uploads(&self, limit: u32) -> Result<Vec<UploadRecord>, StoreError> {
        self.write(Repeat::Always, move |s, _| take_expired(s, limit).boxed())
            .await
    }
}

impl PostgresStore {
    pub(super) async fn open_uploads_among(
        &self,
        ids: &[UploadId],
    ) -> Result<Vec<UploadId>, StoreError> {
        let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        let ids = &ids;
        self.read(move |s, _| among(s, ids).boxed()).await
    }
}

/// By the clock of whoever opened it and goes on with it; a verb that only reads has no other.
const ONE: &str = "SELECT * FROM uploads WHERE id = $1 AND tenant = $2";
const TAKE: &str = "UPDATE uploads SET fence = fence + 1 WHERE id = $1 AND tenant = $2 AND expires_at > $3 RETURNING *";
const ADVANCE: &str = "UPDATE uploads SET bytes = $3, length = $4, progress = $5, expires_at = $6, state = $7, refusal = $8
     WHERE id = $1 AND fence = $2 AND asset IS NULL";
const OPEN: &str = "SELECT count(*) AS open FROM (
        SELECT 1 FROM uploads WHERE tenant = $1 AND key = $2 AND asset IS NULL AND state <> 'refused' LIMIT $3) u";
const INSERT: &str =
    "INSERT INTO uploads (id, tenant, key, fence, length, bytes, progress, concat, said, metadata,
                          correlation_id, created_at, expires_at, way)
     VALUES ($1, $2, $3, 1, $4, 0, '', $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (id) DO NOTHING";
const EXPIRED: &str = "UPDATE uploads SET fence = fence + 1 WHERE id = ANY(ARRAY(
        SELECT id FROM uploads WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED)) RETURNING *";
const HELD: &str = "SELECT u.id, u.fence FROM uploads u JOIN unnest($1::uuid[], $2::bigint[]) w (id, fence) ON u.id = w.id AND u.fence = w.fence
     WHERE u.asset IS NULL ORDER BY u.id FOR UPDATE OF u";
const FINISH: &str = "UPDATE uploads u SET asset = w.asset, bytes = w.bytes, length = w.bytes, progress = '', expires_at = w.until
     FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[]) w (id, asset, bytes, until) WHERE u.id = w.id";

pub(super) async fn open(
    s: &Session,
    id: UploadId,
    new: &NewUpload,
) -> Result<UploadRecord, StoreError> {
    s.phase.may_take_in()?;
    let key = new.key.map_or(Uuid::nil(), |key| key.0);
    let most = i64::from(new.open_max);
    let row = s.one(OPEN, &[&new.tenant.0, &key, &most]).await?;
    if number::<u32>(&row, "open")? >= new.open_max {
        return Err(StoreError::UploadsFull(new.open_max));
    }
    s.execute(
        INSERT,
        &[
            &id.0,
            &new.tenant.0,
            &key,
            &new.length.map(clamp),
            &new.concat,
            &new.said,
            &new.metadata,
            &new.correlation_id,
            &s.now.0,
            &s.now.after(new.kept).0,
            &new.way.as_str(),
        ],
    )
    .await?;
    one(s, new.tenant, id).await
}

async fn one(s: &Session, tenant: TenantId, id: UploadId) -> Result<UploadRecord, StoreError> {
    let row = s.maybe(ONE, &[&id.0, &tenant.0]).await?;
    let found = row.as_ref().map(record).transpose()?;
    found
        .filter(|found| found.expires_at > s.now)
        .ok_or(StoreError::UploadNotFound)
}

async fn take(s: &Session, tenant: TenantId, id: UploadId) -> Result<UploadRecord, StoreError> {
    let row = s.maybe(TAKE, &[&id.0, &tenant.0, &s.now.0]).await?;
    let taken = row.as_ref().map(record).transpose()?;
    taken.ok_or(StoreError::UploadNotFound)
}

async fn advanced(
    s: &Session,
    id: UploadId,
    fence: u64,
    advance: &Advance,
) -> Result<Timestamp, StoreError> {
    let until = s.now.after(advance.kept);
    let (fence, bytes, length) = (
        clamp(fence),
        clamp(advance.bytes),
        advance.length.map(clamp),
    );
    let changed = s
        .execute(
            ADVANCE,
            &[
                &id.0,
                &fence,
                &bytes,
                &length,
                &advance.progress,
                &until.0,
                &advance.state.as_str(),
                &advance.state.refusal().map(to_json),
            ],
        )
        .await?;
    (changed == 1)
        .then_some(until)
        .ok_or(StoreError::StaleFence)
}

async fn end(s: &Session, id: UploadId, fence: u64) -> Result<(), StoreError> {
    let sql = "DELETE FROM uploads WHERE id = $1 AND fence = $2";
    let ended = s.execute(sql, &[&id.0, &clamp(fence)]).await?;
    (ended == 1).then_some(()).ok_or(StoreError::StaleFence)
}

async fn take_expired(s: &Session, limit: u32) -> Result<Vec<UploadRecord>, StoreError> {
    let rows = s.query(EXPIRED, &[&s.now.0, &i64::from(limit)]).await?;
    let mut taken: Vec<_> = rows.iter().map(record).collect::<Result<_, _>>()?;
    taken.sort_by_key(|upload| (upload.expires_at, upload.id));
    Ok(taken)
}

async fn among(s: &Session, ids: &[Uuid]) -> Result<Vec<UploadId>, StoreError> {
    let sql = "SELECT id FROM uploads WHERE id = ANY($1) AND asset IS NULL AND state <> 'refused'";
    let rows = s.query(sql, &[&ids]).await?;
    rows.iter().map(|row| id(row, "id")).collect()
}

/// Those uploads that are still their callers', held until the end of the transaction.
pub(super) async fn held(
    s: &Session,
    uploads: &[FinishedUpload],
) -> Result<HashSet<(UploadId, u64)>, StoreError> {
    if uploads.is_empty() {
        return Ok(HashSet::new());
    }
    let ids: Vec<Uuid> = uploads.iter().map(|u| u.id.0).collect();
    let fences: Vec<i64> = uploads.iter().map(|u| clamp(u.fence)).collect();
    let rows = s.query(HELD, &[&ids, &fences]).await?;
    let held = rows.iter();
    held.map(|row| Ok((id(row, "id")?, number(row, "fence")?)))
        .collect()
}

/// The uploads have become assets of so many bytes.
pub(super) async fn finish(
    s: &Session,
    done: &[(FinishedUpload, &Accepted, u64)],
) -> Result<(), StoreError> {
    if done.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = done.iter().map(|(u, _, _)| u.id.0).collect();
    let assets: Vec<Uuid> = done.iter().map(|(_, a, _)| a.asset.0).collect();
    let bytes: Vec<i64> = done.iter().map(|(_, _, bytes)| clamp(*bytes)).collect();
    let until: Vec<i64> = done.iter().map(|(u, _, _)| s.now.after(u.kept).0).collect();
    s.execute(FINISH, &[&ids, &assets, &bytes, &until]).await?;
    Ok(())
}

pub(super) fn record(row: &Row) -> Result<UploadRecord, StoreError> {
    let state = match maybe_json(row, "refusal")? {
        Some(refusal) => UploadState::Refused(refusal),
        None => named(row, "state", UploadState::parse)?,
    };
    Ok(UploadRecord {
        way: named(row, "way", Way::parse)?,
        state,
        id: id(row, "id")?,
        tenant: id(row, "tenant")?,
        fence: number(row, "fence")?,
        length: maybe_number(row, "length")?,
        bytes: number(row, "bytes")?,
        progress: get(row, "progress")?,
        concat: get(row, "concat")?,
        said: get(row, "said")?,
        metadata: get(row, "metadata")?,
        correlation_id: get(row, "correlation_id")?,
        asset: get::<Option<Uuid>>(row, "asset")?.map(AssetId),
        expires_at: time(row, "expires_at")?,
    })
}
