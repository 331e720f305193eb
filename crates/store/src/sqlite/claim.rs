//! Which ready task goes to whom. No asset is touched and no event written: the attempt is the record.

use super::blobs::blob;
use super::rows::{id, maybe_json, sha, time};
use super::writer::Session;
use crate::{Capacity, Claimed, Lease, StoreError};
use mediaflow_core::operation::Facts;
use mediaflow_core::{AssetId, AssetOptions, Cost, Queue, TaskId, Timestamp};
use rusqlite::{Row, params};
use std::time::Duration;

/// A task that has waited longer stops smaller ones behind it.
const PATIENCE: Duration = Duration::from_secs(5);
/// The lane that runs only while nothing else waits.
const IDLE_LANE: u8 = 9;
/// Ready tasks looked at beyond the number wanted, because some may not fit.
const LOOKAHEAD: u32 = 32;

/// What a claim has left to give, while it gives it.
struct Claim<'a> {
    s: &'a Session<'a>,
    capacity: &'a Capacity,
    request: &'a [u8],
    memory_free: u64,
    given: Vec<TaskId>,
    full: bool,
}

struct Candidate {
    id: TaskId,
    lane: u8,
    rank: i64,
    memory: u64,
    alone: bool,
    queued_at: Timestamp,
}

pub(super) const READY: &str = "SELECT id, lane, rank, memory_bytes, alone, queued_at FROM tasks
     WHERE state = 'ready' AND queue = ?1 ORDER BY lane, rank LIMIT ?2";
pub(super) const READY_OF_ASSET: &str = "SELECT id, lane, rank, memory_bytes, alone, queued_at
     FROM tasks INDEXED BY tasks_by_step
     WHERE asset = ?3 AND state = 'ready' AND queue = ?1 ORDER BY lane, rank LIMIT ?2";
pub(super) const READY_BELOW: &str =
    "SELECT EXISTS (SELECT 1 FROM tasks WHERE state = 'ready' AND queue = ?1 AND lane < ?2)";
pub(super) const RUNNING_BELOW: &str =
    "SELECT EXISTS (SELECT 1 FROM tasks WHERE state = 'running' AND lane < ?1)";

/// Gives ready tasks in the store's order, or again those that the same request was given and still holds.
pub(super) fn claim(
    s: &Session<'_>,
    request: &[u8],
    capacity: &Capacity,
) -> Result<Vec<Claimed>, StoreError> {
    let again = held(s, request)?;
    if !again.is_empty() {
        return Ok(again);
    }
    let mut claim = Claim::new(s, request, capacity);
    for &(queues, slots) in &capacity.slots {
        claim.give_from(queues, slots)?;
    }
    claim.finish()
}

/// Gives ready tasks of one asset to the worker that holds its bytes already. An offer never goes
/// before a lower lane, nor before a task that has waited too long for room.
pub(super) fn offer(
    s: &Session<'_>,
    request: &[u8],
    capacity: &Capacity,
    asset: AssetId,
) -> Result<Vec<Claimed>, StoreError> {
    let mut claim = Claim::new(s, request, capacity);
    for &(queues, slots) in &capacity.slots {
        if claim.is_blocked(queues)? {
            break;
        }
        let candidates = claim.candidates(READY_OF_ASSET, queues, slots, Some(asset))?;
        let mut left = slots;
        for candidate in candidates {
            let yields = candidate.alone
                || candidate.lane == IDLE_LANE
                || claim.any_below(queues, candidate.lane)?;
            if left > 0 && !yields && claim.fits(&candidate) {
                claim.give(&candidate)?;
                left -= 1;
            }
        }
    }
    claim.finish()
}

