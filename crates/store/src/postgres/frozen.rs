//! Recipes and settings as runs froze them, read from their tables where they are not kept yet.

use super::Core;
use super::rows::{get, to_json};
use super::session::{self, Repeat, Session};
use crate::StoreError;
use crate::frozen::Kept;
use futures_util::FutureExt;
use mediaflow_core::{Recipe, RunSettings, Sha256, TenantId};
use std::sync::{Arc, PoisonError};

impl Session {
    pub(super) async fn recipe(&self, hash: Sha256) -> Result<Arc<Recipe>, StoreError> {
        let sql = "SELECT json FROM recipes WHERE hash = $1";
        self.find(&self.core.frozen.recipes, sql, hash).await
    }

    pub(super) async fn settings(&self, hash: Sha256) -> Result<Arc<RunSettings>, StoreError> {
        let sql = "SELECT json FROM settings WHERE hash = $1";
        self.find(&self.core.frozen.settings, sql, hash).await
    }

    async fn find<T: serde::de::DeserializeOwned>(
        &self,
        kept: &Kept<T>,
        sql: &str,
        hash: Sha256,
    ) -> Result<Arc<T>, StoreError> {
        if let Some(known) = kept.get(hash) {
            return Ok(known);
        }
        let row = self.one(sql, &[&&hash.0[..]]).await?;
        kept.keep(hash, get(&row, "json")?)
    }
}

const RECIPE: &str = "INSERT INTO recipes VALUES ($1, $2) ON CONFLICT DO NOTHING";
const SETTINGS: &str = "INSERT INTO settings VALUES ($1, $2) ON CONFLICT DO NOTHING";

/// Stores a recipe and settings, unless equal ones are there; answers their digests. It has no part in a transaction:
/// what no run refers to does no harm, and what is known to be there need not be written again.
pub(super) async fn freeze(
    store: &Arc<Core>,
    recipe: &Recipe,
    settings: &RunSettings,
) -> Result<(Sha256, Sha256), StoreError> {
    let recipe_hash = recipe.hash();
    let settings_json = to_json(settings);
    let settings_hash = Sha256::of(settings_json.as_bytes());
    let frozen = &store.frozen;
    if frozen.recipes.get(recipe_hash).is_none() {
        let json = to_json(recipe);
        put(store, RECIPE, recipe_hash, &json).await?;
        frozen.recipes.keep(recipe_hash, &json)?;
    }
    if frozen.settings.get(settings_hash).is_none() {
        put(store, SETTINGS, settings_hash, &settings_json).await?;
        frozen.settings.keep(settings_hash, &settings_json)?;
    }
    Ok((recipe_hash, settings_hash))
}

/// Makes sure that the tenant has a row, whose virtual time its tasks are charged to.
pub(super) async fn make_tenant(store: &Arc<Core>, tenant: TenantId) -> Result<(), StoreError> {
    let is_known = {
        let known = store.tenants.lock();
        known
            .unwrap_or_else(PoisonError::into_inner)
            .contains(&tenant)
    };
    if is_known {
        return Ok(());
    }
    let sql = "INSERT INTO tenants (id) VALUES ($1) ON CONFLICT DO NOTHING";
    session::write(store, Repeat::Always, move |s, _| {
        async move { s.execute(sql, &[&tenant.0]).await.map(drop) }.boxed()
    })
    .await?;
    let known = store.tenants.lock();
    known.unwrap_or_else(PoisonError::into_inner).insert(tenant);
    Ok(())
}

async fn put(
    store: &Arc<Core>,
    sql: &'static str,
    hash: Sha256,
    json: &str,
) -> Result<(), StoreError> {
    session::write(store, Repeat::Always, move |s, _| {
        async move {
            s.execute(sql, &[&&hash.0[..], &json]).await?;
            Ok(())
        }
        .boxed()
    })
    .await
}
