//! The core's effects, done to rows in the order in which the core gives them.

use super::live::Live;
use super::renditions::{self, Which};
use super::rows::{id, named, waiting};
use super::task::{Hand, make_ready};
use super::writer::Session;
use crate::StoreError;
use mediaflow_core::transition::Effect;
use mediaflow_core::{Cost, ErrorCode, Queue, TaskId, TaskState};
use rusqlite::{Params, params};
use std::time::Duration;

impl Live {
    /// Does what the core decided. `hand` is the task in hand, where there is one.
    pub(super) fn apply(
        &mut self,
        s: &Session<'_>,
        effects: &[Effect],
        hand: Option<&Hand>,
    ) -> Result<(), StoreError> {
        let in_hand = || hand.expect("the core moves a task in hand only when it was given one");
        for effect in effects {
            match effect {
                Effect::Task(TaskState::Ready) => requeue(s, in_hand())?,
                Effect::Task(state) => settle(s, in_hand(), *state)?,
                Effect::Retry(pause) => retry(s, in_hand(), *pause)?,
                Effect::Release(step) => self.release(s, *step)?,
                Effect::SucceedByCore(step) => self.succeed_by_core(s, *step)?,
                Effect::Cancel(step, reason) => self.cancel(s, *step, *reason)?,
                Effect::Restore(step) => self.restore(s, *step)?,
                Effect::Expand(step, cost) => self.expand(s, *step, *cost)?,
                Effect::Skip(step) => self.skip(s, *step)?,
                Effect::Publish => self.publish(s)?,
                Effect::DropRenditions => self.drop_renditions(s)?,
                Effect::DropPieces => self.drop_pieces(s)?,
                Effect::Event(event) => self.record(s, event)?,
            }
        }
        Ok(())
    }

    fn release(&self, s: &Session<'_>, step: usize) -> Result<(), StoreError> {
        let mut statement = s.conn.prepare_cached(
            "SELECT id, cpu_ms FROM tasks
             WHERE asset = ?1 AND generation = ?2 AND step = ?3 AND state = 'pending' ORDER BY number",
        )?;
        let tasks = statement
            .query_map(
                params![self.asset.as_bytes(), self.run.generation, step],
                |row| Ok((id::<TaskId>(row, "id")?, row.get("cpu_ms")?)),
            )?
            .collect::<Result<Vec<_>, _>>()?;
        for (task, cpu_ms) in tasks {
            make_ready(s, self.tenant, task, cpu_ms, TaskState::Pending)?;
        }
        Ok(())
    }

    fn succeed_by_core(&self, s: &Session<'_>, step: usize) -> Result<(), StoreError> {
        let (from, to) = (TaskState::Pending, TaskState::Succeeded);
        move_all(
            s,
            (from, to),
            params![self.asset.as_bytes(), self.run.generation, step, s.now.0],
            "UPDATE tasks SET state = 'succeeded', queued_at = ?4, started_at = ?4, finished_at = ?4
             WHERE asset = ?1 AND generation = ?2 AND step = ?3 AND state = 'pending' RETURNING queue",
        )
    }

    /// Counts the tasks of a step that are about to be cancelled.
    fn count_cancelled(&self, s: &Session<'_>, step: usize) -> Result<(), StoreError> {
        let mut statement = s.conn.prepare_cached(
            "SELECT queue, state, count(*), sum(cpu_ms) FROM tasks
             WHERE asset = ?1 AND generation = ?2 AND step = ?3
               AND state IN ('pending', 'ready', 'running', 'waiting') GROUP BY queue, state",
        )?;
        let values = params![self.asset.as_bytes(), self.run.generation, step];
        let mut rows = statement.query(values)?;
        while let Some(row) = rows.next()? {
            let queue = named(row, "queue", Queue::parse)?;
            let state = named(row, "state", TaskState::parse)?;
            let (tasks, cpu_ms): (i64, i64) = (row.get(2)?, row.get(3)?);
            s.memory.count(queue, state, -tasks, -cpu_ms);
            s.memory.count(queue, TaskState::Cancelled, tasks, cpu_ms);
        }
        Ok(())
    }

    fn cancel(&self, s: &Session<'_>, step: usize, reason: ErrorCode) -> Result<(), StoreError> {
        s.conn
            .prepare_cached(
                "UPDATE attempts SET ended_at = ?4, outcome = 'cancelled', code = ?5, message = ?6
                 WHERE ended_at IS NULL AND task IN (
                    SELECT id FROM tasks WHERE asset = ?1 AND generation = ?2 AND step = ?3 AND state = 'running')",
            )?
            .execute(params![
                self.asset.as_bytes(), self.run.generation, step, s.now.0, reason.as_str(), reason.meaning()
            ])?;
        self.count_cancelled(s, step)?;
        s.conn
            .prepare_cached(
                "UPDATE tasks SET state = 'cancelled', fence = fence + 1, lease_until = NULL, retry_at = NULL,
                        finished_at = ?4, error_code = ?5, error_message = ?6
                 WHERE asset = ?1 AND generation = ?2 AND step = ?3
                   AND state IN ('pending', 'ready', 'running', 'waiting')",
            )?
            .execute(params![
                self.asset.as_bytes(), self.run.generation, step, s.now.0, reason.as_str(), reason.meaning()
            ])?;
        s.memory.forget_ready();
        Ok(())
    }

