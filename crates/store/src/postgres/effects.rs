//! The core's effects, turned into changes.

use super::changes::{Changes, NewTask, Withdrawal, values};
use super::hand::Hand;
use super::live::Live;
use super::rows::clamp;
use mediaflow_core::operation::{Cost, Facts};
use mediaflow_core::transition::Effect;
use mediaflow_core::{ErrorCode, TaskState};

const CANCEL: &str = "UPDATE tasks SET state = 'cancelled', fence = fence + 1, lease_until = NULL, retry_at = NULL,
            finished_at = $4, error_code = $5, error_message = $6
     WHERE asset = $1 AND generation = $2 AND step = $3 AND state IN ('pending', 'ready', 'running', 'waiting')";
/// After [`CANCEL`], which waits for claims at work: a statement of its own sees their attempts.
const CANCEL_ATTEMPTS: &str = "UPDATE attempts SET ended_at = $4, outcome = 'cancelled', code = $5, message = $6
     WHERE ended_at IS NULL AND task IN (
        SELECT id FROM tasks WHERE asset = $1 AND generation = $2 AND step = $3 AND state = 'cancelled')";
const RESTORE: &str = "UPDATE tasks SET state = 'pending', finished_at = NULL, error_code = NULL, error_message = NULL
     WHERE asset = $1 AND generation = $2 AND step = $3 AND state = 'cancelled'";
const SKIP: &str = "UPDATE tasks SET state = 'skipped', finished_at = $4
     WHERE asset = $1 AND generation = $2 AND step = $3 AND state = 'pending'";
const COST: &str = "UPDATE tasks t SET memory_bytes = w.memory, cpu_ms = w.cpu
     FROM unnest($3::bigint[], $4::bigint[], $5::bigint[]) w (step, memory, cpu)
     WHERE t.asset = $1 AND t.generation = $2 AND t.step = w.step AND t.state = 'pending'";

fn in_hand<'a>(hand: &'a mut Option<&mut Hand>) -> &'a mut Hand {
    let hand = hand.as_deref_mut();
    hand.expect("the core moves a task in hand only when it was given one")
}

impl Live {
    /// Does what the core decided. `hand` is the task in hand, where there is one.
    pub(super) fn apply(
        &mut self,
        changes: &mut Changes,
        effects: &[Effect],
        mut hand: Option<&mut Hand>,
    ) {
        for effect in effects {
            match effect {
                Effect::Task(TaskState::Ready) => in_hand(&mut hand).requeue(changes),
                Effect::Task(state) => in_hand(&mut hand).settle(changes, *state),
                Effect::Retry(pause) => in_hand(&mut hand).retry(changes, *pause),
                Effect::Release(step) => changes.released.push(self.step(*step)),
                Effect::SucceedByCore(step) => changes.by_core.push(self.step(*step)),
                Effect::Cancel(step, reason) => self.cancel(changes, *step, *reason),
                Effect::Restore(step) => changes.call(RESTORE, self.key(*step)),
                Effect::Expand(step, cost) => self.expand(changes, *step, *cost),
                Effect::Skip(step) => {
                    let mut values = self.key(*step);
                    values.extend(values![changes.now.0]);
                    changes.call(SKIP, values);
                }
                Effect::Publish => self.publish(changes),
                Effect::DropRenditions => {
                    let withdrawn = (self.asset, self.published, Withdrawal::All);
                    changes.withdrawals.push(withdrawn);
                    self.published = 0;
                }
                Effect::DropPieces => self.drop_pieces(changes),
                Effect::Event(event) => self.record(changes, event),
            }
        }
    }

    fn step(&self, step: usize) -> (mediaflow_core::AssetId, u32, usize) {
        (self.asset, self.run.generation, step)
    }

    fn key(&self, step: usize) -> Vec<super::changes::Value> {
        values![self.asset.0, i64::from(self.run.generation), clamp(step)]
    }

    fn cancel(&self, changes: &mut Changes, step: usize, reason: ErrorCode) {
        for sql in [CANCEL, CANCEL_ATTEMPTS] {
            let mut values = self.key(step);
            values.extend(values![changes.now.0, reason.as_str(), reason.meaning()]);
            changes.call(sql, values);
        }
    }

    fn expand(&self, changes: &mut Changes, step: usize, cost: Cost) {
        self.set_costs(changes, [(step, cost)]);
        for number in 1..self.run.steps[step].total {
            self.insert_task(changes, step, number, TaskState::Pending, cost);
        }
    }

    fn publish(&mut self, changes: &mut Changes) {
        let generation = self.run.generation;
        // Nothing is older than the first.
        if generation > 1 {
            let which = Withdrawal::Before(generation);
            let withdrawn = (self.asset, self.published, which);
            changes.withdrawals.push(withdrawn);
        }
        self.partial = false;
        self.published = generation;
    }

    /// One task row of a step.
    pub(super) fn insert_task(
        &self,
        changes: &mut Changes,
        step: usize,
        number: u32,
        state: TaskState,
        cost: Cost,
    ) {
        let operation = &self.run.recipe.steps[step].operation;
        changes.tasks.push(NewTask {
            id: changes.env.id(),
            tenant: self.tenant,
            asset: self.asset,
            generation: self.run.generation,
            step,
            number,
            operation: operation.name().to_owned(),
            queue: operation.queue().as_str(),
            lane: operation.lane(),
            state,
            cost,
            priority: self.settings.priority,
            needs: self.run.recipe.requires(step).join(","),
        });
    }

    /// Estimates anew what the tasks need that nobody has claimed, now that more is known.
    pub(super) fn estimate(&self, changes: &mut Changes, facts: Facts) {
        let steps = 0..self.run.recipe.steps.len();
        self.set_costs(
            changes,
            steps.map(|step| (step, self.run.recipe.cost(step, facts))),
        );
    }

    fn set_costs(&self, changes: &mut Changes, costs: impl IntoIterator<Item = (usize, Cost)>) {
        let (mut steps, mut memory, mut cpu) = (Vec::new(), Vec::new(), Vec::new());
        for (step, cost) in costs {
            steps.push(clamp(step));
            memory.push(clamp(cost.memory_bytes));
            cpu.push(i64::from(cost.cpu_ms));
        }
        let generation = i64::from(self.run.generation);
        changes.call(COST, values![self.asset.0, generation, steps, memory, cpu]);
    }
}
