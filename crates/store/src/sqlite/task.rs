//! A task row in hand, and its way into the queue.

use super::rows::{id, named, waiting};
use super::writer::Session;
use crate::StoreError;
use crate::load::minute;
use mediaflow_core::transition::TaskInHand;
use mediaflow_core::{AssetId, Failure, FailureKind, TaskId, TaskState, TenantId};
use rusqlite::{Connection, OptionalExtension, params};

/// A task, as far as deciding about it needs.
pub(super) struct Hand {
    pub(super) id: TaskId,
    pub(super) tenant: TenantId,
    pub(super) asset: AssetId,
    pub(super) generation: u32,
    pub(super) fence: u64,
    pub(super) cpu_ms: u32,
    pub(super) task: TaskInHand,
}

impl Hand {
    pub(super) fn load(s: &Session<'_>, task: TaskId) -> Result<Self, StoreError> {
        let found = s
            .conn
            .prepare_cached(
                "SELECT tenant, asset, generation, step, state, fence, attempts, crashes, alone, losses_alone, cpu_ms
                 FROM tasks WHERE id = ?1",
            )?
            .query_row([task.as_bytes()], |row| {
                Ok(Self {
                    id: task,
                    tenant: id(row, "tenant")?,
                    asset: id(row, "asset")?,
                    generation: row.get("generation")?,
                    fence: row.get("fence")?,
                    cpu_ms: row.get("cpu_ms")?,
                    task: TaskInHand {
                        step: row.get("step")?,
                        state: named(row, "state", TaskState::parse)?,
                        attempts: row.get("attempts")?,
                        crashes: row.get("crashes")?,
                        alone: row.get("alone")?,
                        losses_alone: row.get("losses_alone")?,
                    },
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
            s.conn
                .prepare_cached(
                    "INSERT INTO queue_minutes SELECT ?2, queue, 0, 1, cpu_ms, max(?3 - started_at, 0) FROM tasks WHERE id = ?1
                     ON CONFLICT DO UPDATE SET done = done + 1, estimated_ms = estimated_ms + excluded.estimated_ms,
                        spent_ms = spent_ms + excluded.spent_ms",
                )?
                .execute(params![self.id.as_bytes(), minute(s.now), s.now.0])?;
        }
        Ok(())
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
) -> Result<(), StoreError> {
    let rank: i64 = s
        .conn
        .prepare_cached(
            "UPDATE tenants SET vtime = max(vtime, (SELECT vtime FROM clock)) + ?2 * 1000 / weight
             WHERE id = ?1 RETURNING vtime - ?2 * 1000 / weight",
        )?
        .query_row(params![tenant.as_bytes(), cpu_ms], |row| row.get(0))?;
    let waiting = s
        .conn
        .prepare_cached(
            "UPDATE tasks SET state = 'ready', rank = ?2, queued_at = ?3, retry_at = NULL, lease_until = NULL,
                    finished_at = NULL
             WHERE id = ?1 RETURNING id, asset, queue, lane",
        )?
        .query_row(params![task.as_bytes(), rank, s.now.0], waiting)?;
    s.conn
        .prepare_cached(
            "INSERT INTO queue_minutes SELECT ?2, queue, 1, 0, 0, 0 FROM tasks WHERE id = ?1
             ON CONFLICT DO UPDATE SET arrived = arrived + 1",
        )?
        .execute(params![task.as_bytes(), minute(s.now)])?;
    s.ready.borrow_mut().push(waiting);
    Ok(())
}

/// Every task that holds a lease.
pub(super) fn running(conn: &Connection) -> Result<Vec<TaskId>, StoreError> {
    let mut statement = conn.prepare("SELECT id FROM tasks WHERE state = 'running' ORDER BY id")?;
    let ids = statement.query_map([], |row| id(row, "id"))?;
    Ok(ids.collect::<Result<_, _>>()?)
}
