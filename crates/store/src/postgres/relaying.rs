//! What was told outside, and what was not yet.

use super::events::event;
use super::rows::clamp;
use super::{PostgresStore, Repeat};
use crate::{EventRecord, Relaying, StoreError};
use async_trait::async_trait;
use futures_util::FutureExt;

/// Over all tenants: the index that leads has the tenant first, so each is asked for what it has.
const UNTOLD: &str = "SELECT e.*, a.correlation_id
     FROM (SELECT coalesce((SELECT position FROM outlets WHERE name = $1), 0) AS position) o
     CROSS JOIN tenants t
     CROSS JOIN LATERAL (
        SELECT * FROM events WHERE tenant = t.id AND position > o.position ORDER BY position LIMIT $2) e
     JOIN assets a ON a.id = e.asset ORDER BY e.position LIMIT $2";
const TOLD: &str = "INSERT INTO outlets (name, position) VALUES ($1, $2)
     ON CONFLICT (name) DO UPDATE SET position = greatest(outlets.position, excluded.position)";

#[async_trait]
impl Relaying for PostgresStore {
    async fn untold(&self, outlet: &str, limit: u32) -> Result<Vec<EventRecord>, StoreError> {
        self.read(move |s, _| {
            async move {
                let rows = s.query(UNTOLD, &[&outlet, &i64::from(limit)]).await?;
                rows.iter().map(event).collect()
            }
            .boxed()
        })
        .await
    }

    async fn told(&self, outlet: &str, position: u64) -> Result<(), StoreError> {
        self.write(Repeat::Always, move |s, _| {
            async move {
                let told = s.execute(TOLD, &[&outlet, &clamp(position)]).await;
                told.map(drop)
            }
            .boxed()
        })
        .await
    }
}