/// What this request was given and still holds.
pub(super) fn held(s: &Session<'_>, request: &[u8]) -> Result<Vec<Claimed>, StoreError> {
    let mut statement = s.conn.prepare_cached(
        "SELECT t.id FROM attempts a JOIN tasks t ON t.id = a.task AND t.fence = a.fence
         WHERE a.request = ?1 AND a.ended_at IS NULL AND t.state = 'running' ORDER BY t.lane, t.rank",
    )?;
    let tasks = statement
        .query_map([request], |row| id(row, "id"))?
        .collect::<Result<Vec<_>, _>>()?;
    tasks.into_iter().map(|task| claimed(s, task)).collect()
}

impl<'a> Claim<'a> {
    fn new(s: &'a Session<'a>, request: &'a [u8], capacity: &'a Capacity) -> Self {
        Self {
            s,
            capacity,
            request,
            memory_free: capacity.memory_free,
            given: Vec::new(),
            full: false,
        }
    }

    fn give_from(&mut self, queues: &[Queue], slots: u32) -> Result<(), StoreError> {
        if self.full {
            return Ok(());
        }
        let mut rank = None;
        let mut left = slots;
        for candidate in self.candidates(READY, queues, slots, None)? {
            if left == 0 || self.full {
                break;
            }
            if candidate.lane == IDLE_LANE && !self.may_idle()? {
                break;
            }
            let room = self.fits(&candidate)
                && (!candidate.alone || (self.capacity.idle && self.given.is_empty()));
            if room {
                self.give(&candidate)?;
                rank = rank.max(Some(candidate.rank));
                left -= 1;
                self.full = candidate.alone;
            } else if self.is_overdue(&candidate) {
                self.full = true;
            }
        }
        if let Some(rank) = rank {
            self.s
                .conn
                .prepare_cached("UPDATE clock SET vtime = ?1 WHERE vtime < ?1")?
                .execute([rank])?;
        }
        Ok(())
    }

