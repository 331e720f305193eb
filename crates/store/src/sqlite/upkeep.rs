//! Verbs of the background services.

use super::blobs::{is_referenced, orphan};
use super::limits;
use super::rows::{id, json, maybe_time, waiting};
use super::task::make_ready;
use super::writer::Session;
use super::{SqliteStore, claim, switches, work};
use crate::load::{MINUTES, MINUTES_KEPT, Unplaced, minute, obstacle};
use crate::{
    COUNTED_MAX, Condemned, Presence, Purge, PurgeLoad, QueueLoad, Recent, StoreError, StoreHealth,
    Stuck, Swept, Upkeep, Waiting,
};
use async_trait::async_trait;
use mediaflow_core::{
    AssetId, AssetState, BlobId, Queue, TaskId, TaskState, TenantId, Timestamp, UploadId,
};
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::time::Duration;

/// Rows that one transaction of [`Upkeep::expire`] touches, so that others are not kept waiting.
const EXPIRED_MAX: u32 = 500;

#[async_trait]
impl Upkeep for SqliteStore {
    async fn sweep(&self, limit: u32) -> Result<Swept, StoreError> {
        self.write(move |s| sweep(s, limit)).await
    }

    async fn unclaimed(&self, age: Duration, limit: u32) -> Result<Vec<Waiting>, StoreError> {
        // Only the writer knows the time.
        self.write(move |s| {
            let until = before(s.now, age);
            let mut statement = s.conn.prepare_cached(UNCLAIMED)?;
            let mut found = Vec::new();
            for queue in Queue::ALL {
                let params = params![queue.as_str(), limit, until];
                for row in statement.query_map(params, waiting)? {
                    found.push(row?);
                }
            }
            Ok(found)
        })
        .await
    }

    async fn condemn(&self, grace: Duration, limit: u32) -> Result<Vec<Condemned>, StoreError> {
        self.write(move |s| condemn(s, grace, limit)).await
    }

    async fn forget(&self, blob: BlobId) -> Result<(), StoreError> {
        self.write(move |s| {
            s.conn
                .prepare_cached("DELETE FROM blobs WHERE id = ?1 AND condemned_at IS NOT NULL")?
                .execute([blob.as_bytes()])?;
            Ok(())
        })
        .await
    }

    async fn known_keys(&self, keys: &[String]) -> Result<Vec<String>, StoreError> {
        let keys = keys.to_vec();
        self.read(move |conn, _| {
            let mut statement = conn.prepare_cached("SELECT 1 FROM blobs WHERE key = ?1")?;
            let mut known = Vec::new();
            for key in keys {
                if statement.exists([&key])? {
                    known.push(key);
                }
            }
            Ok(known)
        })
        .await
    }

    async fn is_leased(&self, task: TaskId, fence: u64) -> Result<bool, StoreError> {
        self.read(move |conn, _| {
            let mut statement = conn.prepare_cached(
                "SELECT 1 FROM tasks WHERE id = ?1 AND fence = ?2 AND state = 'running'",
            )?;
            Ok(statement.exists(params![task.as_bytes(), fence])?)
        })
        .await
    }

    async fn open_among(&self, ids: &[UploadId]) -> Result<Vec<UploadId>, StoreError> {
        self.open_uploads_among(ids).await
    }

