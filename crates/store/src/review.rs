//! Verbs of people: decide, replay, reprocess.

use crate::StoreError;
use async_trait::async_trait;
use mediaflow_core::{AssetId, Decision, Recipe, RunSettings, TaskId, TenantId, Timestamp};
use std::sync::Arc;

/// A new run to begin.
#[derive(Debug, Clone)]
pub struct Generation {
    /// The recipe, as it is now.
    pub recipe: Arc<Recipe>,
    /// The settings, as they are now.
    pub settings: RunSettings,
}

/// Which dead tasks to replay.
#[derive(Debug, Clone, Default)]
pub struct ReplayFilter {
    /// Whose last error has this code.
    pub code: Option<String>,
    /// That died at or after.
    pub since: Option<Timestamp>,
    /// Of this operation.
    pub operation: Option<String>,
}

/// Verbs of people.
#[async_trait]
pub trait Review: Send + Sync {
    /// Decides about an asset in review.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when no decision is awaited (any more).
    async fn decide(
        &self,
        tenant: TenantId,
        asset: AssetId,
        decision: Decision,
        reason: Option<&str>,
        by: &str,
    ) -> Result<(), StoreError>;

    /// Replays a dead task of the newest run. Repeating it changes nothing. Answers whether it did anything.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] for tasks of older runs and of rejected or deleted assets.
    async fn replay(&self, tenant: TenantId, task: TaskId) -> Result<bool, StoreError>;

    /// Replays every dead task of newest runs that matches, up to `limit`; answers how many.
    async fn replay_all(
        &self,
        tenant: TenantId,
        filter: &ReplayFilter,
        limit: u32,
    ) -> Result<u32, StoreError>;

    /// Begins the next generation, cancelling an unfinished run; answers its number.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] for rejected and deleted assets.
    async fn reprocess(
        &self,
        tenant: TenantId,
        asset: AssetId,
        generation: Generation,
    ) -> Result<u32, StoreError>;
}
