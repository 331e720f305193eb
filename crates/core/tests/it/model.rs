//! The smallest store that does what the core says, and judges it after every step by the task
//! rows alone.

use mediaflow_core::operation::Facts;
use mediaflow_core::run::WatermarkSettings;
use mediaflow_core::transition::{self, Effect, Expansion, Refused, TaskInHand};
use mediaflow_core::{
    Decision, ErrorCode, EventType, Failure, FailureKind, Operation, Recipe, Run, RunSettings,
    RunState, Sha256, StepStatus, TaskState, Verdict,
};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A task row.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) step: usize,
    pub(crate) state: TaskState,
    /// Whether `waiting` waits for a time, and not for a person.
    pub(crate) retries: bool,
    pub(crate) fence: u32,
    pub(crate) attempts: u32,
    pub(crate) crashes: u32,
    pub(crate) losses: u32,
    pub(crate) losses_alone: u32,
}

pub(crate) struct Model {
    pub(crate) run: Run,
    pub(crate) rows: Vec<Row>,
    /// Every change of a task's state that was seen.
    pub(crate) seen: BTreeSet<(TaskState, TaskState)>,
    pub(crate) events: Vec<EventType>,
    pub(crate) published: bool,
    pub(crate) dropped: bool,
    /// How many tasks each step is found to have, once one that it needs is done.
    pub(crate) found: Vec<u32>,
    /// A newer generation or a deletion came: the store refuses replays from then on.
    pub(crate) over: bool,
}

impl Model {
    /// `tasks` is the number of tasks of each step that can expand.
    pub(crate) fn start(
        recipe: &Arc<Recipe>,
        watermark: bool,
        generation: u32,
        tasks: &[u32],
    ) -> Self {
        let settings = RunSettings {
            watermark: watermark.then(|| WatermarkSettings {
                sha256: Sha256::of(b"mark"),
                position: "center".into(),
                opacity: 0.5,
                scale: 0.2,
            }),
            ..RunSettings::default()
        };
        let (run, effects) = transition::start(Arc::clone(recipe), &settings, generation);
        let rows = run.steps.iter().enumerate().map(|(step, status)| Row {
            step,
            state: if status.skipped > 0 {
                TaskState::Skipped
            } else {
                TaskState::Pending
            },
            retries: false,
            fence: 0,
            attempts: 0,
            crashes: 0,
            losses: 0,
            losses_alone: 0,
        });
        let mut model = Self {
            rows: rows.collect(),
            run,
            seen: BTreeSet::new(),
            events: Vec::new(),
            published: false,
            dropped: false,
            found: Vec::new(),
            over: false,
        };
        model.apply(None, effects);
        for (step, &count) in tasks.iter().enumerate().take(recipe.steps.len()) {
            if expands(&recipe.steps[step].operation)
                && model.rows[step].state == TaskState::Pending
            {
                model.run.steps[step].total = count.max(1);
                for _ in 1..count {
                    let row = model.rows[step].clone();
                    model.rows.push(row);
                }
            }
        }
        model.check();
        model
    }

    pub(crate) fn hand(&self, row: usize) -> TaskInHand {
        let r = &self.rows[row];
        TaskInHand {
            step: r.step,
            state: r.state,
            attempts: r.attempts,
            crashes: r.crashes,
            alone: r.losses > 0,
            losses_alone: r.losses_alone,
        }
    }

    pub(crate) fn claim(&mut self, row: usize) {
        self.set(row, TaskState::Running);
        self.rows[row].fence += 1;
        self.rows[row].attempts += 1;
    }

    pub(crate) fn succeed(&mut self, row: usize, verdict: Option<Verdict>) {
        let hand = self.hand(row);
        let expansions = self.expansions(hand.step);
        self.step(Some(row), |run| {
            transition::succeed(run, hand, verdict, &expansions)
        });
    }

