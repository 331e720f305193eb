//! Which ready task goes to whom. No asset is touched and no event written: the attempt is the record.

use super::blobs::blob;
use super::rows::{id, maybe_json, sha, time};
use super::switches;
use super::writer::Session;
use crate::fairness::{Line, Turns};
use crate::giving::{
    Candidate, Giving, IDLE_LANE, LOOKAHEAD, any_too_large, is_its_turn, look_elsewhere,
};
use crate::load::can;
use crate::{Capacity, Claimed, Lease, Presence, StoreError};
use mediaflow_core::operation::Facts;
use mediaflow_core::{AssetId, AssetOptions, Cost, Queue, TaskId, TenantId};
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::collections::BTreeSet;

/// What a claim has left to give, while it gives it.
struct Claim<'a> {
    s: &'a Session<'a>,
    capacity: &'a Capacity,
    request: &'a [u8],
    giving: Giving<'a>,
    given: Vec<TaskId>,
}

/// The line after this one, of those in which something is ready.
pub(super) const NEXT_LINE: &str = "SELECT tenant, priority, needs FROM tasks
     WHERE state = 'ready' AND queue = ?1 AND (tenant, priority, needs) > (?2, ?3, ?4)
     ORDER BY tenant, priority, needs LIMIT 1";
pub(super) const READY: &str =
    "SELECT id, tenant, priority, lane, rank, cpu_ms, memory_bytes, alone, queued_at, needs FROM tasks
     WHERE state = 'ready' AND queue = ?1 AND tenant = ?2 AND priority = ?3 AND needs = ?4 ORDER BY lane, rank LIMIT ?5";
pub(super) const READY_OF_ASSET: &str =
    "SELECT id, tenant, priority, lane, rank, cpu_ms, memory_bytes, alone, queued_at, needs
     FROM tasks INDEXED BY tasks_by_step
     WHERE asset = ?3 AND state = 'ready' AND queue = ?1 ORDER BY lane, rank LIMIT ?2";
pub(super) const RUNNING_BELOW: &str =
    "SELECT EXISTS (SELECT 1 FROM tasks WHERE state = 'running' AND lane < ?1)";
pub(super) const RUNNING_OF: &str =
    "SELECT count(*) FROM tasks WHERE state = 'running' AND tenant = ?1";

/// Gives ready tasks in the store's order, or again those that the same request was given and still holds.
pub(super) fn claim(
    s: &Session<'_>,
    request: &[u8],
    capacity: &Capacity,
    others: impl Fn() -> Vec<Presence>,
) -> Result<Vec<Claimed>, StoreError> {
    let again = held(s, request)?;
    if !again.is_empty() || !s.phase.may_begin() {
        return Ok(again);
    }
    let mut claim = Claim::new(s, request, capacity);
    for &(queues, slots) in &capacity.slots {
        claim.give_from(queues, slots, &others)?;
    }
    claim.finish()
}

