//! What was told outside, and what was not yet.

use super::SqliteStore;
use super::events::event;
use super::rows::maybe_time;
use super::upkeep;
use crate::{Backlog, EventRecord, Relaying, StoreError};
use async_trait::async_trait;
use rusqlite::{Connection, params};

/// Over all tenants: rows are in the order of positions.
pub(super) const UNTOLD: &str =
    "SELECT e.*, a.correlation_id FROM events e CROSS JOIN assets a ON a.id = e.asset
     WHERE e.position > coalesce((SELECT position FROM outlets WHERE name = ?1), 0)
     ORDER BY e.position LIMIT ?2";
const TOLD: &str = "INSERT INTO outlets (name, position) VALUES (?1, ?2)
     ON CONFLICT (name) DO UPDATE SET position = max(position, excluded.position)";

/// There is one writer, so no position is left out. What was pruned before there was an outlet is nobody's to tell.
const WAITING: &str = "WITH told AS (
        SELECT max(pruned, coalesce((SELECT position FROM outlets WHERE name = ?1), 0)) AS position FROM history)
     SELECT max(0, coalesce((SELECT max(position) FROM events), 0) - told.position) AS events,
            (SELECT at FROM events e WHERE e.position > told.position ORDER BY e.position LIMIT 1) AS oldest
     FROM told";

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

    async fn backlog(&self, outlet: &str) -> Result<Backlog, StoreError> {
        let outlet = outlet.to_owned();
        self.read(move |conn, _| {
            let mut events = conn.prepare_cached(WAITING)?;
            let (events, oldest_event_at) = events.query_row([outlet], |row| {
                Ok((row.get("events")?, maybe_time(row, "oldest")?))
            })?;
            Ok(Backlog {
                events,
                oldest_event_at,
                purges: upkeep::purge_load(conn)?,
            })
        })
        .await
    }

    async fn told(&self, outlet: &str, position: u64) -> Result<(), StoreError> {
        let outlet = outlet.to_owned();
        self.write(move |s| tell(s.conn, &outlet, position)).await
    }
}

/// Everything up to this position was told.
pub(super) fn tell(conn: &Connection, outlet: &str, position: u64) -> Result<(), StoreError> {
    conn.prepare_cached(TOLD)?
        .execute(params![outlet, position])?;
    Ok(())
}