    pub(crate) fn fail(&mut self, row: usize, kind: FailureKind, jitter: u32) {
        let hand = self.hand(row);
        let failure = Failure {
            kind,
            ..Failure::worker_lost()
        };
        self.step(Some(row), |run| {
            transition::fail(run, hand, &failure, jitter)
        });
        let r = &mut self.rows[row];
        r.crashes += u32::from(kind == FailureKind::Crash);
        r.losses_alone += u32::from(kind == FailureKind::Lost && hand.alone);
        r.losses += u32::from(kind == FailureKind::Lost);
        r.attempts -= u32::from(kind == FailureKind::Deferred);
        assert!(r.attempts < 40, "an end to attempts");
        assert!(
            kind != FailureKind::Permanent || r.state == TaskState::Dead,
            "permanent is dead at once"
        );
    }

    pub(crate) fn hand_back(&mut self, row: usize) {
        let hand = self.hand(row);
        self.step(Some(row), |run| transition::hand_back(run, hand));
        self.rows[row].attempts -= 1;
    }

    pub(crate) fn retry_time_came(&mut self, row: usize) {
        assert!(self.rows[row].retries);
        self.set(row, TaskState::Ready);
        self.check();
    }

    pub(crate) fn decide(&mut self, row: usize, decision: Decision) {
        let hand = self.hand(row);
        self.step(Some(row), |run| {
            transition::decide(run, hand, decision, None)
        });
    }

    pub(crate) fn replay(&mut self, row: usize) {
        let hand = self.hand(row);
        self.step(Some(row), |run| transition::replay(run, hand));
        let r = &mut self.rows[row];
        (r.attempts, r.crashes, r.losses, r.losses_alone) = (0, 0, 0, 0);
        let (before, hand) = (self.run.clone(), self.hand(row));
        assert_eq!(
            transition::replay(&mut self.run, hand),
            Ok(vec![]),
            "repeated"
        );
        assert_eq!(self.run, before, "repeating a replay changes nothing");
    }

    pub(crate) fn cancel(&mut self, reason: ErrorCode) {
        self.over = true;
        let was = self.run.state;
        self.step(None, |run| Ok(transition::cancel(run, reason)));
        assert!(
            self.rows.iter().all(|r| r.state.is_ended()),
            "nothing is left open"
        );
        let stays = reason != ErrorCode::AssetDeleted
            && matches!(was, RunState::Ready | RunState::Rejected);
        let next = if stays { was } else { RunState::Cancelled };
        assert_eq!(self.run.state, next, "cancelled while {was:?}");
        assert_eq!(
            transition::cancel(&mut self.run, reason),
            vec![],
            "repeated"
        );
    }

    fn step(
        &mut self,
        row: Option<usize>,
        act: impl FnOnce(&mut Run) -> Result<Vec<Effect>, Refused>,
    ) {
        let was_viewable = self.run.is_viewable();
        let effects = act(&mut self.run).expect("a legal act is taken");
        let first_new = self.events.len();
        self.apply(row, effects);
        self.check();
        let news = &self.events[first_new..];
        let told = news
            .iter()
            .any(|e| matches!(e, EventType::AssetViewable | EventType::AssetReady));
        assert!(
            was_viewable || !self.run.is_viewable() || told,
            "viewable without an event: {news:?}"
        );
        let failed = news.contains(&EventType::AssetFailed);
        assert!(!failed || self.run.state == RunState::Failed);
    }

    /// Nothing that is not expected changes anything.
    pub(crate) fn refuses_out_of_turn(&mut self, row: usize) {
        let (before, hand) = (self.run.clone(), self.hand(row));
        let run = &mut self.run;
        if hand.state != TaskState::Running {
            let lost = Failure::worker_lost();
            assert!(transition::succeed(run, hand, Some(Verdict::Pass), &[]).is_err());
            assert!(transition::fail(run, hand, &lost, 0).is_err());
            assert!(transition::hand_back(run, hand).is_err());
        }
        if hand.state != TaskState::Waiting || self.rows[row].retries {
            assert!(transition::decide(run, hand, Decision::Approve, None).is_err());
        }
        if hand.state != TaskState::Dead {
            let answer = transition::replay(run, hand);
            assert!(answer.is_err() || answer == Ok(vec![]));
        }
        assert_eq!(*run, before);
    }

    fn set(&mut self, row: usize, to: TaskState) {
        let r = &mut self.rows[row];
        assert!(r.state.allows(to), "{:?} to {to:?}", r.state);
        self.seen.insert((r.state, to));
        if r.state == TaskState::Running || to == TaskState::Cancelled {
            r.fence += 1;
        }
        r.state = to;
        r.retries = false;
    }