/// Gives ready tasks of one asset to the worker that holds its bytes already. An offer never goes before a lower lane of
/// its own line, nor much before its line's turn, nor before a task that has waited too long for room.
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
        let found = claim.of_asset(queues, slots, asset)?;
        if found.is_empty() {
            continue;
        }
        // Of each line its first counts, and whatever is given from this asset uncovers one behind it.
        let (mut turns, mut heads) = claim.heads(queues, slots, slots.saturating_add(1))?;
        heads.sort_by_key(|head| (turns.turn(&head.line), head.place()));
        if heads.first().is_some_and(|h| claim.giving.is_blocked_by(h)) {
            break;
        }
        let mut left = slots;
        for candidate in found {
            if left > 0
                && claim.giving.may_offer(&candidate)
                && is_its_turn(&candidate, &turns, &heads)
            {
                claim.giving.take(&candidate);
                turns.serve(&candidate.line, candidate.cpu_ms);
                heads.retain(|head| head.id != candidate.id);
                claim.give(&candidate)?;
                left -= 1;
            }
        }
        save(s, &turns)?;
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

    fn give_from(
        &mut self,
        queues: &[Queue],
        slots: u32,
        others: impl Fn() -> Vec<Presence>,
    ) -> Result<(), StoreError> {
        if slots == 0 {
            return Ok(());
        }
        let (mut turns, mut candidates) = self.heads(queues, slots, u32::MAX)?;
        if any_too_large(&candidates, self.capacity) {
            look_elsewhere(&mut candidates, self.capacity, others());
        }
        let s = self.s;
        let idle = || is_idle(s);
        let chosen = self.giving.choose(candidates, &mut turns, slots, idle)?;
        for candidate in &chosen {
            self.give(candidate)?;
        }
        save(s, &turns)
    }

    /// The first tasks of each line that this worker may take from, at most so many of one, and where the lines stand.
    fn heads(
        &self,
        queues: &[Queue],
        slots: u32,
        most: u32,
    ) -> Result<(Turns, Vec<Candidate>), StoreError> {
        let mut found = Vec::new();
        let mut ready = self.s.conn.prepare_cached(READY)?;
        for queue in queues {
            if switches::is_off(self.s.conn, &switches::claims(*queue))? {
                continue;
            }
            let lines = lines(self.s.conn, *queue)?;
            let lines: Vec<_> = lines.iter().filter(|l| self.can(&l.needs)).collect();
            // Of many lines none gets more than a few.
            let each = (slots.saturating_add(LOOKAHEAD) as usize / lines.len().max(1)).max(2);
            let each = each.min(most as usize);
            for line in lines {
                let values = params![
                    queue.as_str(),
                    line.tenant.as_bytes(),
                    line.priority,
                    line.needs,
                    each
                ];
                let rows = ready.query_map(values, |row| candidate(row, *queue))?;
                for row in rows {
                    found.push(row?);
                }
            }
        }
        Ok((turns(self.s, &found)?, found))
    }

    /// Whether the worker has all of these capabilities.
    fn can(&self, needs: &str) -> bool {
        can(needs, &self.capacity.capabilities)
    }

    fn of_asset(
        &self,
        queues: &[Queue],
        slots: u32,
        asset: AssetId,
    ) -> Result<Vec<Candidate>, StoreError> {
        let mut statement = self.s.conn.prepare_cached(READY_OF_ASSET)?;
        let limit = slots.saturating_add(LOOKAHEAD);
        let mut found = Vec::new();
        for queue in queues {
            if switches::is_off(self.s.conn, &switches::claims(*queue))? {
                continue;
            }
            let mut rows = statement.query(params![queue.as_str(), limit, asset.as_bytes()])?;
            while let Some(row) = rows.next()? {
                let candidate = candidate(row, *queue)?;
                if self.can(&candidate.needs) {
                    found.push(candidate);
                }
            }
        }
        found.sort_by_key(Candidate::place);
        Ok(found)
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

fn candidate(row: &Row<'_>, queue: Queue) -> rusqlite::Result<Candidate> {
    Ok(Candidate {
        id: id(row, "id")?,
        line: Line {
            tenant: id(row, "tenant")?,
            queue,
            priority: row.get("priority")?,
        },
        lane: row.get("lane")?,
        rank: row.get("rank")?,
        cpu_ms: row.get("cpu_ms")?,
        memory: row.get("memory_bytes")?,
        alone: row.get("alone")?,
        queued_at: time(row, "queued_at")?,
        needs: row.get("needs")?,
        elsewhere: false,
    })
}

/// Ready tasks of one tenant and urgency that need the same.
pub(super) struct Lined {
    pub(super) tenant: TenantId,
    pub(super) priority: u8,
    pub(super) needs: String,
}

/// All lines of a queue in which something is ready.
pub(super) fn lines(conn: &Connection, queue: Queue) -> Result<Vec<Lined>, StoreError> {
    let mut next = conn.prepare_cached(NEXT_LINE)?;
    let mut lines: Vec<Lined> = Vec::new();
    loop {
        let read = |row: &Row<'_>| {
            Ok(Lined {
                tenant: id(row, "tenant")?,
                priority: row.get("priority")?,
                needs: row.get("needs")?,
            })
        };
        let found = match lines.last() {
            // Before all.
            None => next.query_row(params![queue.as_str(), [0u8; 0], -1, ""], read),
            Some(l) => next.query_row(
                params![queue.as_str(), l.tenant.as_bytes(), l.priority, l.needs],
                read,
            ),
        };
        match found.optional()? {
            None => return Ok(lines),
            Some(line) => lines.push(line),
        }
    }
}

/// Where the lines of these tasks stand.
fn turns(s: &Session<'_>, candidates: &[Candidate]) -> Result<Turns, StoreError> {
    let conn = s.conn;
    let clock = conn
        .prepare_cached("SELECT vtime FROM clock")?
        .query_row([], |row| row.get(0))?;
    let mut turns = Turns::new(clock);
    let lines: BTreeSet<Line> = candidates.iter().map(|c| c.line).collect();
    let mut vtime = conn.prepare_cached(
        "SELECT vtime FROM flows WHERE tenant = ?1 AND queue = ?2 AND priority = ?3",
    )?;
    let mut tenant =
        conn.prepare_cached("SELECT weight, running_max FROM tenants WHERE id = ?1")?;
    let mut running = conn.prepare_cached(RUNNING_OF)?;
    for line in lines {
        let (weight, most): (u64, Option<u32>) = tenant
            .query_row([line.tenant.as_bytes()], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        let values = params![line.tenant.as_bytes(), line.queue.as_str(), line.priority];
        let vtime: Option<i64> = vtime.query_row(values, |row| row.get(0)).optional()?;
        turns.add(line, weight, vtime);
        if let Some(most) = most {
            let running: u32 = running.query_row([line.tenant.as_bytes()], |row| row.get(0))?;
            turns.limit(line.tenant, most.saturating_sub(running));
        }
    }
    Ok(turns)
}

fn save(s: &Session<'_>, turns: &Turns) -> Result<(), StoreError> {
    let mut statement = s.conn.prepare_cached(
        "INSERT INTO flows VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET vtime = excluded.vtime",
    )?;
    for (line, vtime, _) in turns.served() {
        statement.execute(params![
            line.tenant.as_bytes(),
            line.queue.as_str(),
            line.priority,
            vtime
        ])?;
    }
    s.conn
        .prepare_cached("UPDATE clock SET vtime = ?1 WHERE vtime < ?1")?
        .execute([turns.clock()])?;
    Ok(())
}

/// Whether nothing below the idle lane is ready or running.
fn is_idle(s: &Session<'_>) -> Result<bool, StoreError> {
    let mut first = s.conn.prepare_cached(READY)?;
    for queue in Queue::ALL {
        for line in lines(s.conn, *queue)? {
            let values = params![
                queue.as_str(),
                line.tenant.as_bytes(),
                line.priority,
                line.needs,
                1
            ];
            let lane: u8 = first.query_row(values, |row| row.get("lane"))?;
            if lane < IDLE_LANE {
                return Ok(false);
            }
        }
    }
    let mut running = s.conn.prepare_cached(RUNNING_BELOW)?;
    let busy: bool = running.query_row([IDLE_LANE], |row| row.get(0))?;
    Ok(!busy)
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
