//! Changing an asset after it was accepted.

use crate::{Engine, EngineError};
use mediaflow_core::{AssetId, AssetState, ErrorCode, TenantId};
use mediaflow_store::{AssetPatch, AssetRecord, Generation};

impl Engine {
    /// Changes what the user says. A new focus begins a new generation, because crops follow it.
    ///
    /// # Errors
    /// Limits, an asset that is gone.
    pub async fn update(
        &self,
        tenant: TenantId,
        asset: AssetId,
        patch: AssetPatch,
    ) -> Result<AssetRecord, EngineError> {
        let before = self.parts.store.asset(tenant, asset).await?;
        let mut options = before.options.clone();
        if let Some(title) = &patch.title {
            options.title.clone_from(title);
        }
        if let Some(tags) = &patch.tags {
            options.tags.clone_from(tags);
        }
        if let Some(metadata) = &patch.metadata {
            options.metadata.clone_from(metadata);
        }
        options.focus = patch.focus.or(options.focus);
        self.check_options(&options)?;
        let refocused = options.focus != before.options.focus;
        let after = self.parts.store.update(tenant, asset, patch).await?;
        let is_over = matches!(after.state, AssetState::Rejected | AssetState::Deleted);
        if !refocused || is_over {
            return Ok(after);
        }
        self.reprocess(tenant, asset, None).await?;
        Ok(self.parts.store.asset(tenant, asset).await?)
    }

    /// Begins the next generation with the recipe (the asset's own, unless another is named) and the
    /// settings as they are now. Readers keep the old one until the new one is published.
    ///
    /// # Errors
    /// Rejected and deleted assets, an unknown recipe.
    pub async fn reprocess(
        &self,
        tenant: TenantId,
        asset: AssetId,
        recipe: Option<&str>,
    ) -> Result<u32, EngineError> {
        let record = self.parts.store.asset(tenant, asset).await?;
        let name = recipe.unwrap_or(&record.run.recipe.0);
        let recipe = self
            .parts
            .recipes
            .find(Some(name), record.kind)
            .ok_or_else(|| {
                EngineError::new(
                    ErrorCode::RecipeUnknown,
                    format!("there is no recipe `{name}` for {}s", record.kind.as_str()),
                )
            })?;
        let settings = self.settings(record.options.watermark);
        Ok(self
            .parts
            .store
            .reprocess(tenant, asset, Generation { recipe, settings })
            .await?)
    }
}