    fn rows_of(&self, step: usize, test: impl Fn(TaskState) -> bool) -> Vec<usize> {
        let rows = self.rows.iter().enumerate();
        rows.filter(|(_, r)| r.step == step && test(r.state))
            .map(|(i, _)| i)
            .collect()
    }

    fn all(&mut self, step: usize, test: impl Fn(TaskState) -> bool, to: TaskState) {
        let rows = self.rows_of(step, test);
        assert!(
            !rows.is_empty(),
            "an effect without a task: step {step} to {to:?}"
        );
        rows.into_iter().for_each(|row| self.set(row, to));
    }

    fn apply(&mut self, row: Option<usize>, effects: Vec<Effect>) {
        let in_hand = || row.expect("a task is in hand");
        for effect in effects {
            match effect {
                Effect::Task(to) => self.set(in_hand(), to),
                Effect::Retry(_) => {
                    self.set(in_hand(), TaskState::Waiting);
                    self.rows[in_hand()].retries = true;
                }
                Effect::Release(step) => {
                    self.needs_are_met(step);
                    self.all(step, |s| s == TaskState::Pending, TaskState::Ready);
                }
                Effect::SucceedByCore(step) => {
                    self.needs_are_met(step);
                    self.all(step, |s| s == TaskState::Pending, TaskState::Succeeded);
                }
                Effect::Cancel(step, _) => self.all(step, |s| !s.is_ended(), TaskState::Cancelled),
                Effect::Restore(step) => {
                    self.all(step, |s| s == TaskState::Cancelled, TaskState::Pending);
                }
                Effect::Expand(step, _) => {
                    let pending = self.rows_of(step, |s| s == TaskState::Pending);
                    assert_eq!(pending.len(), 1, "only what has one task expands");
                    for _ in 1..self.run.steps[step].total {
                        let row = self.rows[pending[0]].clone();
                        self.rows.push(row);
                    }
                }
                Effect::Skip(step) => {
                    self.all(step, |s| s == TaskState::Pending, TaskState::Skipped);
                }
                Effect::Publish => {
                    assert!(!self.published && !self.dropped, "published once");
                    self.published = true;
                }
                Effect::DropRenditions => self.dropped = true,
                Effect::DropPieces => {
                    let open = self.rows.iter().filter(|r| !r.state.is_ended());
                    assert_eq!(open.count(), 0, "nobody needs them any more");
                }
                Effect::Event(event) => self.events.push(event.kind),
            }
        }
    }

    /// How many tasks the steps right after this one turn out to have.
    fn expansions(&self, by: usize) -> Vec<Expansion> {
        let steps = self.run.recipe.steps.iter().enumerate();
        let after = steps.filter(|(_, s)| s.needs.contains(&by) && expands(&s.operation));
        after
            .map(|(step, _)| Expansion {
                step,
                tasks: self.found.get(step).copied().unwrap_or(1),
                cost: Operation::Publish.cost(Facts::default()),
            })
            .collect()
    }

    /// What "a need is met" means, from the rows alone.
    fn met(&self, step: usize) -> bool {
        let Recipe { steps, .. } = &*self.run.recipe;
        self.rows
            .iter()
            .filter(|r| r.step == step)
            .all(|r| match r.state {
                TaskState::Succeeded => true,
                TaskState::Skipped => steps[step].needs.iter().all(|&n| self.met(n)),
                TaskState::Dead => steps[step].optional,
                _ => false,
            })
    }

    fn needs_are_met(&self, step: usize) {
        let needs = &self.run.recipe.steps[step].needs;
        assert!(
            needs.iter().all(|&n| self.met(n)),
            "step {step} is released too early"
        );
    }

    /// Whether `step` stands on a step for which `test` holds.
    fn stands_on(&self, step: usize, test: &dyn Fn(&Operation) -> bool) -> bool {
        let steps = &self.run.recipe.steps;
        let mut needs = steps[step].needs.iter();
        needs.any(|&n| test(&steps[n].operation) || self.stands_on(n, test))
    }

