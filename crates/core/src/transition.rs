//! What happens next. Each function takes a run and something that happened to one of its tasks,
//! changes the run, and says what the store must do beside it, in order and in the same transaction.
//!
//! Dependencies join steps, not tasks: completing one of ten thousand tasks costs as much as
//! completing one of two.

use crate::failure::{CRASHES_MAX, DEFERRED_AS, LOSSES_ALONE_MAX, backoff};
use crate::operation::{Cost, Operation};
use crate::recipe::Condition;
use crate::{
    Decision, ErrorCode, EventDraft, EventType, Failure, FailureKind, Recipe, Run, RunSettings,
    RunState, Step, StepStatus, TaskState, Verdict,
};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// What a store must do, in order, in the transaction that changes the run.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// The task in hand goes to this state; leaving `running` otherwise than by a claim ends its lease.
    Task(TaskState),
    /// The task in hand waits this long before it is ready again.
    Retry(Duration),
    /// Every pending task of the step becomes ready.
    Release(usize),
    /// The step's one task becomes succeeded without a worker.
    SucceedByCore(usize),
    /// Every open task of the step becomes cancelled for this reason; its fences rise.
    Cancel(usize, ErrorCode),
    /// Every cancelled task of the step becomes pending again.
    Restore(usize),
    /// The step, whose one task is pending, gets as many as its total says.
    Expand(usize, Cost),
    /// The step's one pending task becomes skipped.
    Skip(usize),
    /// This generation is what readers see from now on; older ones lose their renditions.
    Publish,
    /// All renditions of the asset lose their rows, and what caches hold of them is purged.
    DropRenditions,
    /// What this generation's tasks made of the original for each other loses its rows: no task will ask for it.
    DropPieces,
    /// A fact for the history.
    Event(EventDraft),
}

/// The task in hand, as far as the core needs to know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskInHand {
    /// Which step of the recipe.
    pub step: usize,
    /// Where it is now.
    pub state: TaskState,
    /// Attempts that began, this one included.
    pub attempts: u32,
    /// Attempts before this one that ended in [`FailureKind::Crash`].
    pub crashes: u32,
    /// Whether it was running alone on its worker.
    pub alone: bool,
    /// Times it was lost while running alone, before this one.
    pub losses_alone: u32,
}

/// How many tasks a later step has: found out by a task that it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expansion {
    /// Which step.
    pub step: usize,
    /// None at all skips it.
    pub tasks: u32,
    /// Of each task.
    pub cost: Cost,
}

/// Most tasks of one step.
pub const TASKS_MAX: u32 = 10_000;

/// Why nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The run was superseded, rejected or deleted.
    #[error("the run is over")]
    RunOver,
    /// The task is not in a state that allows this.
    #[error("the task is {}", .0.as_str())]
    State(TaskState),
}

/// Begins a run: each step has one task, skipped where its `when` does not hold.
pub fn start(recipe: Arc<Recipe>, settings: &RunSettings, generation: u32) -> (Run, Vec<Effect>) {
    let steps = recipe
        .steps
        .iter()
        .map(|step| {
            let wanted = match step.when {
                None => true,
                Some(Condition::Watermark) => settings.watermark.is_some(),
            };
            StepStatus {
                total: 1,
                skipped: u32::from(!wanted),
                ..StepStatus::default()
            }
        })
        .collect();
    let mut run = Run {
        generation,
        state: RunState::Uploaded,
        verdict: None,
        steps,
        recipe,
    };
    let mut effects = Vec::new();
    for (index, step) in run.recipe.steps.iter().enumerate() {
        if run.steps[index].skipped > 0 {
            effects.push(Effect::Event(EventDraft::new(
                EventType::TaskSkipped,
                json!({ "step": step.name }),
            )));
        }
    }
    settle(&mut run, &mut effects);
    if run.state == RunState::Processing {
        run.state = RunState::Uploaded;
    }
    (run, effects)
}

