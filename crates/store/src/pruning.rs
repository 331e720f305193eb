//! Verbs for what would otherwise grow for ever.

use crate::StoreError;
use async_trait::async_trait;
use mediaflow_core::AssetId;
use std::time::Duration;

/// How far a walk over all assets came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Walked {
    /// Where it goes on; none at the end.
    pub next: Option<AssetId>,
    /// Tasks that are gone, with their attempts.
    pub tasks: u64,
}

/// What a history promises after it was pruned: nothing is missing after the first event that it still has, neither in an asset's
/// numbers nor in everybody's positions.
#[async_trait]
pub trait Pruning: Send + Sync {
    /// Makes room for the events of the time to come, where they are kept in parts that can go as a whole; a part holds those of `span`, which
    /// is whole days. Answers whether there may be more to do.
    async fn extend(&self, span: Duration) -> Result<bool, StoreError>;

    /// Forgets events that are older than `age`, some at a time: neither what one of these outlets was not told, nor the newest of
    /// all. Where events are kept in parts they go when the last of their part is so old. Changes of switches go with them, but for the
    /// last of each. Answers whether there may be more.
    async fn prune_events(&self, age: Duration, outlets: &[&str]) -> Result<bool, StoreError>;

    /// Forgets tasks and attempts that ended longer than `age` ago of up to `limit` assets after `after`: those of generations that
    /// were replaced by newer ones and are not published, and those of deleted assets. Runs of replaced generations go with them.
    async fn prune_tasks(
        &self,
        age: Duration,
        after: Option<AssetId>,
        limit: u32,
    ) -> Result<Walked, StoreError>;
}