    /// Everything that must hold between any two steps.
    fn check(&self) {
        let (run, steps) = (&self.run, &self.run.recipe.steps);
        for (i, status) in run.steps.iter().enumerate() {
            let count = |state| self.rows_of(i, |s| s == state).len() as u32;
            let recount = StepStatus {
                total: self.rows_of(i, |_| true).len() as u32,
                succeeded: count(TaskState::Succeeded),
                skipped: count(TaskState::Skipped),
                dead: count(TaskState::Dead),
                cancelled: count(TaskState::Cancelled),
                released: status.released,
            };
            assert_eq!(*status, recount, "step {i} against a recount");
            let begun = self.rows_of(i, |s| {
                !matches!(
                    s,
                    TaskState::Pending | TaskState::Skipped | TaskState::Cancelled
                )
            });
            assert!(
                begun.is_empty() || status.released,
                "step {i} began unreleased"
            );
            let gated = self.stands_on(i, &|o| *o == Operation::Moderate);
            assert!(
                begun.is_empty() || !gated || run.verdict == Some(Verdict::Pass),
                "step {i} passed the gate"
            );
            let waits = self.rows_of(i, |s| s == TaskState::Pending);
            let needs = &steps[i].needs;
            assert!(
                waits.is_empty() || !needs.iter().all(|&n| self.met(n)),
                "step {i} is forgotten"
            );
        }

        let asked = self
            .rows
            .iter()
            .any(|r| r.state == TaskState::Waiting && !r.retries);
        assert_eq!(run.state == RunState::InReview, asked);
        let publish = run.recipe.publish();
        assert_eq!(self.published, self.met(publish));
        assert_eq!(
            self.published && !self.over,
            run.state == RunState::Ready && !self.over
        );
        let required = |r: &&Row| r.step == publish || self.stands_on_step(publish, r.step);
        let mut before = self.rows.iter().filter(required);
        if run.state.is_open() && !self.published {
            let needs = &steps[publish].needs;
            assert!(
                !needs.iter().all(|&n| self.met(n)),
                "ready, yet not published"
            );
            let open = before.clone().any(|r| !r.state.is_ended());
            let lost = before.any(|r| {
                r.state == TaskState::Cancelled
                    || r.state == TaskState::Dead && !steps[r.step].optional
            });
            assert_eq!(run.state == RunState::Failed, lost && !open);
            assert!(open || lost, "the run hangs");
        }
        if !run.state.is_open() {
            assert!(
                self.rows.iter().all(|r| r.state.is_ended()),
                "over, yet at work"
            );
        }
        self.check_showing();
    }

    fn stands_on_step(&self, from: usize, on: usize) -> bool {
        let needs = &self.run.recipe.steps[from].needs;
        needs.iter().any(|&n| n == on || self.stands_on_step(n, on))
    }

    fn check_showing(&self) {
        let run = &self.run;
        let of = |test: fn(&Operation) -> bool| {
            let rows = self.rows.iter();
            rows.filter(move |r| test(&run.recipe.steps[r.step].operation))
        };
        if run.is_showing() {
            let over = matches!(
                run.state,
                RunState::Failed | RunState::Rejected | RunState::Cancelled | RunState::InReview
            );
            assert!(!over && run.generation == 1 && !self.dropped);
            assert!(of(|o| *o == Operation::Moderate).all(|r| r.state == TaskState::Succeeded));
            assert!(
                of(|o| *o == Operation::Moderate).next().is_none()
                    || run.verdict == Some(Verdict::Pass)
            );
            assert!(
                of(|o| *o == Operation::Watermark)
                    .all(|r| matches!(r.state, TaskState::Succeeded | TaskState::Skipped))
            );
        }
        if run.is_viewable() {
            assert!(run.is_showing() || run.state == RunState::Ready);
            assert!(
                of(|o| matches!(o, Operation::Resize(_))).all(|r| r.state == TaskState::Succeeded)
            );
        }
        assert!((0.0..=1.0).contains(&run.progress()));
    }
}

fn expands(operation: &Operation) -> bool {
    !matches!(
        operation,
        Operation::Publish | Operation::Moderate | Operation::Resize(_) | Operation::Watermark
    )
}
