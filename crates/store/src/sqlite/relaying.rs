//! What was told outside, and what was not yet.

use super::SqliteStore;
use super::events::event;
use crate::{EventRecord, Relaying, StoreError};
use async_trait::async_trait;
use rusqlite::params;

/// Over all tenants: rows are in the order of positions.
pub(super) const UNTOLD: &str =
    "SELECT e.*, a.correlation_id FROM events e CROSS JOIN assets a ON a.id = e.asset
     WHERE e.position > coalesce((SELECT position FROM outlets WHERE name = ?1), 0)
     ORDER BY e.position LIMIT ?2";
const TOLD: &str = "INSERT INTO outlets (name, position) VALUES (?1, ?2)
     ON CONFLICT (name) DO UPDATE SET position = max(position, excluded.position)";

#[async_trait]
impl Relaying for SqliteStore {
    async fn untold(&self, outlet: &str, limit: u32) -> Result<Vec<EventRecord>, StoreError> {
        let outlet = outlet.to_owned();
        self.read(move |conn, _| {
            let mut statement = conn.prepare_cached(UNTOLD)?;
            let found = statement.query_map(params![outlet, limit], event)?;
            Ok(found.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn told(&self, outlet: &str, position: u64) -> Result<(), StoreError> {
        let outlet = outlet.to_owned();
        self.write(move |s| {
            let mut statement = s.conn.prepare_cached(TOLD)?;
            statement.execute(params![outlet, position])?;
            Ok(())
        })
        .await
    }
}