    async fn purges(&self, limit: u32) -> Result<Vec<Purge>, StoreError> {
        // Only the writer knows the time.
        self.write(move |s| {
            let mut statement = s.conn.prepare_cached(PURGES)?;
            let purges = statement.query_map(params![s.now.0, limit], |row| {
                Ok(Purge {
                    id: row.get("id")?,
                    asset: id::<AssetId>(row, "asset")?,
                    paths: json(row, "paths")?,
                    attempts: row.get("attempts")?,
                    correlation_id: row.get("correlation_id")?,
                })
            })?;
            Ok(purges.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn purged(&self, id: i64, again_after: Option<Duration>) -> Result<(), StoreError> {
        self.write(move |s| {
            match again_after {
                None => s
                    .conn
                    .prepare_cached("DELETE FROM purges WHERE id = ?1")?
                    .execute([id])?,
                Some(pause) => s
                    .conn
                    .prepare_cached(
                        "UPDATE purges SET attempts = attempts + 1, due_at = ?2 WHERE id = ?1",
                    )?
                    .execute(params![id, s.now.after(pause).0])?,
            };
            Ok(())
        })
        .await
    }

    async fn expire(
        &self,
        rejected_after: Duration,
        idempotency_after: Duration,
    ) -> Result<u32, StoreError> {
        let mut dropped = 0;
        loop {
            let (originals, keys) = self
                .write(move |s| {
                    let originals = drop_rejected(s, before(s.now, rejected_after))?;
                    let keys = drop_idempotency(s, before(s.now, idempotency_after))?;
                    limits::forget(s)?;
                    Ok((originals, keys))
                })
                .await?;
            dropped += originals;
            if originals < EXPIRED_MAX && keys < EXPIRED_MAX {
                return Ok(dropped);
            }
        }
    }

    async fn health(&self) -> Result<StoreHealth, StoreError> {
        let now = self.env.now();
        let workers = self.present.at_work(now);
        self.read(move |conn, _| health(conn, now, &workers)).await
    }
}

pub(super) fn before(now: Timestamp, age: Duration) -> i64 {
    now.0
        .saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX))
}

const IMPORTS: &str = "SELECT count(*) FROM (
        SELECT 1 FROM imports WHERE source = 'url' AND due_at IS NOT NULL LIMIT ?1)";
pub(super) const REJECTED: &str = "SELECT id, original FROM assets INDEXED BY assets_rejected
     WHERE rejected_at <= ?1 ORDER BY rejected_at LIMIT ?2";
/// The oldest first.
pub(super) const UNCLAIMED: &str = "SELECT id, asset, queue, lane FROM tasks
     WHERE state = 'ready' AND queue = ?1 AND queued_at <= ?3 ORDER BY queued_at LIMIT ?2";
pub(super) const OLDEST: &str =
    "SELECT min(queued_at) AS oldest FROM tasks WHERE state = 'ready' AND queue = ?1";
pub(super) const PURGES: &str = "SELECT p.id, p.asset, p.paths, p.attempts, a.correlation_id
     FROM purges p CROSS JOIN assets a ON a.id = p.asset
     WHERE p.due_at <= ?1 ORDER BY p.due_at, p.id LIMIT ?2";
const PURGES_WAITING: &str =
    "SELECT count(*) AS waiting, count(*) FILTER (WHERE attempts > 0) AS failed, min(due_at) AS due_at
     FROM (SELECT attempts, due_at FROM purges ORDER BY due_at, id LIMIT ?1)";
pub(super) const EXPIRED: &str = "SELECT id FROM tasks
     WHERE state = 'running' AND lease_until <= ?1 ORDER BY lease_until LIMIT ?2";
pub(super) const DUE: &str = "SELECT id, tenant, cpu_ms FROM tasks
     WHERE state = 'waiting' AND retry_at <= ?1 ORDER BY retry_at LIMIT ?2";

fn sweep(s: &Session<'_>, limit: u32) -> Result<Swept, StoreError> {
    let expired = s
        .conn
        .prepare_cached(EXPIRED)?
        .query_map(params![s.now.0, limit], |row| id::<TaskId>(row, "id"))?
        .collect::<Result<Vec<_>, _>>()?;
    let due = s
        .conn
        .prepare_cached(DUE)?
        .query_map(params![s.now.0, limit], |row| {
            let tenant: TenantId = id(row, "tenant")?;
            Ok((id::<TaskId>(row, "id")?, tenant, row.get("cpu_ms")?))
        })?
        .collect::<Result<Vec<_>, _>>()?;
    let mut swept = Swept::default();
    for task in expired {
        work::lose(s, task)?;
        swept.lost += 1;
    }
    for (task, tenant, cpu_ms) in due {
        make_ready(s, tenant, task, cpu_ms, TaskState::Waiting)?;
        swept.due += 1;
    }
    s.conn
        .prepare_cached("DELETE FROM queue_minutes WHERE minute < ?1")?
        .execute([minute(s.now) - MINUTES_KEPT])?;
    Ok(swept)
}

pub(super) const CONDEMNED: &str =
    "SELECT id, key FROM blobs WHERE condemned_at IS NOT NULL ORDER BY condemned_at LIMIT ?1";
pub(super) const ORPHANS: &str =
    "SELECT blob FROM orphans WHERE since <= ?1 ORDER BY since LIMIT ?2";

fn condemn(s: &Session<'_>, grace: Duration, limit: u32) -> Result<Vec<Condemned>, StoreError> {
    let read = |row: &rusqlite::Row<'_>| {
        Ok(Condemned {
            id: id(row, "id")?,
            key: row.get("key")?,
        })
    };
    let mut condemned = s
        .conn
        .prepare_cached(CONDEMNED)?
        .query_map([limit], read)?
        .collect::<Result<Vec<_>, _>>()?;
    let left = limit.saturating_sub(u32::try_from(condemned.len()).unwrap_or(limit));
    let old = s
        .conn
        .prepare_cached(ORPHANS)?
        .query_map(params![before(s.now, grace), left], |row| {
            id::<BlobId>(row, "blob")
        })?
        .collect::<Result<Vec<_>, _>>()?;
    for blob in old {
        s.conn
            .prepare_cached("DELETE FROM orphans WHERE blob = ?1")?
            .execute([blob.as_bytes()])?;
        if !is_referenced(s, blob)? {
            let row = s
                .conn
                .prepare_cached(
                    "UPDATE blobs SET condemned_at = ?2 WHERE id = ?1 RETURNING id, key",
                )?
                .query_row(params![blob.as_bytes(), s.now.0], read)
                .optional()?;
            condemned.extend(row);
        }
    }
    Ok(condemned)
}

