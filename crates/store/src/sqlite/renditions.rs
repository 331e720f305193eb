//! Rendition rows: recorded, swapped and withdrawn, and the paths under which caches know them.

use super::blobs::let_go;
use super::rows::{named, sha, to_json};
use super::writer::Session;
use super::{captions, pieces, streams};
use crate::paths::{Paths, add_rendition};
use crate::{RenditionRecord, StoreError};
use mediaflow_core::AssetId;
use mediaflow_core::operation::Format;
use rusqlite::{Row, params};

/// Which of an asset's renditions.
#[derive(Clone, Copy)]
pub(super) enum Which {
    /// All of them.
    All,
    /// Those of generations before this one.
    Before(u32),
}

/// The rendition in a row of `renditions` joined with its blob.
pub(super) fn record(row: &Row<'_>) -> rusqlite::Result<RenditionRecord> {
    Ok(RenditionRecord {
        generation: row.get("generation")?,
        profile: row.get("profile")?,
        format: named(row, "format", Format::parse)?,
        dimensions: dimensions(row)?,
        animated: row.get("animated")?,
        derivation: sha(row, "derivation")?,
        bytes: row.get("blob_bytes")?,
        sha256: sha(row, "blob_sha256")?,
    })
}

/// Width and height in a row; zeros where there is nothing to see.
pub(super) fn dimensions(row: &Row<'_>) -> rusqlite::Result<Option<(u32, u32)>> {
    let found: (u32, u32) = (row.get("width")?, row.get("height")?);
    Ok(Some(found).filter(|found| *found != (0, 0)))
}

/// Removes rows and answers the paths of those that readers may have seen: the published
/// generation's, and the first one's, which shows before it is published.
pub(super) fn withdraw(
    s: &Session<'_>,
    asset: AssetId,
    published: u32,
    which: Which,
) -> Result<Paths, StoreError> {
    let end = match which {
        Which::All => u32::MAX,
        Which::Before(generation) => generation,
    };
    let paths = seen(s, asset, published, end)?;
    let_go(
        s,
        "DELETE FROM renditions WHERE asset = ?1 AND generation < ?2 RETURNING blob",
        params![asset.as_bytes(), end],
    )?;
    streams::withdraw(s, asset, end)?;
    captions::withdraw(s, asset, end)?;
    pieces::withdraw(s, asset, end)?;
    Ok(paths)
}

/// Has caches forget all that readers may have seen; the rows stay.
pub(super) fn hide(s: &Session<'_>, asset: AssetId, published: u32) -> Result<(), StoreError> {
    let paths = seen(s, asset, published, u32::MAX)?;
    purge(s, asset, &paths)
}

/// The paths of what readers may have seen, of generations before `end`.
fn seen(s: &Session<'_>, asset: AssetId, published: u32, end: u32) -> Result<Paths, StoreError> {
    let mut statement = s.conn.prepare_cached(
        "SELECT r.profile, r.format, b.sha256 FROM renditions r JOIN blobs b ON b.id = r.blob
         WHERE r.asset = ?1 AND r.generation < ?2 AND r.generation IN (1, ?3)",
    )?;
    let mut rows = statement.query(params![asset.as_bytes(), end, published])?;
    let mut paths = Paths::new();
    while let Some(row) = rows.next()? {
        let profile: String = row.get("profile")?;
        let format = named(row, "format", Format::parse)?;
        add_rendition(&mut paths, asset, &profile, format, sha(row, "sha256")?);
    }
    streams::add_paths(s, asset, (1, published), end, &mut paths)?;
    captions::add_paths(s, asset, (1, published), end, &mut paths)?;
    Ok(paths)
}

/// Has caches forget these paths, once this is committed.
pub(super) fn purge(s: &Session<'_>, asset: AssetId, paths: &Paths) -> Result<(), StoreError> {
    if paths.is_empty() {
        return Ok(());
    }
    s.conn
        .prepare_cached("INSERT INTO purges (asset, paths, due_at) VALUES (?1, ?2, ?3)")?
        .execute(params![asset.as_bytes(), to_json(paths), s.now.0])?;
    Ok(())
}
