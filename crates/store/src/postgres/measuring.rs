//! How much is kept and of what.

use super::rows::{get, named, number};
use super::{PostgresStore, Session};
use crate::{Amount, Aside, Held, Measuring, Shelved, Sort, StoreError};
use async_trait::async_trait;
use futures_util::FutureExt;
use mediaflow_core::{AssetId, BlobId, Kind};
use tokio_postgres::Row;
use uuid::Uuid;

const HELD: &str = "
    SELECT a.kind, 'original' AS sort, a.media_type AS format, count(*) AS files, sum(a.original_bytes)::bigint AS bytes
    FROM assets a WHERE a.id > $1 AND a.id <= $2 AND a.original IS NOT NULL GROUP BY a.kind, a.media_type
    UNION ALL
    SELECT a.kind, 'rendition', r.format, count(*), sum(b.bytes)::bigint
    FROM assets a JOIN renditions r ON r.asset = a.id JOIN blobs b ON b.id = r.blob
    WHERE a.id > $1 AND a.id <= $2 GROUP BY a.kind, r.format
    UNION ALL
    SELECT a.kind, 'stream', t.packaging, sum(t.segments)::bigint + count(*), sum(t.bytes + b.bytes)::bigint
    FROM assets a JOIN tracks t ON t.asset = a.id JOIN blobs b ON b.id = t.blob
    WHERE a.id > $1 AND a.id <= $2 GROUP BY a.kind, t.packaging
    UNION ALL
    SELECT a.kind, 'captions', 'vtt', count(*), sum(b.bytes)::bigint
    FROM assets a JOIN captions c ON c.asset = a.id JOIN blobs b ON b.id = c.blob
    WHERE a.id > $1 AND a.id <= $2 GROUP BY a.kind
    UNION ALL
    SELECT a.kind, 'piece', 'mp4', count(*), sum(b.bytes)::bigint
    FROM assets a JOIN pieces p ON p.asset = a.id JOIN blobs b ON b.id = p.blob
    WHERE a.id > $1 AND a.id <= $2 GROUP BY a.kind";
const SHELVED: &str = "SELECT count(*) - count(condemned_at) AS live_files,
            coalesce(sum(bytes) FILTER (WHERE condemned_at IS NULL), 0)::bigint AS live_bytes,
            count(condemned_at) AS condemned_files,
            coalesce(sum(bytes) FILTER (WHERE condemned_at IS NOT NULL), 0)::bigint AS condemned_bytes
     FROM blobs WHERE id > $1 AND id <= $2";
const UNREFERENCED: &str = "SELECT count(*) AS files, coalesce(sum(b.bytes), 0)::bigint AS bytes
     FROM orphans o JOIN blobs b ON b.id = o.blob
     WHERE o.blob > $1 AND o.blob <= $2 AND b.condemned_at IS NULL
       AND NOT EXISTS (SELECT 1 FROM assets WHERE original = o.blob)
       AND NOT EXISTS (SELECT 1 FROM renditions WHERE blob = o.blob)
       AND NOT EXISTS (SELECT 1 FROM segments WHERE blob = o.blob)
       AND NOT EXISTS (SELECT 1 FROM tracks WHERE blob = o.blob)
       AND NOT EXISTS (SELECT 1 FROM captions WHERE blob = o.blob)
       AND NOT EXISTS (SELECT 1 FROM pieces WHERE blob = o.blob)
       AND NOT EXISTS (SELECT 1 FROM pins WHERE blob = o.blob)";
const ARRIVING: &str = "SELECT count(*) AS files, coalesce(sum(bytes), 0)::bigint AS bytes
     FROM uploads WHERE asset IS NULL AND state <> 'refused'";
const PINNED: &str = "SELECT count(*) AS files, coalesce(sum(b.bytes), 0)::bigint AS bytes
     FROM pins p JOIN blobs b ON b.id = p.blob";
