//! Recipes and settings as runs froze them, read from their tables where they are not kept yet.

use super::Session;
use super::rows::get;
use crate::StoreError;
use crate::frozen::Kept;
use mediaflow_core::{Recipe, RunSettings, Sha256};
use std::sync::Arc;

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