fn drop_rejected(s: &Session<'_>, until: i64) -> Result<u32, StoreError> {
    let found = s
        .conn
        .prepare_cached(REJECTED)?
        .query_map(params![until, EXPIRED_MAX], |row| {
            Ok((id::<AssetId>(row, "id")?, id::<BlobId>(row, "original")?))
        })?
        .collect::<Result<Vec<_>, _>>()?;
    let mut dropped = 0;
    for (asset, original) in found {
        orphan(s, original)?;
        s.conn
            .prepare_cached("UPDATE assets SET original = NULL, rejected_at = NULL WHERE id = ?1")?
            .execute([asset.as_bytes()])?;
        dropped += 1;
    }
    Ok(dropped)
}

fn drop_idempotency(s: &Session<'_>, until: i64) -> Result<u32, StoreError> {
    let dropped = s
        .conn
        .prepare_cached(
            "DELETE FROM idempotency WHERE (tenant, key) IN (
                SELECT tenant, key FROM idempotency WHERE created_at <= ?1 ORDER BY created_at LIMIT ?2)",
        )?
        .execute(params![until, EXPIRED_MAX])?;
    Ok(u32::try_from(dropped).unwrap_or(u32::MAX))
}

pub(super) const RECENT: &str =
    "SELECT sum(arrived), sum(done), sum(estimated_ms), sum(spent_ms) FROM queue_minutes
     WHERE minute BETWEEN ?1 AND ?2 AND queue = ?3";
/// Of one line no more than a thousand are counted.
const STUCK: &str = "SELECT count(*) AS tasks FROM (
        SELECT 1 FROM tasks WHERE state = 'ready' AND queue = ?1 AND tenant = ?2 AND priority = ?3 AND needs = ?4
        LIMIT 1000)";

