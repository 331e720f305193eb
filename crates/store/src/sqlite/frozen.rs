//! Recipes and settings as runs froze them, read from their tables where they are not kept yet.

use super::rows::to_json;
use crate::StoreError;
use crate::frozen::{Frozen, Kept};
use mediaflow_core::{Recipe, RunSettings, Sha256};
use rusqlite::{Connection, params};
use std::sync::Arc;

impl Frozen {
    pub(super) fn recipe(
        &self,
        conn: &Connection,
        hash: Sha256,
    ) -> Result<Arc<Recipe>, StoreError> {
        let sql = "SELECT json FROM recipes WHERE hash = ?1";
        find(&self.recipes, conn, sql, hash)
    }

    pub(super) fn settings(
        &self,
        conn: &Connection,
        hash: Sha256,
    ) -> Result<Arc<RunSettings>, StoreError> {
        let sql = "SELECT json FROM settings WHERE hash = ?1";
        find(&self.settings, conn, sql, hash)
    }
}

fn find<T: serde::de::DeserializeOwned>(
    kept: &Kept<T>,
    conn: &Connection,
    sql: &str,
    hash: Sha256,
) -> Result<Arc<T>, StoreError> {
    if let Some(known) = kept.get(hash) {
        return Ok(known);
    }
    let json: String = conn
        .prepare_cached(sql)?
        .query_row([&hash.0], |row| row.get(0))?;
    kept.keep(hash, &json)
}

/// Stores a recipe and settings, unless equal ones are there; answers their digests.
pub(super) fn freeze(
    conn: &Connection,
    recipe: &Recipe,
    settings: &RunSettings,
) -> Result<(Sha256, Sha256), StoreError> {
    let recipe_json = to_json(recipe);
    let recipe_hash = recipe.hash();
    conn.prepare_cached("INSERT OR IGNORE INTO recipes VALUES (?1, ?2)")?
        .execute(params![&recipe_hash.0, recipe_json])?;
    let settings_json = to_json(settings);
    let settings_hash = Sha256::of(settings_json.as_bytes());
    conn.prepare_cached("INSERT OR IGNORE INTO settings VALUES (?1, ?2)")?
        .execute(params![&settings_hash.0, settings_json])?;
    Ok((recipe_hash, settings_hash))
}