const DATABASE: &str = "SELECT pg_database_size(current_database()) AS bytes";

#[async_trait]
impl Measuring for PostgresStore {
    async fn held(
        &self,
        after: AssetId,
        limit: u32,
    ) -> Result<(Vec<Held>, Option<AssetId>), StoreError> {
        self.read(move |s, _| held(s, after, limit).boxed()).await
    }

    async fn shelved(
        &self,
        after: BlobId,
        limit: u32,
    ) -> Result<(Shelved, Option<BlobId>), StoreError> {
        self.read(move |s, _| shelved(s, after, limit).boxed())
            .await
    }

    async fn unreferenced(
        &self,
        after: BlobId,
        limit: u32,
    ) -> Result<(Amount, Option<BlobId>), StoreError> {
        self.read(move |s, _| unreferenced(s, after, limit).boxed())
            .await
    }

    async fn aside(&self) -> Result<Aside, StoreError> {
        self.read(|s, _| aside(s).boxed()).await
    }
}

async fn held(
    s: &Session,
    after: AssetId,
    limit: u32,
) -> Result<(Vec<Held>, Option<AssetId>), StoreError> {
    let next = end(s, "assets", "id", after.0, limit).await?;
    let rows = s
        .query(HELD, &[&after.0, &next.unwrap_or(Uuid::max())])
        .await?;
    let found = rows.iter().map(|row| {
        Ok(Held {
            kind: named(row, "kind", Kind::parse)?,
            sort: named(row, "sort", Sort::parse)?,
            format: get(row, "format")?,
            amount: amount(row, "files", "bytes")?,
        })
    });
    Ok((found.collect::<Result<_, StoreError>>()?, next.map(AssetId)))
}

async fn shelved(
    s: &Session,
    after: BlobId,
    limit: u32,
) -> Result<(Shelved, Option<BlobId>), StoreError> {
    let next = end(s, "blobs", "id", after.0, limit).await?;
    let until = next.unwrap_or(Uuid::max());
    let row = s.one(SHELVED, &[&after.0, &until]).await?;
    let found = Shelved {
        live: amount(&row, "live_files", "live_bytes")?,
        condemned: amount(&row, "condemned_files", "condemned_bytes")?,
    };
    Ok((found, next.map(BlobId)))
}

async fn unreferenced(
    s: &Session,
    after: BlobId,
    limit: u32,
) -> Result<(Amount, Option<BlobId>), StoreError> {
    let next = end(s, "orphans", "blob", after.0, limit).await?;
    let until = next.unwrap_or(Uuid::max());
    let row = s.one(UNREFERENCED, &[&after.0, &until]).await?;
    Ok((amount(&row, "files", "bytes")?, next.map(BlobId)))
}

async fn aside(s: &Session) -> Result<Aside, StoreError> {
    Ok(Aside {
        arriving: amount(&s.one(ARRIVING, &[]).await?, "files", "bytes")?,
        pinned: amount(&s.one(PINNED, &[]).await?, "files", "bytes")?,
        database_bytes: number(&s.one(DATABASE, &[]).await?, "bytes")?,
    })
}

fn amount(row: &Row, files: &str, bytes: &str) -> Result<Amount, StoreError> {
    Ok(Amount {
        files: number(row, files)?,
        bytes: number(row, bytes)?,
    })
}

/// Where a step of `limit` rows ends, if more rows follow or it is full.
async fn end(
    s: &Session,
    table: &str,
    key: &str,
    after: Uuid,
    limit: u32,
) -> Result<Option<Uuid>, StoreError> {
    let sql = format!(
        "SELECT {key} AS id FROM {table} WHERE {key} > $1 ORDER BY {key} LIMIT 1 OFFSET $2"
    );
    let skipped = i64::from(limit.saturating_sub(1));
    let row = s.maybe(&sql, &[&after, &skipped]).await?;
    row.map(|row| get(&row, "id")).transpose()
}
