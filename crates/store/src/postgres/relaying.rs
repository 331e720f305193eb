//! What was told outside, and what was not yet.

use super::events::event;
use super::health::{PURGES_WAITING, purge_load};
use super::rows::{clamp, maybe_time, number};
use super::{PostgresStore, Repeat, Session};
use crate::{Backlog, COUNTED_MAX, EventRecord, Relaying, StoreError};
use async_trait::async_trait;
use futures_util::FutureExt;

/// Over all tenants: the index that leads has the tenant first, so each is asked for what it has. This is asked all the time, so nobody
/// is where nothing is new.
pub(super) const UNTOLD: &str = "SELECT e.*, a.correlation_id
     FROM (SELECT position FROM (SELECT coalesce((SELECT position FROM outlets WHERE name = $1), 0) AS position) told
           WHERE position < (SELECT position FROM relay)) o
     CROSS JOIN tenants t
     CROSS JOIN LATERAL (
        SELECT * FROM events WHERE tenant = t.id AND position > o.position ORDER BY position LIMIT $2) e
     JOIN assets a ON a.id = e.asset ORDER BY e.position LIMIT $2";
const TOLD: &str = "INSERT INTO outlets (name, position) VALUES ($1, $2)
     ON CONFLICT (name) DO UPDATE SET position = greatest(outlets.position, excluded.position)";

/// Positions are given without gaps. What was pruned before there was an outlet is nobody's to tell.
const WAITING: &str = "WITH told AS MATERIALIZED (
        SELECT greatest(pruned, coalesce((SELECT position FROM outlets WHERE name = $1), 0)) AS position FROM history)
     SELECT greatest(0, (SELECT position FROM relay) - told.position)::bigint AS events,
            (SELECT min(f.at) FROM tenants t CROSS JOIN LATERAL (
                SELECT at FROM events e WHERE e.tenant = t.id AND e.position > told.position
                ORDER BY e.position LIMIT 1) f) AS oldest
     FROM told";

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

    async fn backlog(&self, outlet: &str) -> Result<Backlog, StoreError> {
        self.read(move |s, _| {
            async move {
                let events = s.one(WAITING, &[&outlet]).await?;
                let purges = s.one(PURGES_WAITING, &[&i64::from(COUNTED_MAX)]).await?;
                Ok(Backlog {
                    events: number(&events, "events")?,
                    oldest_event_at: maybe_time(&events, "oldest")?,
                    purges: purge_load(&purges)?,
                })
            }
            .boxed()
        })
        .await
    }

    async fn told(&self, outlet: &str, position: u64) -> Result<(), StoreError> {
        self.write(Repeat::Always, move |s, _| {
            tell(s, outlet, position).boxed()
        })
        .await
    }
}

/// Everything up to this position was told.
pub(super) async fn tell(s: &Session, outlet: &str, position: u64) -> Result<(), StoreError> {
    let told = s.execute(TOLD, &[&outlet, &clamp(position)]).await;
    told.map(drop)
}