fn health(
    conn: &Connection,
    now: Timestamp,
    workers: &[Presence],
) -> Result<StoreHealth, StoreError> {
    let mut count = conn
        .prepare_cached("SELECT tasks, cpu_ms FROM task_counts WHERE queue = ?1 AND state = ?2")?;
    let mut oldest = conn.prepare_cached(OLDEST)?;
    let mut recent = conn.prepare_cached(RECENT)?;
    let mut load = |queue: Queue| -> Result<QueueLoad, StoreError> {
        let name = queue.as_str();
        let mut of = |state: &str| -> Result<(u64, i64), rusqlite::Error> {
            let found = count
                .query_row([name, state], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            Ok(found.unwrap_or((0, 0)))
        };
        let (ready, cpu_ms) = of("ready")?;
        let last = minute(now);
        let number = |row: &Row<'_>, i| row.get::<_, Option<u64>>(i).map(Option::unwrap_or_default);
        let recent = recent.query_row(params![last - MINUTES, last, name], |row| {
            Ok::<_, rusqlite::Error>(Recent {
                arrived: number(row, 0)?,
                done: number(row, 1)?,
                estimated_ms: number(row, 2)?,
                spent_ms: number(row, 3)?,
                ..Recent::until(now)
            })
        })?;
        let mut load = QueueLoad {
            queue,
            ready,
            running: of("running")?.0,
            waiting: of("waiting")?.0,
            dead: of("dead")?.0,
            oldest_ready_at: oldest.query_row([name], |row| maybe_time(row, "oldest"))?,
            ready_cpu_ms: u64::try_from(cpu_ms).unwrap_or(0),
            recent,
            workers: 0,
            slots: 0,
            paused: switches::is_off(conn, &switches::claims(queue))?,
            stuck: stuck(conn, queue, workers)?,
        };
        load.staff(workers);
        Ok(load)
    };
    let queues = Queue::ALL.iter().map(|queue| load(*queue));
    let queues = queues.collect::<Result<_, _>>()?;
    let mut count = conn.prepare_cached("SELECT assets FROM asset_counts WHERE state = ?1")?;
    let assets = AssetState::ALL.iter().map(|state| {
        let found = count
            .query_row([state.as_str()], |row| row.get(0))
            .optional()?;
        Ok((*state, found.unwrap_or(0)))
    });
    let assets = assets.collect::<Result<_, StoreError>>()?;
    let imports = conn
        .prepare_cached(IMPORTS)?
        .query_row([COUNTED_MAX], |row| row.get(0))?;
    Ok(StoreHealth {
        at: now,
        queues,
        assets,
        imports,
        purges: purge_load(conn)?,
    })
}

pub(super) fn purge_load(conn: &Connection) -> Result<PurgeLoad, StoreError> {
    let mut purges = conn.prepare_cached(PURGES_WAITING)?;
    Ok(purges.query_row([COUNTED_MAX], |row| {
        Ok(PurgeLoad {
            waiting: row.get("waiting")?,
            failed: row.get("failed")?,
            due_at: maybe_time(row, "due_at")?,
        })
    })?)
}

/// What is ready in a queue and no worker can take.
fn stuck(conn: &Connection, queue: Queue, workers: &[Presence]) -> Result<Vec<Stuck>, StoreError> {
    let mut found = Unplaced::default();
    for line in claim::lines(conn, queue)? {
        // Memory is told by the task itself: what nobody can hold is given out to be refused.
        if let Some(obstacle) = obstacle(queue, &line.needs, 0, workers) {
            let values = params![
                queue.as_str(),
                line.tenant.as_bytes(),
                line.priority,
                line.needs
            ];
            let tasks: u64 = conn
                .prepare_cached(STUCK)?
                .query_row(values, |row| row.get("tasks"))?;
            found.add(&line.needs, obstacle, tasks);
        }
    }
    Ok(found.into_list())
}
