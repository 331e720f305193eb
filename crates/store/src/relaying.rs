//! Verbs for telling systems outside what happened.

use crate::{EventRecord, PurgeLoad, StoreError};
use async_trait::async_trait;
use mediaflow_core::Timestamp;

/// What systems outside have yet to be told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Events after the last one that was told.
    pub events: u64,
    /// When the first of them happened.
    pub oldest_event_at: Option<Timestamp>,
    /// What caches have yet to forget.
    pub purges: PurgeLoad,
}

/// How far a history was told is remembered by name, so that whoever goes on begins where another one ended.
#[async_trait]
pub trait Relaying: Send + Sync {
    /// The events of all tenants that were not told yet, oldest first: those of one asset in its own order, none left out.
    async fn untold(&self, outlet: &str, limit: u32) -> Result<Vec<EventRecord>, StoreError>;

    /// What was not told to this outlet yet, and what caches have yet to forget.
    async fn backlog(&self, outlet: &str) -> Result<Backlog, StoreError>;

    /// Everything up to this position was told. It never goes back.
    async fn told(&self, outlet: &str, position: u64) -> Result<(), StoreError>;
}