/// A worker finished the task. `verdict` is the gate's, for a moderation task: there none at all
/// asks for a person, so that nothing passes by mistake. Other tasks have no say.
///
/// # Errors
/// When the task is not running or the run is over; nothing is changed.
pub fn succeed(
    run: &mut Run,
    task: TaskInHand,
    verdict: Option<Verdict>,
    expansions: &[Expansion],
) -> Result<Vec<Effect>, Refused> {
    expect_state(run, task, &[TaskState::Running])?;
    let gates = run.recipe.steps[task.step].operation == Operation::Moderate;
    let mut effects = Vec::new();
    match gates.then(|| verdict.unwrap_or(Verdict::Review)) {
        Some(Verdict::Reject) => reject(
            run,
            task,
            json!({ "verdict": "reject", "by": "classifier" }),
            &mut effects,
        ),
        Some(Verdict::Review) => {
            effects.push(Effect::Task(TaskState::Waiting));
            run.state = RunState::InReview;
            effects.push(Effect::Event(EventDraft::new(
                EventType::AssetInReview,
                json!({}),
            )));
        }
        Some(Verdict::Pass) => pass(run, task, json!({ "verdict": "pass" }), &mut effects),
        None => {
            let was_viewable = run.is_viewable();
            for &expansion in expansions {
                expand(run, task.step, expansion, &mut effects);
            }
            finish(run, task, was_viewable, &mut effects);
        }
    }
    Ok(effects)
}

/// A person decided about the moderation task that waits.
///
/// # Errors
/// When no decision is awaited any more; nothing is changed.
pub fn decide(
    run: &mut Run,
    task: TaskInHand,
    decision: Decision,
    reason: Option<&str>,
) -> Result<Vec<Effect>, Refused> {
    expect_state(run, task, &[TaskState::Waiting])?;
    // A task also waits between two attempts; then nobody has been asked.
    let gates = run.recipe.steps[task.step].operation == Operation::Moderate;
    if !gates || run.state != RunState::InReview {
        return Err(Refused::State(task.state));
    }
    let mut effects = Vec::new();
    match decision {
        Decision::Approve => pass(
            run,
            task,
            json!({ "verdict": "pass", "by": "person", "reason": reason }),
            &mut effects,
        ),
        Decision::Reject => reject(
            run,
            task,
            json!({ "verdict": "reject", "by": "person", "reason": reason }),
            &mut effects,
        ),
    }
    Ok(effects)
}

/// An attempt failed, its worker vanished ([`FailureKind::Lost`]), or it was put off
/// ([`FailureKind::Deferred`]): that is no fact for the history. `jitter` is uniform over `u32`.
///
/// # Errors
/// When the task is not running or the run is over; nothing is changed.
pub fn fail(
    run: &mut Run,
    task: TaskInHand,
    failure: &Failure,
    jitter: u32,
) -> Result<Vec<Effect>, Refused> {
    expect_state(run, task, &[TaskState::Running])?;
    let step = &run.recipe.steps[task.step];
    let dead = match failure.kind {
        FailureKind::Deferred => return Ok(vec![Effect::Retry(backoff(DEFERRED_AS, jitter))]),
        FailureKind::Permanent => true,
        FailureKind::Transient => task.attempts >= step.attempts,
        FailureKind::Crash => task.attempts >= step.attempts || task.crashes + 1 >= CRASHES_MAX,
        FailureKind::Lost => task.alone && task.losses_alone + 1 >= LOSSES_ALONE_MAX,
    };
    let data = json!({
        "step": step.name, "attempt": task.attempts, "code": failure.code.as_str(), "message": failure.message,
    });
    let mut effects = Vec::new();
    if dead {
        run.steps[task.step].dead += 1;
        effects.push(Effect::Task(TaskState::Dead));
        effects.push(Effect::Event(EventDraft::new(EventType::TaskDead, data)));
    } else {
        effects.push(Effect::Retry(backoff(task.attempts, jitter)));
        effects.push(Effect::Event(EventDraft::new(
            EventType::TaskRetrying,
            data,
        )));
    }
    settle(run, &mut effects);
    Ok(effects)
}

/// A worker gives the task back unharmed, because it shuts down. Costs nothing.
///
/// # Errors
/// When the task is not running or the run is over; nothing is changed.
pub fn hand_back(run: &Run, task: TaskInHand) -> Result<Vec<Effect>, Refused> {
    expect_state(run, task, &[TaskState::Running])?;
    Ok(vec![Effect::Task(TaskState::Ready)])
}

