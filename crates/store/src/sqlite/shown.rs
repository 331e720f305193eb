//! Which generation of an asset readers see: the one question that renditions and streams both ask.

use super::rows::{named, sha};
use crate::StoreError;
use mediaflow_core::{AssetId, AssetState, Sha256, Visibility};
use rusqlite::Connection;

/// A generation that readers see.
pub(super) struct Shown {
    pub(super) generation: u32,
    pub(super) visibility: Visibility,
    pub(super) published: bool,
    pub(super) recipe: Sha256,
}

/// The published generation, or the first one while it shows; none of a rejected or deleted asset.
pub(super) fn shown(conn: &Connection, asset: AssetId) -> Result<Option<Shown>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT a.state, a.published, a.visibility, r.generation, r.showing, r.recipe
         FROM assets a JOIN runs r
           ON r.asset = a.id AND r.generation = iif(a.published > 0, a.published, a.generation)
         WHERE a.id = ?1",
    )?;
    let mut rows = statement.query([asset.as_bytes()])?;
    let row = rows.next()?.ok_or(StoreError::AssetNotFound)?;
    let state = named(row, "state", AssetState::parse)?;
    let published = row.get::<_, u32>("published")? > 0;
    let shows = published || row.get("showing")?;
    if !shows || matches!(state, AssetState::Rejected | AssetState::Deleted) {
        return Ok(None);
    }
    Ok(Some(Shown {
        generation: row.get("generation")?,
        visibility: named(row, "visibility", Visibility::parse)?,
        published,
        recipe: sha(row, "recipe")?,
    }))
}
