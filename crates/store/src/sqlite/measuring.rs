//! How much is kept and of what.

use super::SqliteStore;
use super::blobs::IS_REFERENCED;
use super::rows::{id, named};
use crate::{Amount, Aside, Held, Measuring, Shelved, Sort, StoreError};
use async_trait::async_trait;
use mediaflow_core::{AssetId, BlobId, Kind};
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

/// Children of a range of assets are found by their keys, which begin with the asset.
pub(super) const HELD: &str = "
    SELECT a.kind, 'original' AS sort, a.media_type AS format, count(*) AS files, sum(a.original_bytes) AS bytes
    FROM assets a WHERE a.id > ?1 AND a.id <= ?2 AND +a.original IS NOT NULL GROUP BY a.kind, a.media_type
    UNION ALL
    SELECT a.kind, 'rendition', r.format, count(*), sum(b.bytes)
    FROM assets a CROSS JOIN renditions r ON r.asset = a.id CROSS JOIN blobs b ON b.id = r.blob
    WHERE a.id > ?1 AND a.id <= ?2 GROUP BY a.kind, r.format
    UNION ALL
    SELECT a.kind, 'stream', t.packaging, sum(t.segments) + count(*), sum(t.bytes + b.bytes)
    FROM assets a CROSS JOIN tracks t ON t.asset = a.id CROSS JOIN blobs b ON b.id = t.blob
    WHERE a.id > ?1 AND a.id <= ?2 GROUP BY a.kind, t.packaging
    UNION ALL
    SELECT a.kind, 'captions', 'vtt', count(*), sum(b.bytes)
    FROM assets a CROSS JOIN captions c ON c.asset = a.id CROSS JOIN blobs b ON b.id = c.blob
    WHERE a.id > ?1 AND a.id <= ?2 GROUP BY a.kind
    UNION ALL
    SELECT a.kind, 'piece', 'mp4', count(*), sum(b.bytes)
    FROM assets a CROSS JOIN pieces p ON p.asset = a.id CROSS JOIN blobs b ON b.id = p.blob
    WHERE a.id > ?1 AND a.id <= ?2 GROUP BY a.kind";
pub(super) const SHELVED: &str =
    "SELECT count(*) FILTER (WHERE condemned_at IS NULL), coalesce(sum(bytes) FILTER (WHERE condemned_at IS NULL), 0),
            count(condemned_at), coalesce(sum(bytes) FILTER (WHERE condemned_at IS NOT NULL), 0)
     FROM blobs WHERE id > ?1 AND id <= ?2";
const ARRIVING: &str =
    "SELECT count(*), coalesce(sum(bytes), 0) FROM uploads INDEXED BY uploads_open
     WHERE asset IS NULL AND state <> 'refused'";
const PINNED: &str =
    "SELECT count(*), coalesce(sum(b.bytes), 0) FROM pins p JOIN blobs b ON b.id = p.blob";
const DATABASE: &str = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()";

pub(super) fn unreferenced() -> String {
    format!(
        "SELECT count(*), coalesce(sum(b.bytes), 0) FROM orphans o CROSS JOIN blobs b ON b.id = o.blob
         WHERE o.blob > ?1 AND o.blob <= ?2 AND b.condemned_at IS NULL AND NOT ({})",
        IS_REFERENCED.replace("?1", "o.blob")
    )
}

#[async_trait]
impl Measuring for SqliteStore {
    async fn held(
        &self,
        after: AssetId,
        limit: u32,
    ) -> Result<(Vec<Held>, Option<AssetId>), StoreError> {
        self.read(move |conn, _| {
            let next = end(conn, "assets", "id", after.0, limit)?;
            let until = next.unwrap_or(Uuid::max());
            let mut statement = conn.prepare_cached(HELD)?;
            let found = statement.query_map([after.as_bytes(), until.as_bytes()], |row| {
                Ok(Held {
                    kind: named(row, "kind", Kind::parse)?,
                    sort: named(row, "sort", Sort::parse)?,
                    format: row.get("format")?,
                    amount: Amount {
                        files: row.get("files")?,
                        bytes: row.get("bytes")?,
                    },
                })
            })?;
            Ok((found.collect::<Result<_, _>>()?, next.map(AssetId)))
        })
        .await
    }

    async fn shelved(
        &self,
        after: BlobId,
        limit: u32,
    ) -> Result<(Shelved, Option<BlobId>), StoreError> {
        self.read(move |conn, _| {
            let next = end(conn, "blobs", "id", after.0, limit)?;
            let until = next.unwrap_or(Uuid::max());
            let mut statement = conn.prepare_cached(SHELVED)?;
            let found = statement.query_row([after.as_bytes(), until.as_bytes()], |row| {
                Ok(Shelved {
                    live: amount(row, 0)?,
                    condemned: amount(row, 2)?,
                })
            })?;
            Ok((found, next.map(BlobId)))
        })
        .await
    }

    async fn unreferenced(
        &self,
        after: BlobId,
        limit: u32,
    ) -> Result<(Amount, Option<BlobId>), StoreError> {
        self.read(move |conn, _| {
            let next = end(conn, "orphans", "blob", after.0, limit)?;
            let until = next.unwrap_or(Uuid::max());
            let mut statement = conn.prepare_cached(&unreferenced())?;
            let found =
                statement.query_row([after.as_bytes(), until.as_bytes()], |row| amount(row, 0))?;
            Ok((found, next.map(BlobId)))
        })
        .await
    }

    async fn aside(&self) -> Result<Aside, StoreError> {
        self.read(|conn, _| {
            let of = |sql: &str| conn.query_row(sql, [], |row| amount(row, 0));
            Ok(Aside {
                arriving: of(ARRIVING)?,
                pinned: of(PINNED)?,
                database_bytes: conn.query_row(DATABASE, [], |row| row.get(0))?,
            })
        })
        .await
    }
}

/// Two columns, of which the first has this place.
fn amount(row: &Row<'_>, first: usize) -> rusqlite::Result<Amount> {
    Ok(Amount {
        files: row.get(first)?,
        bytes: row.get(first + 1)?,
    })
}

/// Where a step of `limit` rows ends, if more rows follow or it is full.
fn end(
    conn: &Connection,
    table: &str,
    key: &str,
    after: Uuid,
    limit: u32,
) -> Result<Option<Uuid>, StoreError> {
    let sql =
        format!("SELECT {key} FROM {table} WHERE {key} > ?1 ORDER BY {key} LIMIT 1 OFFSET ?2");
    let mut statement = conn.prepare_cached(&sql)?;
    let found = statement.query_row(
        params![&after.as_bytes()[..], limit.saturating_sub(1)],
        |row| id(row, 0),
    );
    Ok(found.optional()?)
}