    fn candidates(
        &self,
        sql: &str,
        queues: &[Queue],
        slots: u32,
        asset: Option<AssetId>,
    ) -> Result<Vec<Candidate>, StoreError> {
        if slots == 0 {
            return Ok(Vec::new());
        }
        let mut statement = self.s.conn.prepare_cached(sql)?;
        let limit = slots.saturating_add(LOOKAHEAD);
        let read = |row: &Row<'_>| {
            Ok(Candidate {
                id: id(row, "id")?,
                lane: row.get("lane")?,
                rank: row.get("rank")?,
                memory: row.get("memory_bytes")?,
                alone: row.get("alone")?,
                queued_at: time(row, "queued_at")?,
            })
        };
        let mut found = Vec::new();
        for queue in queues {
            let rows = match asset {
                None => statement.query_map(params![queue.as_str(), limit], read)?,
                Some(asset) => {
                    statement.query_map(params![queue.as_str(), limit, asset.as_bytes()], read)?
                }
            };
            found.extend(rows.collect::<Result<Vec<_>, _>>()?);
        }
        found.sort_by_key(|c: &Candidate| (c.lane, c.rank));
        Ok(found)
    }

    /// A task that no worker of this size can take is given all the same, for it to say so.
    fn fits(&self, candidate: &Candidate) -> bool {
        candidate.memory <= self.memory_free || candidate.memory > self.capacity.memory_total
    }

    fn is_overdue(&self, candidate: &Candidate) -> bool {
        candidate.lane < IDLE_LANE && self.s.now.since(candidate.queued_at) > PATIENCE
    }

    /// Whether the first of the queue has waited too long for room on this worker.
    fn is_blocked(&self, queues: &[Queue]) -> Result<bool, StoreError> {
        let first = self.candidates(READY, queues, 1, None)?.into_iter().next();
        Ok(first.is_some_and(|c| (c.alone || !self.fits(&c)) && self.is_overdue(&c)))
    }

    fn may_idle(&self) -> Result<bool, StoreError> {
        if !self.capacity.idle_lane {
            return Ok(false);
        }
        if self.any_below(Queue::ALL, IDLE_LANE)? {
            return Ok(false);
        }
        let mut running = self.s.conn.prepare_cached(RUNNING_BELOW)?;
        let busy: bool = running.query_row([IDLE_LANE], |row| row.get(0))?;
        Ok(!busy)
    }

    /// Whether something of a lower lane is ready.
    fn any_below(&self, queues: &[Queue], lane: u8) -> Result<bool, StoreError> {
        let mut statement = self.s.conn.prepare_cached(READY_BELOW)?;
        for queue in queues {
            if statement.query_row(params![queue.as_str(), lane], |row| row.get(0))? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn give(&mut self, candidate: &Candidate) -> Result<(), StoreError> {
        let now = self.s.now;
        let (fence, number): (u64, u32) = self
            .s
            .conn
            .prepare_cached(
                "UPDATE tasks SET state = 'running', fence = fence + 1, attempts = attempts + 1, tries = tries + 1,
                        lease_until = ?2, started_at = ?3, worker = ?4
                 WHERE id = ?1 RETURNING fence, tries",
            )?
            .query_row(
                params![
                    candidate.id.as_bytes(),
                    now.after(self.capacity.lease).0,
                    now.0,
                    self.capacity.worker_name
                ],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?;
        self.s
            .conn
            .prepare_cached(
                "INSERT INTO attempts (task, fence, number, worker, request, started_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                candidate.id.as_bytes(),
                fence,
                number,
                self.capacity.worker_name,
                self.request,
                now.0
            ])?;
        if candidate.memory <= self.capacity.memory_total {
            self.memory_free -= candidate.memory;
        }
        self.given.push(candidate.id);
        Ok(())
    }

    fn finish(self) -> Result<Vec<Claimed>, StoreError> {
        let s = self.s;
        self.given
            .into_iter()
            .map(|task| claimed(s, task))
            .collect()
    }
}

/// A running task with all that its operation is a function of.
fn claimed(s: &Session<'_>, task: TaskId) -> Result<Claimed, StoreError> {
    let mut statement = s.conn.prepare_cached(
        "SELECT t.fence, t.tenant, t.asset, t.generation, t.step, t.number, t.memory_bytes, t.cpu_ms, t.tries, t.alone,
                t.queued_at, r.recipe, r.settings, r.watermark, r.focus,
                a.media_type, a.fact_pixels, a.fact_frames, a.fact_bytes, a.correlation_id,
                b.id AS blob_id, b.sha256 AS blob_sha256, b.bytes AS blob_bytes, b.key AS blob_key
         FROM tasks t
         JOIN runs r ON r.asset = t.asset AND r.generation = t.generation
         JOIN assets a ON a.id = t.asset
         JOIN blobs b ON b.id = a.original
         WHERE t.id = ?1",
    )?;
    let mut rows = statement.query([task.as_bytes()])?;
    let row = rows.next()?.ok_or(StoreError::TaskNotFound)?;
    Ok(Claimed {
        lease: Lease {
            task,
            fence: row.get("fence")?,
        },
        tenant: id(row, "tenant")?,
        asset: id(row, "asset")?,
        generation: row.get("generation")?,
        step: row.get("step")?,
        number: row.get("number")?,
        recipe: s.frozen.recipe(s.conn, sha(row, "recipe")?)?,
        settings: s.frozen.settings(s.conn, sha(row, "settings")?)?,
        options: AssetOptions {
            watermark: row.get("watermark")?,
            focus: maybe_json(row, "focus")?,
            ..AssetOptions::default()
        },
        original: blob(row)?,
        media_type: row.get("media_type")?,
        facts: Facts {
            pixels: row.get("fact_pixels")?,
            frames: row.get("fact_frames")?,
            bytes: row.get("fact_bytes")?,
        },
        cost: Cost {
            memory_bytes: row.get("memory_bytes")?,
            cpu_ms: row.get("cpu_ms")?,
        },
        attempt: row.get("tries")?,
        alone: row.get("alone")?,
        correlation_id: row.get("correlation_id")?,
        ready_at: time(row, "queued_at")?,
    })
}
