//! Which ready task goes to whom. No asset is touched and no event written: the attempt is the record.

use super::blobs::blob_from;
use super::rows::{id, maybe_json, named, sha, time};
use super::writer::Session;
use crate::fairness::{Line, Turns};
use crate::giving::{
    Candidate, Giving, IDLE_LANE, LOOKAHEAD, any_too_large, is_its_turn, look_elsewhere,
};
use crate::load::can;
use crate::{Capacity, Claimed, Lease, Presence, StoreError};
use mediaflow_core::operation::Facts;
use mediaflow_core::{AssetId, AssetOptions, Cost, Queue, TaskId, TaskState, TenantId};
use rusqlite::{Connection, OptionalExtension, Row, params};

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
    "SELECT id, tenant, priority, lane, rank, cpu_ms, memory_bytes, alone, queued_at, needs, queue FROM tasks
     WHERE state = 'ready' AND queue = ?1 AND tenant = ?2 AND priority = ?3 AND needs = ?4 ORDER BY lane, rank LIMIT ?5";
pub(super) const READY_OF_ASSET: &str =
    "SELECT id, tenant, priority, lane, rank, cpu_ms, memory_bytes, alone, queued_at, needs, queue
     FROM tasks INDEXED BY tasks_by_step
     WHERE asset = ?1 AND state = 'ready' ORDER BY lane, rank LIMIT ?2";
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
    let ready = claim.of_asset(asset)?;
    for &(queues, slots) in &capacity.slots {
        let found = ready.iter().filter(|c| queues.contains(&c.line.queue));
        let found: Vec<&Candidate> = found.collect();
        if found.is_empty() {
            continue;
        }
        // Of each line its first counts, and whatever is given from this asset uncovers one behind it.
        let heads = claim.heads(queues, slots, slots.saturating_add(1))?;
        let chosen = s.memory.with_turns(s.conn, heads, |turns, mut heads| {
            heads.sort_by_key(|head| (turns.turn(&head.line), head.place()));
            Ok(claim.choose_offered(&found, heads, turns, slots))
        })?;
        let Some(chosen) = chosen else { break };
        for candidate in chosen {
            claim.give(candidate)?;
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

    fn give_from(
        &mut self,
        queues: &[Queue],
        slots: u32,
        others: impl Fn() -> Vec<Presence>,
    ) -> Result<(), StoreError> {
        if slots == 0 {
            return Ok(());
        }
        let mut candidates = self.heads(queues, slots, u32::MAX)?;
        if any_too_large(&candidates, self.capacity) {
            look_elsewhere(&mut candidates, self.capacity, others());
        }
        let s = self.s;
        let idle = || is_idle(s);
        let chosen = s
            .memory
            .with_turns(s.conn, candidates, |turns, candidates| {
                self.giving.choose(candidates, turns, slots, idle)
            })?;
        for candidate in &chosen {
            self.give(candidate)?;
        }
        Ok(())
    }

    /// What to offer of these ready tasks of an asset, beside the first ones of all lines in the order of their turns;
    /// nothing at all where one of those has waited too long.
    fn choose_offered<'c>(
        &mut self,
        found: &[&'c Candidate],
        mut heads: Vec<Candidate>,
        turns: &mut Turns,
        slots: u32,
    ) -> Option<Vec<&'c Candidate>> {
        if heads.first().is_some_and(|h| self.giving.is_blocked_by(h)) {
            return None;
        }
        let mut chosen = Vec::new();
        for candidate in found {
            if chosen.len() < slots as usize
                && self.giving.may_offer(candidate)
                && is_its_turn(candidate, turns, &heads)
            {
                self.giving.take(candidate);
                turns.serve(&candidate.line, candidate.cpu_ms);
                heads.retain(|head| head.id != candidate.id);
                chosen.push(*candidate);
            }
        }
        Some(chosen)
    }

    /// The first tasks of each line that this worker may take from, at most so many of one.
    fn heads(&self, queues: &[Queue], slots: u32, most: u32) -> Result<Vec<Candidate>, StoreError> {
        let mut found = Vec::new();
        let wanted = slots.saturating_add(LOOKAHEAD) as usize;
        // Of many lines none gets more than a few.
        let each = |lines: usize| (wanted / lines.max(1)).max(2).min(most as usize);
        for queue in queues {
            let can = |needs: &str| self.can(needs);
            found.extend(self.s.memory.heads(self.s.conn, *queue, can, each)?);
        }
        Ok(found)
    }

    /// Whether the worker has all of these capabilities.
    fn can(&self, needs: &str) -> bool {
        can(needs, &self.capacity.capabilities)
    }

    /// The ready tasks of an asset that this worker may take.
    fn of_asset(&self, asset: AssetId) -> Result<Vec<Candidate>, StoreError> {
        let slots = self.capacity.slots.iter().map(|(_, slots)| *slots);
        let limit = slots.max().unwrap_or(0).saturating_add(LOOKAHEAD);
        let mut statement = self.s.conn.prepare_cached(READY_OF_ASSET)?;
        let found = statement.query_map(params![asset.as_bytes(), limit], candidate)?;
        let mut ready = Vec::new();
        for candidate in found {
            let candidate = candidate?;
            let is_off = self.s.memory.is_off(self.s.conn, candidate.line.queue)?;
            if !is_off && self.can(&candidate.needs) {
                ready.push(candidate);
            }
        }
        ready.sort_by_key(Candidate::place);
        Ok(ready)
    }

    fn give(&mut self, candidate: &Candidate) -> Result<(), StoreError> {
        let (conn, now) = (self.s.conn, self.s.now);
        let task = candidate.id.as_bytes();
        let worker = &self.capacity.worker_name;
        conn.prepare_cached(
            "UPDATE tasks SET state = 'running', fence = fence + 1, attempts = attempts + 1, tries = tries + 1,
                    lease_until = ?2, started_at = ?3, worker = ?4
             WHERE id = ?1",
        )?
        .execute(params![task, now.after(self.capacity.lease).0, now.0, worker])?;
        conn.prepare_cached(
            "INSERT INTO attempts (task, fence, number, worker, request, started_at)
             SELECT id, fence, tries, worker, ?2, started_at FROM tasks WHERE id = ?1",
        )?
        .execute(params![task, self.request])?;
        self.s.given(candidate.id);
        self.s.memory.remove(candidate);
        let (queue, cpu_ms) = (candidate.line.queue, candidate.cpu_ms);
        let from = Some(TaskState::Ready);
        let memory = &self.s.memory;
        memory.moved(queue, cpu_ms, from, TaskState::Running);
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

/// A ready task in the columns of [`READY`].
pub(super) fn candidate(row: &Row<'_>) -> rusqlite::Result<Candidate> {
    Ok(Candidate {
        id: id(row, 0)?,
        line: Line {
            tenant: id(row, 1)?,
            queue: named(row, 10, Queue::parse)?,
            priority: row.get(2)?,
        },
        lane: row.get(3)?,
        rank: row.get(4)?,
        cpu_ms: row.get(5)?,
        memory: row.get(6)?,
        alone: row.get(7)?,
        queued_at: time(row, 8)?,
        needs: row.get(9)?,
        elsewhere: false,
    })
}

/// Ready tasks of one tenant and urgency that need the same.
pub(super) struct Lined {
    pub(super) tenant: TenantId,
    pub(super) priority: u8,
    pub(super) needs: String,
}

impl Lined {
    /// The line of a task.
    pub(super) fn of(task: &Candidate) -> Self {
        Self {
            tenant: task.line.tenant,
            priority: task.line.priority,
            needs: task.needs.clone(),
        }
    }

    /// Whether a task of the same queue is in it.
    pub(super) fn is_of(&self, task: &Candidate) -> bool {
        (self.tenant, self.priority) == (task.line.tenant, task.line.priority)
            && self.needs == task.needs
    }
}

/// The first tasks of a line, in their order.
pub(super) fn first_of(
    conn: &Connection,
    queue: Queue,
    line: &Lined,
    most: usize,
) -> Result<Vec<Candidate>, StoreError> {
    let (tenant, needs) = (line.tenant.as_bytes(), &line.needs);
    let values = params![queue.as_str(), tenant, line.priority, needs, most];
    let mut ready = conn.prepare_cached(READY)?;
    let rows = ready.query_map(values, candidate)?;
    Ok(rows.collect::<Result<_, _>>()?)
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

/// Up to where a line was served, if it ever was.
pub(super) fn vtime(conn: &Connection, line: &Line) -> Result<Option<i64>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT vtime FROM flows WHERE tenant = ?1 AND queue = ?2 AND priority = ?3",
    )?;
    let values = params![line.tenant.as_bytes(), line.queue.as_str(), line.priority];
    Ok(statement.query_row(values, |row| row.get(0)).optional()?)
}

/// How many tasks of a tenant are running.
pub(super) fn running_of(conn: &Connection, tenant: TenantId) -> Result<u32, StoreError> {
    let mut statement = conn.prepare_cached(RUNNING_OF)?;
    Ok(statement.query_row([tenant.as_bytes()], |row| row.get(0))?)
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
            fence: row.get(0)?,
        },
        tenant: id(row, 1)?,
        asset: id(row, 2)?,
        generation: row.get(3)?,
        step: row.get(4)?,
        number: row.get(5)?,
        cost: Cost {
            memory_bytes: row.get(6)?,
            cpu_ms: row.get(7)?,
        },
        attempt: row.get(8)?,
        alone: row.get(9)?,
        ready_at: time(row, 10)?,
        recipe: s.frozen.recipe(s.conn, sha(row, 11)?)?,
        settings: s.frozen.settings(s.conn, sha(row, 12)?)?,
        options: AssetOptions {
            watermark: row.get(13)?,
            focus: maybe_json(row, 14)?,
            ..AssetOptions::default()
        },
        media_type: row.get(15)?,
        facts: Facts {
            pixels: row.get(16)?,
            frames: row.get(17)?,
            bytes: row.get(18)?,
        },
        correlation_id: row.get(19)?,
        original: blob_from(row, 20)?,
    })
}