    fn restore(&self, s: &Session<'_>, step: usize) -> Result<(), StoreError> {
        let (from, to) = (TaskState::Cancelled, TaskState::Pending);
        move_all(
            s,
            (from, to),
            params![self.asset.as_bytes(), self.run.generation, step],
            "UPDATE tasks SET state = 'pending', finished_at = NULL, error_code = NULL, error_message = NULL
             WHERE asset = ?1 AND generation = ?2 AND step = ?3 AND state = 'cancelled' RETURNING queue",
        )
    }

    fn expand(&self, s: &Session<'_>, step: usize, cost: Cost) -> Result<(), StoreError> {
        self.set_cost(s, step, cost)?;
        for number in 1..self.run.steps[step].total {
            self.insert_task(s, step, number, TaskState::Pending, cost)?;
        }
        Ok(())
    }

    fn skip(&self, s: &Session<'_>, step: usize) -> Result<(), StoreError> {
        let (from, to) = (TaskState::Pending, TaskState::Skipped);
        move_all(
            s,
            (from, to),
            params![self.asset.as_bytes(), self.run.generation, step, s.now.0],
            "UPDATE tasks SET state = 'skipped', finished_at = ?4
             WHERE asset = ?1 AND generation = ?2 AND step = ?3 AND state = 'pending' RETURNING queue",
        )
    }

    fn publish(&mut self, s: &Session<'_>) -> Result<(), StoreError> {
        let generation = self.run.generation;
        // Nothing is older than the first.
        if generation > 1 {
            let which = Which::Before(generation);
            let paths = renditions::withdraw(s, self.asset, self.published, which)?;
            renditions::purge(s, self.asset, &paths)?;
        }
        self.partial = false;
        self.set_published(s, generation)
    }

    fn drop_renditions(&mut self, s: &Session<'_>) -> Result<(), StoreError> {
        let paths = renditions::withdraw(s, self.asset, self.published, Which::All)?;
        renditions::purge(s, self.asset, &paths)?;
        self.set_published(s, 0)
    }

    /// What can be shown of an unfinished first run stays until a newer one is published.
    pub(super) fn keep_showing(&mut self, s: &Session<'_>) -> Result<(), StoreError> {
        self.partial = true;
        self.set_published(s, self.run.generation)
    }

    fn set_published(&mut self, s: &Session<'_>, generation: u32) -> Result<(), StoreError> {
        self.published = generation;
        s.conn
            .prepare_cached("UPDATE assets SET published = ?2 WHERE id = ?1")?
            .execute(params![self.asset.as_bytes(), generation])?;
        Ok(())
    }
}

/// The task ends, or waits for a person.
fn settle(s: &Session<'_>, hand: &Hand, state: TaskState) -> Result<(), StoreError> {
    let clean = matches!(state, TaskState::Succeeded | TaskState::Waiting);
    s.conn
        .prepare_cached(
            "UPDATE tasks SET state = ?2, lease_until = NULL, retry_at = NULL, finished_at = ?3,
                    error_code = iif(?4, NULL, error_code), error_message = iif(?4, NULL, error_message)
             WHERE id = ?1",
        )?
        .execute(params![
            hand.id.as_bytes(),
            state.as_str(),
            state.is_ended().then_some(s.now.0),
            clean,
        ])?;
    hand.moved(s, state);
    Ok(())
}

/// Back into the queue: given back unharmed, in its old place, or replayed, as if new.
fn requeue(s: &Session<'_>, hand: &Hand) -> Result<(), StoreError> {
    if hand.task.state == TaskState::Running {
        let waiting = s
            .conn
            .prepare_cached(
                "UPDATE tasks SET state = 'ready', lease_until = NULL, queued_at = ?2,
                        attempts = attempts - 1, tries = tries - 1
                 WHERE id = ?1 RETURNING id, asset, queue, lane",
            )?
            .query_row(params![hand.id.as_bytes(), s.now.0], waiting)?;
        s.memory.forget_ready();
        hand.moved(s, TaskState::Ready);
        s.ready.borrow_mut().push(waiting);
        return Ok(());
    }
    s.conn
        .prepare_cached(
            "UPDATE tasks SET attempts = 0, crashes = 0, alone = 0, losses_alone = 0,
                    error_code = NULL, error_message = NULL
             WHERE id = ?1",
        )?
        .execute(params![hand.id.as_bytes()])?;
    make_ready(s, hand.tenant, hand.id, hand.cpu_ms, hand.task.state)
}

fn retry(s: &Session<'_>, hand: &Hand, pause: Duration) -> Result<(), StoreError> {
    s.conn
        .prepare_cached(
            "UPDATE tasks SET state = 'waiting', lease_until = NULL, retry_at = ?2 WHERE id = ?1",
        )?
        .execute(params![hand.id.as_bytes(), s.now.after(pause).0])?;
    hand.moved(s, TaskState::Waiting);
    Ok(())
}

/// Moves tasks from one state to another, neither of them ready, by a statement that answers their queues.
fn move_all(
    s: &Session<'_>,
    (from, to): (TaskState, TaskState),
    values: impl Params,
    sql: &str,
) -> Result<(), StoreError> {
    let mut statement = s.conn.prepare_cached(sql)?;
    let queues = statement.query_map(values, |row| named(row, "queue", Queue::parse))?;
    for queue in queues {
        s.memory.moved(queue?, 0, Some(from), to);
    }
    Ok(())
}
