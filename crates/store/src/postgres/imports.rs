//! Files that are fetched.

use super::rows::{error, get, id, maybe_number, maybe_time, number, sha, time};
use super::{PostgresStore, Repeat, Session, uploads};
use crate::{
    ImportChange, ImportFilter, ImportNext, ImportRecord, Importing, NewImport, StoreError,
};
use async_trait::async_trait;
use futures_util::FutureExt;
use mediaflow_core::{AssetId, TenantId, UploadId};
use std::time::Duration;
use tokio_postgres::Row;
use uuid::Uuid;

/// With how far its upload is; one that just became an asset may not be recorded as such here.
const SELECT: &str = "SELECT i.*, coalesce(i.asset, u.asset) AS became, coalesce(u.bytes, 0) AS bytes, u.length AS length
     FROM imports i LEFT JOIN uploads u ON u.id = i.id";
const INSERT: &str =
    "INSERT INTO imports (id, tenant, source, reference, mark, digest, tries, due_at, created_at)
     VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $8) ON CONFLICT DO NOTHING";
const SAVE: &str = "UPDATE imports SET validator = $2, tries = $3, code = $4, message = $5, asset = $6, due_at = $7, expires_at = $8
     WHERE id = $1 AND due_at IS NOT NULL";
const EXPIRE: &str = "UPDATE imports SET expires_at = CASE WHEN $2::bigint IS NULL THEN NULL ELSE least(coalesce(expires_at, $2::bigint), $2::bigint) END
     WHERE id = ANY($1) AND due_at IS NULL AND coalesce(expires_at, 0) <> coalesce($2::bigint, 0)";
const FORGET_OLD: &str = "DELETE FROM imports WHERE id = ANY(ARRAY(
        SELECT id FROM imports WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED))";

#[async_trait]
impl Importing for PostgresStore {
    async fn open_import(&self, new: NewImport) -> Result<(ImportRecord, bool), StoreError> {
        // One name for all tries: what was committed though the answer was lost is not made again.
        let (id, new) = (UploadId(self.core.env.id()), &new);
        self.write(Repeat::Always, move |s, _| open(s, id, new).boxed())
            .await
    }

    async fn import(&self, tenant: TenantId, id: UploadId) -> Result<ImportRecord, StoreError> {
        self.read(move |s, _| one(s, tenant, id).boxed()).await
    }

    async fn due_imports(&self, source: &str, limit: u32) -> Result<Vec<ImportRecord>, StoreError> {
        self.read(move |s, _| due(s, source, limit).boxed()).await
    }

    async fn due_in_turns(
        &self,
        source: &str,
        limit: u32,
    ) -> Result<Vec<ImportRecord>, StoreError> {
        self.read(move |s, _| in_turns(s, source, limit).boxed())
            .await
    }

    async fn imports(&self, filter: &ImportFilter) -> Result<Vec<ImportRecord>, StoreError> {
        self.read(move |s, _| some(s, filter).boxed()).await
    }

    async fn marked(&self, marks: &[String]) -> Result<Vec<(String, ImportRecord)>, StoreError> {
        self.read(move |s, _| marked(s, marks).boxed()).await
    }

    async fn save_import(&self, id: UploadId, change: ImportChange) -> Result<(), StoreError> {
        let change = &change;
        self.write(Repeat::Always, move |s, _| save(s, id, change).boxed())
            .await
    }

    async fn expire_imports(
        &self,
        ids: &[UploadId],
        after: Option<Duration>,
    ) -> Result<(), StoreError> {
        let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        let ids = &ids;
        self.write(Repeat::Always, move |s, _| expire(s, ids, after).boxed())
            .await
    }

    async fn forget_import(&self, id: UploadId) -> Result<(), StoreError> {
        self.write(Repeat::Always, move |s, _| forget(s, id).boxed())
            .await
    }

    async fn forget_old_imports(&self, limit: u32) -> Result<u32, StoreError> {
        self.write(Repeat::Always, move |s, _| forget_old(s, limit).boxed())
            .await
    }
}

async fn open(
    s: &Session,
    id: UploadId,
    new: &NewImport,
) -> Result<(ImportRecord, bool), StoreError> {
    s.phase.may_take_in()?;
    let (mark, digest) = match &new.mark {
        Some(mark) => (Some(&mark.name), Some(mark.digest.0.as_slice())),
        None => (None, None),
    };
    let (due, tenant) = (s.now.after(new.after).0, new.upload.tenant);
    let inserted = s
        .execute(
            INSERT,
            &[
                &id.0,
                &tenant.0,
                &new.source,
                &new.reference,
                &mark,
                &digest,
                &due,
                &s.now.0,
            ],
        )
        .await?;
    if inserted == 0 {
        let sql = format!("{SELECT} WHERE i.id = $1 OR i.mark = $2");
        let row = s.one(&sql, &[&id.0, &mark]).await?;
        let found = record(&row)?;
        if found.id == id {
            return Ok((found, false));
        }
        if new.mark.as_ref().map(|mark| mark.digest) != Some(sha(&row, "digest")?) {
            return Err(StoreError::IdempotencyMismatch);
        }
        return Ok((found, true));
    }
    uploads::open(s, id, &new.upload).await?;
    Ok((one(s, tenant, id).await?, false))
}

