//! Which ready task goes to whom. No asset is touched and no event written: the attempt is the record.

use super::blobs::blob;
use super::rows::{id, maybe_json, sha, time};
use super::writer::Session;
use crate::giving::{Candidate, Giving, IDLE_LANE, LOOKAHEAD};
use crate::{Capacity, Claimed, Lease, StoreError};
use mediaflow_core::operation::Facts;
use mediaflow_core::{AssetId, AssetOptions, Cost, Queue, TaskId};
use rusqlite::{Row, params};

/// What a claim has left to give, while it gives it.
struct Claim<'a> {
    s: &'a Session<'a>,
    capacity: &'a Capacity,
    request: &'a [u8],
    giving: Giving<'a>,
    given: Vec<TaskId>,
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
    if !again.is_empty() || !s.phase.may_begin() {
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
    if !s.phase.may_begin() {
        return claim.finish();
    }
    for &(queues, slots) in &capacity.slots {
        if claim.is_blocked(queues)? {
            break;
        }
        let candidates = claim.candidates(READY_OF_ASSET, queues, slots, Some(asset))?;
        let mut left = slots;
        for candidate in candidates {
            if left > 0
                && claim.giving.may_offer(&candidate)
                && !claim.any_below(queues, candidate.lane)?
            {
                claim.giving.take(&candidate);
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
            giving: Giving::new(capacity, s.now),
            given: Vec::new(),
        }
    }

    fn give_from(&mut self, queues: &[Queue], slots: u32) -> Result<(), StoreError> {
        let candidates = self.candidates(READY, queues, slots, None)?;
        let s = self.s;
        let chosen = self.giving.choose(candidates, slots, || is_idle(s))?;
        for candidate in &chosen {
            self.give(candidate)?;
        }
        let rank = chosen.iter().map(|candidate| candidate.rank).max();
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

    /// Whether the first of the queue has waited too long for room on this worker.
    fn is_blocked(&self, queues: &[Queue]) -> Result<bool, StoreError> {
        let first = self.candidates(READY, queues, 1, None)?.into_iter().next();
        Ok(first.is_some_and(|c| self.giving.is_blocked_by(&c)))
    }

    /// Whether something of a lower lane is ready.
    fn any_below(&self, queues: &[Queue], lane: u8) -> Result<bool, StoreError> {
        any_below(self.s, queues, lane)
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
        self.s.given(candidate.id);
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

/// Whether nothing below the idle lane is ready or running.
fn is_idle(s: &Session<'_>) -> Result<bool, StoreError> {
    if any_below(s, Queue::ALL, IDLE_LANE)? {
        return Ok(false);
    }
    let mut running = s.conn.prepare_cached(RUNNING_BELOW)?;
    let busy: bool = running.query_row([IDLE_LANE], |row| row.get(0))?;
    Ok(!busy)
}

fn any_below(s: &Session<'_>, queues: &[Queue], lane: u8) -> Result<bool, StoreError> {
    let mut statement = s.conn.prepare_cached(READY_BELOW)?;
    for queue in queues {
        if statement.query_row(params![queue.as_str(), lane], |row| row.get(0))? {
            return Ok(true);
        }
    }
    Ok(false)
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
