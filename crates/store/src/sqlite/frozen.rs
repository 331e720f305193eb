//! Recipes and settings as runs froze them: stored once by digest, read once per process.

use super::rows::to_json;
use crate::StoreError;
use mediaflow_core::{Recipe, RunSettings, Sha256};
use rusqlite::{Connection, params};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// More distinct recipes than any installation has at work; beyond it everything is read anew.
const KEPT_MAX: usize = 256;

/// What was read already. A digest never changes its meaning, so nothing here goes stale.
#[derive(Default)]
pub(super) struct Frozen {
    recipes: Kept<Recipe>,
    settings: Kept<RunSettings>,
}

struct Kept<T>(Mutex<HashMap<Sha256, Arc<T>>>);

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: serde::de::DeserializeOwned> Kept<T> {
    fn get(&self, conn: &Connection, sql: &str, hash: Sha256) -> Result<Arc<T>, StoreError> {
        let known = self.lock().get(&hash).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let json: String = conn
            .prepare_cached(sql)?
            .query_row([&hash.0], |row| row.get(0))?;
        let value =
            Arc::new(serde_json::from_str(&json).map_err(|e| StoreError::Database(Box::new(e)))?);
        let mut map = self.lock();
        if map.len() >= KEPT_MAX {
            map.clear();
        }
        map.insert(hash, Arc::clone(&value));
        Ok(value)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Sha256, Arc<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Frozen {
    pub(super) fn recipe(
        &self,
        conn: &Connection,
        hash: Sha256,
    ) -> Result<Arc<Recipe>, StoreError> {
        self.recipes
            .get(conn, "SELECT json FROM recipes WHERE hash = ?1", hash)
    }

    pub(super) fn settings(
        &self,
        conn: &Connection,
        hash: Sha256,
    ) -> Result<Arc<RunSettings>, StoreError> {
        self.settings
            .get(conn, "SELECT json FROM settings WHERE hash = ?1", hash)
    }
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
