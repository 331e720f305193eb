//! Verbs of the background services. Several processes may run each at once: they pass over what another has in hand.

use super::changes::Changes;
use super::limits;
use super::rows::{clamp, get, id, json, number, waiting};
use super::unit::{Decided, Unit};
use super::{PostgresStore, Repeat, Session, blobs, flush, hand, health, live, report};
use crate::load::{MINUTES_KEPT, minute};
use crate::{Condemned, Lease, Purge, StoreError, StoreHealth, Swept, Upkeep, Waiting};
use async_trait::async_trait;
use futures_util::FutureExt;
use mediaflow_core::{BlobId, Queue, TaskId, TaskState, Timestamp, UploadId};
use std::time::Duration;
use tokio_postgres::Row;
use uuid::Uuid;

/// Rows that one transaction of [`Upkeep::expire`] touches, so that others are not kept waiting.
const EXPIRED_MAX: i64 = 500;
/// Held by whoever sums up counts.
const FOLD: i64 = 0x6d66_0003;

#[async_trait]
impl Upkeep for PostgresStore {
    async fn sweep(&self, limit: u32) -> Result<Swept, StoreError> {
        let limit = i64::from(limit);
        let mut swept = Swept::default();
        // What cannot be decided about together is still expired in the next round.
        loop {
            let (lost, found) = self
                .write(Repeat::Always, move |s, _| lose_expired(s, limit).boxed())
                .await?;
            swept.lost += lost;
            if lost == 0 || found == lost {
                break;
            }
        }
        swept.due = self
            .write(Repeat::Always, move |s, _| ready_due(s, limit).boxed())
            .await?;
        self.write(Repeat::Always, |s, _| fold(s).boxed()).await?;
        Ok(swept)
    }

    async fn unclaimed(&self, age: Duration, limit: u32) -> Result<Vec<Waiting>, StoreError> {
        // Only a transaction knows the time.
        self.write(Repeat::Always, move |s, _| {
            async move {
                let queues: Vec<&str> = Queue::ALL.iter().map(|q| q.as_str()).collect();
                let (most, until) = (i64::from(limit), before(s.now, age));
                let rows = s.query(UNCLAIMED, &[&queues, &most, &until]).await?;
                rows.iter().map(waiting).collect()
            }
            .boxed()
        })
        .await
    }

    async fn condemn(&self, grace: Duration, limit: u32) -> Result<Vec<Condemned>, StoreError> {
        self.write(Repeat::Always, move |s, _| condemn(s, grace, limit).boxed())
            .await
    }

    async fn forget(&self, blob: BlobId) -> Result<(), StoreError> {
        let sql = "DELETE FROM blobs WHERE id = $1 AND condemned_at IS NOT NULL";
        self.write(Repeat::Always, move |s, _| {
            async move { s.execute(sql, &[&blob.0]).await.map(drop) }.boxed()
        })
        .await
    }

    async fn known_keys(&self, keys: &[String]) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT key FROM blobs WHERE key = ANY($1)";
        self.read(move |s, _| {
            async move {
                let mut known = std::collections::HashSet::new();
                for row in &s.query(sql, &[&keys]).await? {
                    known.insert(get::<String>(row, "key")?);
                }
                Ok(keys
                    .iter()
                    .filter(|key| known.contains(*key))
                    .cloned()
                    .collect())
            }
            .boxed()
        })
        .await
    }

    async fn is_leased(&self, task: TaskId, fence: u64) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM tasks WHERE id = $1 AND fence = $2 AND state = 'running'";
        self.read(move |s, _| {
            async move { Ok(s.maybe(sql, &[&task.0, &clamp(fence)]).await?.is_some()) }.boxed()
        })
        .await
    }

    async fn open_among(&self, ids: &[UploadId]) -> Result<Vec<UploadId>, StoreError> {
        self.open_uploads_among(ids).await
    }

    async fn purges(&self, limit: u32) -> Result<Vec<Purge>, StoreError> {
        // Only a transaction knows the time.
        self.write(Repeat::Always, move |s, _| purges(s, limit).boxed())
            .await
    }

    async fn purged(&self, id: i64, again_after: Option<Duration>) -> Result<(), StoreError> {
        self.write(Repeat::Always, move |s, _| {
            async move {
                let done = match again_after {
                    None => s.execute("DELETE FROM purges WHERE id = $1", &[&id]).await,
                    Some(pause) => {
                        let sql =
                            "UPDATE purges SET attempts = attempts + 1, due_at = $2 WHERE id = $1";
                        s.execute(sql, &[&id, &s.now.after(pause).0]).await
                    }
                };
                done.map(drop)
            }
            .boxed()
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
                .write(Repeat::Always, move |s, _| {
                    expire(s, rejected_after, idempotency_after).boxed()
                })
                .await?;
            dropped += u32::try_from(originals).unwrap_or(u32::MAX);
            if originals < EXPIRED_MAX && keys < EXPIRED_MAX {
                return Ok(dropped);
            }
        }
    }

    async fn health(&self) -> Result<StoreHealth, StoreError> {
        // Only a transaction knows the time.
        self.write(Repeat::Always, |s, _| health::of(s).boxed())
            .await
    }
}

