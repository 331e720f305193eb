//! A task row in hand, and its way into the queue.

use super::claim::candidate;
use super::rows::{id, named};
use super::writer::Session;
use crate::load::minute;
use crate::{StoreError, Waiting};
use mediaflow_core::transition::TaskInHand;
use mediaflow_core::{AssetId, Failure, FailureKind, Queue, TaskId, TaskState, TenantId};
use rusqlite::{Connection, OptionalExtension, params};

/// A task, as far as deciding about it needs.
pub(super) struct Hand {
    pub(super) id: TaskId,
    pub(super) tenant: TenantId,
    pub(super) asset: AssetId,
    pub(super) generation: u32,
    pub(super) fence: u64,
    pub(super) cpu_ms: u32,
    queue: Queue,
    started_at: Option<i64>,
    pub(super) task: TaskInHand,
}

impl Hand {
    pub(super) fn load(s: &Session<'_>, task: TaskId) -> Result<Self, StoreError> {
        let found = s
            .conn
            .prepare_cached(
                "SELECT tenant, asset, generation, step, state, fence, attempts, crashes, alone, losses_alone, cpu_ms,
                        queue, started_at
                 FROM tasks WHERE id = ?1",
            )?
            .query_row([task.as_bytes()], |row| {
                Ok(Self {
                    id: task,
                    tenant: id(row, 0)?,
                    asset: id(row, 1)?,
                    generation: row.get(2)?,
                    task: TaskInHand {
                        step: row.get(3)?,
                        state: named(row, 4, TaskState::parse)?,
                        attempts: row.get(6)?,
                        crashes: row.get(7)?,
                        alone: row.get(8)?,
                        losses_alone: row.get(9)?,
                    },
                    fence: row.get(5)?,
                    cpu_ms: row.get(10)?,
                    queue: named(row, 11, Queue::parse)?,
                    started_at: row.get(12)?,
                })
            })
            .optional()?;
        found.ok_or(StoreError::TaskNotFound)
    }

    /// Ends the attempt in hand.
    pub(super) fn end_attempt(
        &self,
        s: &Session<'_>,
        outcome: &str,
        failure: Option<&Failure>,
    ) -> Result<(), StoreError> {
        s.conn
            .prepare_cached(
                "UPDATE attempts SET ended_at = ?3, outcome = ?4, code = ?5, message = ?6
                 WHERE task = ?1 AND fence = ?2",
            )?
            .execute(params![
                self.id.as_bytes(),
                self.fence,
                s.now.0,
                outcome,
                failure.map(|f| f.code.as_str()),
                failure.map(|f| &f.message),
            ])?;
        if outcome != "handed_back" {
            let spent = s.now.0 - self.started_at.unwrap_or(s.now.0);
            let spent = u64::try_from(spent).unwrap_or(0);
            s.memory.done(minute(s.now), self.queue, self.cpu_ms, spent);
        }
        Ok(())
    }

    /// It goes to another state.
    pub(super) fn moved(&self, s: &Session<'_>, to: TaskState) {
        let from = Some(self.task.state);
        s.memory.moved(self.queue, self.cpu_ms, from, to);
    }

    /// Remembers what the next decision about it depends on.
    pub(super) fn note_failure(
        &self,
        s: &Session<'_>,
        failure: &Failure,
    ) -> Result<(), StoreError> {
        let lost = failure.kind == FailureKind::Lost;
        let uncounted = failure.kind == FailureKind::Deferred;
        s.conn
            .prepare_cached(
                "UPDATE tasks SET error_code = ?2, error_message = ?3, crashes = crashes + ?4,
                        losses_alone = losses_alone + ?5, alone = max(alone, ?6),
                        attempts = attempts - ?7, tries = tries - ?7
                 WHERE id = ?1",
            )?
            .execute(params![
                self.id.as_bytes(),
                failure.code.as_str(),
                failure.message,
                failure.kind == FailureKind::Crash,
                lost && self.task.alone,
                lost,
                uncounted,
            ])?;
        Ok(())
    }
}

/// Puts a task into the queue, at its tenant's virtual time. The tenant pays for it here, so that
/// whoever asks for much waits behind whoever asks for little.
pub(super) fn make_ready(
    s: &Session<'_>,
    tenant: TenantId,
    task: TaskId,
    cpu_ms: u32,
    from: TaskState,
) -> Result<(), StoreError> {
    let rank = s.memory.charge(s.conn, tenant, cpu_ms)?;
    s.conn
        .prepare_cached(
            "UPDATE tasks SET state = 'ready', rank = ?2, queued_at = ?3, retry_at = NULL, lease_until = NULL,
                    finished_at = NULL
             WHERE id = ?1",
        )?
        .execute(params![task.as_bytes(), rank, s.now.0])?;
    // To have the statement above return this would have it keep all pages that it changes twice.
    let (task, asset) = s
        .conn
        .prepare_cached(
            "SELECT id, tenant, priority, lane, rank, cpu_ms, memory_bytes, alone, queued_at, needs, queue, asset
             FROM tasks WHERE id = ?1",
        )?
        .query_row([task.as_bytes()], |row| Ok((candidate(row)?, id(row, 11)?)))?;
    let queue = task.line.queue;
    s.memory.add(&task);
    s.memory.arrived(minute(s.now), queue);
    s.memory.moved(queue, cpu_ms, Some(from), TaskState::Ready);
    s.ready.borrow_mut().push(Waiting {
        task: task.id,
        asset,
        queue,
        lane: task.lane,
    });
    Ok(())
}

/// Every task that holds a lease.
pub(super) fn running(conn: &Connection) -> Result<Vec<TaskId>, StoreError> {
    let mut statement = conn.prepare("SELECT id FROM tasks WHERE state = 'running' ORDER BY id")?;
    let ids = statement.query_map([], |row| id(row, "id"))?;
    Ok(ids.collect::<Result<_, _>>()?)
}
