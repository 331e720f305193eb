//! Which generation of an asset readers see: the one question that renditions, streams and captions all ask. It is a part of their
//! statements, because between two of them another generation may be published and this one's rows be gone.

use super::rows::{get, named, number, sha};
use crate::StoreError;
use mediaflow_core::{Sha256, Visibility};
use tokio_postgres::Row;

/// The beginning of a statement in which `s` is what shows of asset `$1`: one row of it if there is such an asset.
macro_rules! of_shown {
    ($($rest:tt)+) => {
        concat!(
            "WITH s AS (
                SELECT a.id AS asset, a.visibility, r.generation, r.recipe, a.published > 0 AS published,
                       (a.published > 0 OR r.showing) AND a.state NOT IN ('rejected', 'deleted') AS shows
                FROM assets a JOIN runs r ON r.asset = a.id
                     AND r.generation = CASE WHEN a.published > 0 THEN a.published ELSE a.generation END
                WHERE a.id = $1) ",
            $($rest)+
        )
    };
}
pub(super) use of_shown;

/// A generation that readers see.
pub(super) struct Shown {
    pub(super) generation: u32,
    pub(super) visibility: Visibility,
    pub(super) published: bool,
    pub(super) recipe: Sha256,
}

/// The published generation, or the first one while it shows; none of a rejected or deleted asset.
pub(super) fn shown(rows: &[Row]) -> Result<Option<Shown>, StoreError> {
    let row = rows.first().ok_or(StoreError::AssetNotFound)?;
    if !get::<bool>(row, "shows")? {
        return Ok(None);
    }
    Ok(Some(Shown {
        generation: number(row, "generation")?,
        visibility: named(row, "visibility", Visibility::parse)?,
        published: get(row, "published")?,
        recipe: sha(row, "recipe")?,
    }))
}