pub(super) fn before(now: Timestamp, age: Duration) -> i64 {
    now.0.saturating_sub(clamp(age.as_millis()))
}

/// Looks at no more than it may answer: behind those there are as many that somebody was told of just now.
const UNCLAIMED: &str = "SELECT c.* FROM unnest($1::text[]) q (queue) CROSS JOIN LATERAL (
        SELECT id, asset, queue, lane, queued_at FROM tasks
        WHERE state = 'ready' AND queue = q.queue AND queued_at <= $3 ORDER BY queued_at LIMIT $2) c";
const EXPIRED: &str = "SELECT id, fence FROM tasks WHERE state = 'running' AND lease_until <= $1
     ORDER BY lease_until LIMIT $2";
const DUE: &str =
    "SELECT id FROM tasks WHERE state = 'waiting' AND retry_at IS NOT NULL AND retry_at <= $1
     ORDER BY retry_at LIMIT $2 FOR UPDATE SKIP LOCKED";

/// Answers how many leases were taken away, and how many had run out.
async fn lose_expired(s: &mut Session, limit: i64) -> Result<(u32, u32), StoreError> {
    let rows = s.query(EXPIRED, &[&s.now.0, &limit]).await?;
    let leases = rows.iter().map(|row| {
        Ok(Lease {
            task: id(row, "id")?,
            fence: number(row, "fence")?,
        })
    });
    let leases: Vec<Lease> = leases.collect::<Result<_, StoreError>>()?;
    if leases.is_empty() {
        return Ok((0, 0));
    }
    let tasks: Vec<TaskId> = leases.iter().map(|lease| lease.task).collect();
    let assets = hand::assets(s, &tasks).boxed().await?;
    let lives = live::load(s, &assets).boxed().await?;
    let hands = hand::load(s, &leases).boxed().await?;
    let mut unit = Unit::new(s, lives);
    let (mut lost, mut found) = (0, 0);
    for hand in leases.iter().filter_map(|lease| hands.get(&lease.task)) {
        // Seen again under its lock: a heartbeat or a report may have come before.
        let expired = hand.lease_until.is_some_and(|until| until <= s.now.0);
        if hand.task.state != TaskState::Running || !expired {
            continue;
        }
        found += 1;
        if let Decided::Yes = report::lose(&mut unit, hand)? {
            lost += 1;
        }
    }
    unit.flush(s).boxed().await?;
    Ok((lost, found))
}

async fn ready_due(s: &mut Session, limit: i64) -> Result<u32, StoreError> {
    let rows = s.query(DUE, &[&s.now.0, &limit]).await?;
    let mut changes = Changes::new(s);
    for row in &rows {
        changes.queued.push(id(row, "id")?);
    }
    let due = u32::try_from(rows.len()).unwrap_or(u32::MAX);
    flush::flush(s, changes, &mut []).boxed().await?;
    Ok(due)
}

const FOLD_TASKS: &str = "WITH gone AS (DELETE FROM task_deltas RETURNING queue, state, tasks)
     INSERT INTO task_deltas SELECT queue, state, sum(tasks) FROM gone GROUP BY queue, state HAVING sum(tasks) <> 0";
const FOLD_ASSETS: &str = "WITH gone AS (DELETE FROM asset_deltas RETURNING state, assets)
     INSERT INTO asset_deltas SELECT state, sum(assets) FROM gone GROUP BY state HAVING sum(assets) <> 0";
const FOLD_UNFINISHED: &str = "WITH gone AS (DELETE FROM unfinished_deltas RETURNING tenant, assets)
     INSERT INTO unfinished_deltas SELECT tenant, sum(assets) FROM gone GROUP BY tenant HAVING sum(assets) <> 0";
const FOLD_READY: &str = "WITH gone AS (DELETE FROM ready_deltas RETURNING queue, cpu_ms)
     INSERT INTO ready_deltas SELECT queue, sum(cpu_ms) FROM gone GROUP BY queue HAVING sum(cpu_ms) <> 0";
const FOLD_MINUTES: &str = "WITH gone AS (DELETE FROM queue_minutes RETURNING *)
     INSERT INTO queue_minutes SELECT minute, queue, sum(arrived), sum(done), sum(estimated_ms), sum(spent_ms)
     FROM gone WHERE minute >= $1 GROUP BY minute, queue";

/// Sums up the counts, unless somebody else does at this moment.
async fn fold(s: &mut Session) -> Result<(), StoreError> {
    let row = s
        .one("SELECT pg_try_advisory_xact_lock($1) AS mine", &[&FOLD])
        .await?;
    if get(&row, "mine")? {
        let old = minute(s.now) - MINUTES_KEPT;
        s.all(&[
            (FOLD_TASKS, &[]),
            (FOLD_ASSETS, &[]),
            (FOLD_UNFINISHED, &[]),
            (FOLD_READY, &[]),
            (FOLD_MINUTES, &[&old]),
        ])
        .await?;
    }
    Ok(())
}

const CONDEMNED: &str =
    "SELECT id, key FROM blobs WHERE condemned_at IS NOT NULL ORDER BY condemned_at, id LIMIT $1";