/// A dead task gets another round of attempts, and the steps it took down come back.
/// Repeating it changes nothing.
///
/// # Errors
/// When the run is over. A task that is not dead is left alone: an empty answer.
pub fn replay(run: &mut Run, task: TaskInHand) -> Result<Vec<Effect>, Refused> {
    if !run.state.is_open() {
        return Err(Refused::RunOver);
    }
    if task.state != TaskState::Dead {
        return Ok(Vec::new());
    }
    let was_viewable = run.is_viewable();
    run.steps[task.step].dead -= 1;
    let step = run.recipe.steps[task.step].name.clone();
    let mut effects = vec![
        Effect::Task(TaskState::Ready),
        Effect::Event(EventDraft::new(
            EventType::TaskReplayed,
            json!({ "step": step }),
        )),
    ];
    settle(run, &mut effects);
    announce_viewable(run, was_viewable, &mut effects);
    Ok(effects)
}

/// Ends the run from outside: a newer generation or a deletion. Raises all fences. Only a published
/// run outlives a newer generation, because readers keep it until that one is published; a failed
/// one is over too, so that no replay can publish it late.
pub fn cancel(run: &mut Run, reason: ErrorCode) -> Vec<Effect> {
    let mut effects = Vec::new();
    cancel_open(run, reason, &mut effects);
    let unfinished = matches!(
        run.state,
        RunState::Uploaded | RunState::Processing | RunState::InReview | RunState::Failed
    );
    if unfinished || reason == ErrorCode::AssetDeleted {
        run.state = RunState::Cancelled;
    }
    effects
}

impl Run {
    /// Whether steps that need this one may go on. A skipped step hands its own needs on:
    /// what comes after it still comes after what was before it.
    fn is_met(&self, step: usize) -> bool {
        let Step {
            optional, needs, ..
        } = &self.recipe.steps[step];
        let status = self.steps[step];
        status.is_met(*optional) && (status.skipped == 0 || needs.iter().all(|&n| self.is_met(n)))
    }

    fn is_failed(&self, step: usize) -> bool {
        let Step {
            optional, needs, ..
        } = &self.recipe.steps[step];
        let status = self.steps[step];
        status.is_failed(*optional)
            || (status.skipped > 0 && needs.iter().any(|&n| self.is_failed(n)))
    }
}

fn expect_state(run: &Run, task: TaskInHand, allowed: &[TaskState]) -> Result<(), Refused> {
    if !allowed.contains(&task.state) {
        return Err(Refused::State(task.state));
    }
    if !run.state.is_open() {
        return Err(Refused::RunOver);
    }
    Ok(())
}

fn pass(run: &mut Run, task: TaskInHand, data: serde_json::Value, effects: &mut Vec<Effect>) {
    let was_viewable = run.is_viewable();
    run.verdict = Some(Verdict::Pass);
    if run.state == RunState::InReview {
        run.state = RunState::Processing;
    }
    effects.push(Effect::Event(EventDraft::new(
        EventType::ModerationDecided,
        data,
    )));
    finish(run, task, was_viewable, effects);
}

fn reject(run: &mut Run, task: TaskInHand, data: serde_json::Value, effects: &mut Vec<Effect>) {
    run.verdict = Some(Verdict::Reject);
    run.steps[task.step].succeeded += 1;
    effects.push(Effect::Task(TaskState::Succeeded));
    effects.push(Effect::Event(EventDraft::new(
        EventType::ModerationDecided,
        data.clone(),
    )));
    cancel_open(run, ErrorCode::ModerationRejected, effects);
    run.state = RunState::Rejected;
    effects.push(Effect::DropRenditions);
    effects.push(Effect::Event(EventDraft::new(
        EventType::AssetRejected,
        data,
    )));
}

fn finish(run: &mut Run, task: TaskInHand, was_viewable: bool, effects: &mut Vec<Effect>) {
    run.steps[task.step].succeeded += 1;
    effects.push(Effect::Task(TaskState::Succeeded));
    let step = &run.recipe.steps[task.step].name;
    effects.push(Effect::Event(EventDraft::new(
        EventType::TaskSucceeded,
        json!({ "step": step, "attempt": task.attempts }),
    )));
    announce_viewable(run, was_viewable, effects);
    settle(run, effects);
}

/// Does nothing to a step that has begun, was expanded before (by an attempt before a replay) or does not need `by`.
fn expand(run: &mut Run, by: usize, expansion: Expansion, effects: &mut Vec<Effect>) {
    let Expansion { step, tasks, cost } = expansion;
    let Some(status) = run.steps.get_mut(step) else {
        return;
    };
    let untouched = status.total == 1 && status.open() == 1 && !status.released;
    // What decides about showing is one task, and done.
    if run.recipe.decides_what_shows(step)
        || !untouched
        || !run.recipe.steps[step].needs.contains(&by)
    {
        return;
    }
    if tasks == 0 {
        skip(run, step, effects);
        // Without the picture there is nothing for what would be made of it.
        for after in step + 1..run.recipe.steps.len() {
            if run.recipe.stands_on_picture(after, step) && run.steps[after].skipped == 0 {
                skip(run, after, effects);
            }
        }
    } else if tasks > 1 {
        status.total = tasks.min(TASKS_MAX);
        effects.push(Effect::Expand(step, cost));
    }
}

