//! What would otherwise grow for ever. Rows are deleted a few at a time: there is one writer.

use super::SqliteStore;
use super::rows::{id, named};
use super::upkeep::before;
use super::writer::Session;
use crate::{Pruning, StoreError, Walked};
use async_trait::async_trait;
use mediaflow_core::{AssetId, Queue, TaskId, TaskState};
use rusqlite::{Connection, OptionalExtension, params};
use std::time::Duration;

/// Events that one transaction deletes.
const EVENTS_MAX: u32 = 1000;

/// The oldest, as long as they are old enough; not the newest of all.
pub(super) const OLD: &str = "SELECT position, at FROM events
     WHERE position < (SELECT max(position) FROM events) ORDER BY position LIMIT ?1";
const TOLD: &str = "SELECT position FROM outlets WHERE name = ?1";
const OLD_CHANGES: &str = "DELETE FROM changes WHERE at <= ?1
     AND id < (SELECT max(id) FROM changes newer WHERE newer.switch = changes.switch)";
pub(super) const SOME: &str = "SELECT id FROM assets WHERE id > ?1 ORDER BY id LIMIT ?2";
pub(super) const OLD_TASKS: &str =
    "SELECT t.id, t.queue, t.state FROM assets a CROSS JOIN runs r CROSS JOIN tasks t
     WHERE a.id = ?1 AND r.asset = a.id AND r.updated_at <= ?2
       AND (a.state = 'deleted' OR (r.generation < a.generation AND r.generation <> a.published))
       AND t.asset = r.asset AND t.generation = r.generation
       AND t.state IN ('succeeded', 'skipped', 'dead', 'cancelled')";
/// What was found out or made by a run keeps it, though newer ones did without.
pub(super) const OLD_RUNS: &str = "DELETE FROM runs AS r WHERE r.asset = ?1 AND r.updated_at <= ?2
       AND r.generation < (SELECT generation FROM assets WHERE id = ?1)
       AND r.generation <> (SELECT published FROM assets WHERE id = ?1)
       AND NOT EXISTS (SELECT 1 FROM tasks WHERE asset = r.asset AND generation = r.generation)
       AND NOT EXISTS (SELECT 1 FROM facts WHERE asset = r.asset AND generation = r.generation)
       AND NOT EXISTS (SELECT 1 FROM renditions WHERE asset = r.asset AND generation = r.generation)
       AND NOT EXISTS (SELECT 1 FROM tracks WHERE asset = r.asset AND generation = r.generation)
       AND NOT EXISTS (SELECT 1 FROM captions WHERE asset = r.asset AND generation = r.generation)
       AND NOT EXISTS (SELECT 1 FROM pieces WHERE asset = r.asset AND generation = r.generation)";

#[async_trait]
impl Pruning for SqliteStore {
    async fn extend(&self, _: Duration) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn prune_events(&self, age: Duration, outlets: &[&str]) -> Result<bool, StoreError> {
        let outlets: Vec<String> = outlets.iter().map(|&name| name.to_owned()).collect();
        self.write(move |s| {
            let until = before(s.now, age);
            s.conn.prepare_cached(OLD_CHANGES)?.execute([until])?;
            prune_events(s, until, &outlets)
        })
        .await
    }

    async fn prune_tasks(
        &self,
        age: Duration,
        after: Option<AssetId>,
        limit: u32,
    ) -> Result<Walked, StoreError> {
        let after = after.unwrap_or(AssetId::from(uuid::Uuid::nil()));
        self.write(move |s| prune_tasks(s, before(s.now, age), after, limit))
            .await
    }
}

/// Up to which position the history was pruned.
pub(super) fn pruned(conn: &Connection) -> rusqlite::Result<u64> {
    conn.prepare_cached("SELECT pruned FROM history")?
        .query_row([], |row| row.get(0))
}

fn prune_events(s: &Session<'_>, until: i64, outlets: &[String]) -> Result<bool, StoreError> {
    let mut told = u64::MAX;
    for outlet in outlets {
        let mut position = s.conn.prepare_cached(TOLD)?;
        let position = position.query_row([outlet], |row| row.get(0)).optional()?;
        told = told.min(position.unwrap_or(0));
    }
    let mut old = s.conn.prepare_cached(OLD)?;
    let mut rows = old.query([EVENTS_MAX])?;
    let (mut last, mut found) = (None, 0);
    while let Some(row) = rows.next()? {
        let position: u64 = row.get("position")?;
        if row.get::<_, i64>("at")? > until || position > told {
            break;
        }
        (last, found) = (Some(position), found + 1);
    }
    drop(rows);
    let Some(last) = last else { return Ok(false) };
    s.conn
        .prepare_cached("DELETE FROM events WHERE position <= ?1")?
        .execute([last])?;
    s.conn
        .prepare_cached("UPDATE history SET pruned = ?1")?
        .execute([last])?;
    Ok(found == EVENTS_MAX)
}

fn prune_tasks(
    s: &Session<'_>,
    until: i64,
    after: AssetId,
    limit: u32,
) -> Result<Walked, StoreError> {
    let assets = s
        .conn
        .prepare_cached(SOME)?
        .query_map(params![after.as_bytes(), limit], |row| id(row, "id"))?
        .collect::<rusqlite::Result<Vec<AssetId>>>()?;
    let mut attempts = s
        .conn
        .prepare_cached("DELETE FROM attempts WHERE task = ?1")?;
    let mut delete = s.conn.prepare_cached("DELETE FROM tasks WHERE id = ?1")?;
    let mut tasks = 0;
    for asset in &assets {
        let old = s
            .conn
            .prepare_cached(OLD_TASKS)?
            .query_map(params![asset.as_bytes(), until], |row| {
                let (queue, state) = (
                    named(row, "queue", Queue::parse)?,
                    named(row, "state", TaskState::parse)?,
                );
                Ok((id(row, "id")?, queue, state))
            })?
            .collect::<rusqlite::Result<Vec<(TaskId, Queue, TaskState)>>>()?;
        for (task, queue, state) in old {
            attempts.execute([task.as_bytes()])?;
            delete.execute([task.as_bytes()])?;
            s.memory.count(queue, state, -1, 0);
            tasks += 1;
        }
        s.conn
            .prepare_cached(OLD_RUNS)?
            .execute(params![asset.as_bytes(), until])?;
    }
    let is_full = u32::try_from(assets.len()) == Ok(limit);
    Ok(Walked {
        next: assets.last().copied().filter(|_| is_full),
        tasks,
    })
}
