//! The workers of one process. They are gone when it is, so nothing of them is stored.

use super::SqliteStore;
use super::rows::{id, time};
use crate::cluster::{REMEMBERED, is_living};
use crate::{Cluster, Presence, RunningTask, StoreError, Wish, WorkerRecord};
use async_trait::async_trait;
use mediaflow_core::{Timestamp, WorkerId};
use rusqlite::{Connection, Row};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Who was heard of.
#[derive(Default)]
pub(super) struct Present(Mutex<BTreeMap<WorkerId, Heard>>);

struct Heard {
    presence: Presence,
    wish: Wish,
    seen_at: Timestamp,
}

impl Present {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<WorkerId, Heard>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Workers that live and are to work.
    pub(super) fn at_work(&self, now: Timestamp) -> Vec<Presence> {
        let present = self.lock();
        let working = present
            .values()
            .filter(|h| is_living(h.seen_at, now) && h.wish == Wish::Work);
        working.map(|h| h.presence.clone()).collect()
    }
}

#[async_trait]
impl Cluster for SqliteStore {
    /// There is no other process.
    async fn lead(&self, _: &str, _: WorkerId, _: Duration) -> Result<bool, StoreError> {
        Ok(true)
    }

    async fn present(&self, worker: &Presence) -> Result<Wish, StoreError> {
        let mut present = self.present.lock();
        let wish = present.get(&worker.id).map_or(Wish::Work, |h| h.wish);
        let heard = Heard {
            presence: worker.clone(),
            wish,
            seen_at: self.env.now(),
        };
        present.insert(worker.id, heard);
        Ok(wish)
    }

    async fn leave(&self, worker: WorkerId) -> Result<(), StoreError> {
        self.present.lock().remove(&worker);
        Ok(())
    }

    async fn workers(&self) -> Result<Vec<WorkerRecord>, StoreError> {
        let mut running = self.read(|conn, _| running(conn)).await?;
        let now = self.env.now();
        let mut present = self.present.lock();
        present.retain(|_, heard| now.since(heard.seen_at) < REMEMBERED);
        let mut workers: Vec<WorkerRecord> = present
            .values()
            .map(|heard| WorkerRecord {
                tasks: running.remove(&heard.presence.name).unwrap_or_default(),
                presence: heard.presence.clone(),
                wish: heard.wish,
                seen_at: heard.seen_at,
                is_gone: !is_living(heard.seen_at, now),
            })
            .collect();
        workers.sort_by(|a, b| a.presence.name.cmp(&b.presence.name));
        Ok(workers)
    }

    async fn at_work(&self) -> Result<Vec<Presence>, StoreError> {
        Ok(self.present.at_work(self.env.now()))
    }

    async fn wish(&self, worker: WorkerId, wish: Wish) -> Result<bool, StoreError> {
        let mut present = self.present.lock();
        let heard = present.get_mut(&worker);
        Ok(heard.map(|heard| heard.wish = wish).is_some())
    }
}

/// What runs, by the name of who works on it.
fn running(conn: &Connection) -> Result<HashMap<String, Vec<RunningTask>>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT worker, id, asset, operation, started_at FROM tasks
         WHERE state = 'running' ORDER BY started_at, id",
    )?;
    let mut rows = statement.query([])?;
    let mut found: HashMap<String, Vec<RunningTask>> = HashMap::new();
    while let Some(row) = rows.next()? {
        let worker: Option<String> = row.get("worker")?;
        let tasks = found.entry(worker.unwrap_or_default()).or_default();
        tasks.push(task(row)?);
    }
    Ok(found)
}

fn task(row: &Row<'_>) -> rusqlite::Result<RunningTask> {
    Ok(RunningTask {
        id: id(row, "id")?,
        asset: id(row, "asset")?,
        operation: row.get("operation")?,
        started_at: time(row, "started_at")?,
    })
}