const ORPHANS: &str =
    "SELECT blob FROM orphans WHERE since <= $1 ORDER BY since LIMIT $2 FOR UPDATE SKIP LOCKED";
/// Those that somebody is about to refer to are left for another time.
const LOCK_BLOBS: &str =
    "SELECT id FROM blobs WHERE id = ANY($1) ORDER BY id FOR UPDATE SKIP LOCKED";
const CONDEMN: &str = "UPDATE blobs b SET condemned_at = $2 WHERE b.id = ANY($1)
       AND NOT EXISTS (SELECT 1 FROM assets WHERE original = b.id)
       AND NOT EXISTS (SELECT 1 FROM renditions WHERE blob = b.id)
       AND NOT EXISTS (SELECT 1 FROM segments WHERE blob = b.id)
       AND NOT EXISTS (SELECT 1 FROM tracks WHERE blob = b.id)
       AND NOT EXISTS (SELECT 1 FROM captions WHERE blob = b.id)
       AND NOT EXISTS (SELECT 1 FROM pieces WHERE blob = b.id)
       AND NOT EXISTS (SELECT 1 FROM pins WHERE blob = b.id)
     RETURNING b.id, b.key";

async fn condemn(
    s: &mut Session,
    grace: Duration,
    limit: u32,
) -> Result<Vec<Condemned>, StoreError> {
    let limit = i64::from(limit);
    let old = s.query(CONDEMNED, &[&limit]).await?;
    let mut condemned: Vec<Condemned> = old.iter().map(one_condemned).collect::<Result<_, _>>()?;
    let left = limit - clamp(condemned.len());
    let orphans = s.query(ORPHANS, &[&before(s.now, grace), &left]).await?;
    let orphans: Vec<Uuid> = orphans
        .iter()
        .map(|row| get(row, "blob"))
        .collect::<Result<_, _>>()?;
    let locked = s.query(LOCK_BLOBS, &[&orphans]).await?;
    let locked: Vec<Uuid> = locked
        .iter()
        .map(|row| get(row, "id"))
        .collect::<Result<_, _>>()?;
    // Another statement than the lock: it sees the references of those who held the row before.
    let answers = s
        .all(&[
            ("DELETE FROM orphans WHERE blob = ANY($1)", &[&locked]),
            (CONDEMN, &[&locked, &s.now.0]),
        ])
        .await?;
    let mut new: Vec<Condemned> = answers[1]
        .iter()
        .map(one_condemned)
        .collect::<Result<_, _>>()?;
    new.sort_by_key(|condemned| condemned.id);
    condemned.extend(new);
    Ok(condemned)
}

fn one_condemned(row: &Row) -> Result<Condemned, StoreError> {
    Ok(Condemned {
        id: id(row, "id")?,
        key: get(row, "key")?,
    })
}

const PURGES: &str = "SELECT p.id, p.asset, p.paths, p.attempts, a.correlation_id
     FROM purges p JOIN assets a ON a.id = p.asset WHERE p.due_at <= $1 ORDER BY p.due_at, p.id LIMIT $2";

async fn purges(s: &mut Session, limit: u32) -> Result<Vec<Purge>, StoreError> {
    let rows = s.query(PURGES, &[&s.now.0, &i64::from(limit)]).await?;
    let purges = rows.iter().map(|row| {
        Ok(Purge {
            id: get(row, "id")?,
            asset: id(row, "asset")?,
            paths: json(row, "paths")?,
            attempts: number(row, "attempts")?,
            correlation_id: get(row, "correlation_id")?,
        })
    });
    purges.collect()
}

/// What is found is found once: a join may run a subquery again, and then passes over what it has changed.
pub(super) const REJECTED: &str = "WITH old AS MATERIALIZED (
        SELECT id, original FROM assets WHERE rejected_at IS NOT NULL AND rejected_at <= $1
        ORDER BY rejected_at LIMIT $2 FOR UPDATE SKIP LOCKED)
     UPDATE assets a SET original = NULL, rejected_at = NULL FROM old WHERE a.id = old.id RETURNING old.original";
pub(super) const OLD_KEYS: &str = "WITH old AS MATERIALIZED (
        SELECT tenant, key FROM idempotency WHERE created_at <= $1 ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED)
     DELETE FROM idempotency i USING old WHERE i.tenant = old.tenant AND i.key = old.key";

/// Answers how many originals and how many keys are gone.
async fn expire(
    s: &mut Session,
    rejected_after: Duration,
    idempotency_after: Duration,
) -> Result<(i64, i64), StoreError> {
    let until = before(s.now, rejected_after);
    let rows = s.query(REJECTED, &[&until, &EXPIRED_MAX]).await?;
    let originals: Vec<BlobId> = rows
        .iter()
        .map(|row| id(row, "original"))
        .collect::<Result<_, _>>()?;
    blobs::orphan(s, &originals).await?;
    let until = before(s.now, idempotency_after);
    let keys = s.execute(OLD_KEYS, &[&until, &EXPIRED_MAX]).await?;
    limits::forget(s).await?;
    Ok((clamp(originals.len()), clamp(keys)))
}