async fn one(s: &Session, tenant: TenantId, id: UploadId) -> Result<ImportRecord, StoreError> {
    let sql = format!("{SELECT} WHERE i.id = $1 AND i.tenant = $2");
    let row = s.maybe(&sql, &[&id.0, &tenant.0]).await?;
    let found = row.as_ref().map(record).transpose()?;
    found.ok_or(StoreError::ImportNotFound)
}

async fn due(s: &Session, source: &str, limit: u32) -> Result<Vec<ImportRecord>, StoreError> {
    let sql =
        format!("{SELECT} WHERE i.source = $1 AND i.due_at <= $2 ORDER BY i.due_at, i.id LIMIT $3");
    let rows = s
        .query(&sql, &[&source, &s.now.0, &i64::from(limit)])
        .await?;
    rows.iter().map(record).collect()
}

async fn in_turns(s: &Session, source: &str, limit: u32) -> Result<Vec<ImportRecord>, StoreError> {
    let sql = format!(
        "{SELECT} JOIN (
             SELECT id, due_at, row_number() OVER (PARTITION BY tenant ORDER BY due_at, id) AS turn
             FROM imports WHERE source = $1 AND due_at <= $2 ORDER BY turn, due_at, id LIMIT $3) t ON t.id = i.id
         ORDER BY t.turn, i.due_at, i.id"
    );
    let rows = s
        .query(&sql, &[&source, &s.now.0, &i64::from(limit)])
        .await?;
    rows.iter().map(record).collect()
}

async fn some(s: &Session, filter: &ImportFilter) -> Result<Vec<ImportRecord>, StoreError> {
    let sql = format!(
        "{SELECT} WHERE i.source = $1 AND i.id > $2
         AND (NOT $3 OR (i.due_at IS NULL AND i.code IS NOT NULL)) ORDER BY i.id LIMIT $4"
    );
    let after = filter.after.map_or(Uuid::nil(), |id| id.0);
    let limit = i64::from(filter.limit);
    let rows = s
        .query(&sql, &[&filter.source, &after, &filter.is_failed, &limit])
        .await?;
    rows.iter().map(record).collect()
}

async fn marked(s: &Session, marks: &[String]) -> Result<Vec<(String, ImportRecord)>, StoreError> {
    let rows = s
        .query(&format!("{SELECT} WHERE i.mark = ANY($1)"), &[&marks])
        .await?;
    let found = rows.iter();
    found
        .map(|row| Ok((get(row, "mark")?, record(row)?)))
        .collect()
}

async fn save(s: &Session, id: UploadId, change: &ImportChange) -> Result<(), StoreError> {
    let (due, asset) = match change.next {
        ImportNext::Again(after) => (Some(s.now.after(after).0), None),
        ImportNext::Done(asset) => (None, Some(asset.0)),
        ImportNext::Failed => (None, None),
    };
    let kept = change.kept.filter(|_| due.is_none());
    let until = kept.map(|kept| s.now.after(kept).0);
    let code = change.error.as_ref().map(|(code, _)| code.as_str());
    let message = change.error.as_ref().map(|(_, message)| message);
    s.execute(
        SAVE,
        &[
            &id.0,
            &change.validator,
            &i64::from(change.tries),
            &code,
            &message,
            &asset,
            &due,
            &until,
        ],
    )
    .await?;
    Ok(())
}

async fn expire(s: &Session, ids: &[Uuid], after: Option<Duration>) -> Result<(), StoreError> {
    let until = after.map(|after| s.now.after(after).0);
    s.execute(EXPIRE, &[&ids, &until]).await?;
    Ok(())
}

async fn forget(s: &Session, id: UploadId) -> Result<(), StoreError> {
    s.execute("DELETE FROM imports WHERE id = $1", &[&id.0])
        .await?;
    Ok(())
}

async fn forget_old(s: &Session, limit: u32) -> Result<u32, StoreError> {
    let forgotten = s
        .execute(FORGET_OLD, &[&s.now.0, &i64::from(limit)])
        .await?;
    Ok(u32::try_from(forgotten).unwrap_or(u32::MAX))
}

fn record(row: &Row) -> Result<ImportRecord, StoreError> {
    Ok(ImportRecord {
        id: id(row, "id")?,
        tenant: id(row, "tenant")?,
        source: get(row, "source")?,
        reference: get(row, "reference")?,
        validator: get(row, "validator")?,
        tries: number(row, "tries")?,
        error: error(row, "code", "message")?,
        asset: get::<Option<Uuid>>(row, "became")?.map(AssetId),
        bytes: number(row, "bytes")?,
        length: maybe_number(row, "length")?,
        due_at: maybe_time(row, "due_at")?,
        created_at: time(row, "created_at")?,
    })
}
