//! Verbs for telling systems outside what happened.

use crate::{EventRecord, StoreError};
use async_trait::async_trait;

/// How far a history was told is remembered by name, so that whoever goes on begins where another one ended.
#[async_trait]
pub trait Relaying: Send + Sync {
    /// The events of all tenants that were not told yet, oldest first: those of one asset in its own order, none left out.
    async fn untold(&self, outlet: &str, limit: u32) -> Result<Vec<EventRecord>, StoreError>;

    /// Everything up to this position was told. It never goes back.
    async fn told(&self, outlet: &str, position: u64) -> Result<(), StoreError>;
}