fn skip(run: &mut Run, step: usize, effects: &mut Vec<Effect>) {
    run.steps[step].skipped = 1;
    effects.push(Effect::Skip(step));
    let data = json!({ "step": run.recipe.steps[step].name });
    effects.push(Effect::Event(EventDraft::new(EventType::TaskSkipped, data)));
}

fn announce_viewable(run: &Run, was_viewable: bool, effects: &mut Vec<Effect>) {
    if !was_viewable && run.is_viewable() {
        effects.push(Effect::Event(EventDraft::new(
            EventType::AssetViewable,
            json!({ "generation": run.generation }),
        )));
    }
}

fn cancel_open(run: &mut Run, reason: ErrorCode, effects: &mut Vec<Effect>) {
    for index in 0..run.steps.len() {
        cancel_step(run, index, reason, effects);
    }
    effects.extend(run.is_at_rest().then_some(Effect::DropPieces));
}

fn cancel_step(run: &mut Run, index: usize, reason: ErrorCode, effects: &mut Vec<Effect>) {
    let status = &mut run.steps[index];
    if status.open() > 0 {
        status.cancelled += status.open();
        effects.push(Effect::Cancel(index, reason));
        let data = json!({ "step": run.recipe.steps[index].name, "code": reason.as_str() });
        effects.push(Effect::Event(EventDraft::new(
            EventType::TaskCancelled,
            data,
        )));
    }
}

/// Brings every step that has not begun, and then the run, in line with what has ended.
/// Steps stand in the recipe in an order in which needs come first, so one pass is enough.
fn settle(run: &mut Run, effects: &mut Vec<Effect>) {
    for index in 0..run.steps.len() {
        let status = run.steps[index];
        if status.released || status.open() + status.cancelled == 0 {
            continue;
        }
        let recipe = Arc::clone(&run.recipe);
        let needs = &recipe.steps[index].needs;
        if needs.iter().any(|&need| run.is_failed(need)) {
            cancel_step(run, index, ErrorCode::UpstreamDead, effects);
            continue;
        }
        if status.cancelled > 0 {
            run.steps[index].cancelled = 0;
            effects.push(Effect::Restore(index));
        }
        if needs.iter().all(|&need| run.is_met(need)) {
            run.steps[index].released = true;
            if recipe.steps[index].operation == Operation::Publish {
                publish(run, index, effects);
            } else {
                effects.push(Effect::Release(index));
            }
        }
    }
    conclude(run, effects);
    effects.extend(run.is_at_rest().then_some(Effect::DropPieces));
}

fn publish(run: &mut Run, index: usize, effects: &mut Vec<Effect>) {
    run.steps[index].succeeded += 1;
    run.state = RunState::Ready;
    effects.push(Effect::SucceedByCore(index));
    effects.push(Effect::Publish);
    let data = json!({ "generation": run.generation });
    effects.push(Effect::Event(EventDraft::new(EventType::AssetReady, data)));
}

/// Whether the run has failed, or is at work again after a replay.
fn conclude(run: &mut Run, effects: &mut Vec<Effect>) {
    if matches!(run.state, RunState::Ready | RunState::InReview) || !run.state.is_open() {
        return;
    }
    let recipe = &run.recipe;
    let counted = |index: &usize| recipe.is_before_publish(*index);
    let at_work = (0..run.steps.len())
        .filter(counted)
        .any(|i| run.steps[i].open() > 0);
    let next = if at_work {
        RunState::Processing
    } else {
        RunState::Failed
    };
    if next == RunState::Failed && run.state != RunState::Failed {
        let dead = (0..run.steps.len())
            .filter(counted)
            .find(|&i| run.steps[i].dead > 0 && run.is_failed(i));
        let step = dead.map(|i| recipe.steps[i].name.clone());
        let data = json!({ "generation": run.generation, "step": step });
        effects.push(Effect::Event(EventDraft::new(EventType::AssetFailed, data)));
    }
    run.state = next;
}
