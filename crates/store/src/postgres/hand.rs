//! Task rows in hand: locked, decided about, and written back together.

use super::Session;
use super::changes::Changes;
use super::rows::{clamp, get, id, named, number};
use crate::{Lease, StoreError};
use mediaflow_core::transition::TaskInHand;
use mediaflow_core::{AssetId, Failure, FailureKind, TaskId, TaskState, TenantId};
use std::collections::HashMap;
use std::time::Duration;
use uuid::Uuid;

/// A task with all that a decision about it may change.
#[derive(Clone)]
pub(super) struct Hand {
    pub(super) id: TaskId,
    pub(super) tenant: TenantId,
    pub(super) asset: AssetId,
    pub(super) generation: u32,
    pub(super) fence: u64,
    pub(super) lease_until: Option<i64>,
    pub(super) task: TaskInHand,
    pub(super) tries: u32,
    pub(super) queued_at: Option<i64>,
    pub(super) finished_at: Option<i64>,
    pub(super) retry_at: Option<i64>,
    pub(super) error: Option<(String, String)>,
    /// Whether the attempt that was asked about was ended by its worker.
    pub(super) reported: bool,
}

const ASSETS: &str = "SELECT DISTINCT asset FROM tasks WHERE id = ANY($1)";
const LOAD: &str = "SELECT t.id, t.tenant, t.asset, t.generation, t.step, t.state, t.fence, t.attempts, t.tries, t.crashes,
            t.alone, t.losses_alone, t.queued_at, t.finished_at, t.retry_at, t.lease_until,
            t.error_code, t.error_message,
            (SELECT a.outcome FROM attempts a WHERE a.task = w.id AND a.fence = w.fence) AS outcome
     FROM unnest($1::uuid[], $2::bigint[]) w (id, fence) JOIN tasks t ON t.id = w.id
     ORDER BY t.id FOR UPDATE OF t";

/// The assets of these tasks.
pub(super) async fn assets(s: &Session, tasks: &[TaskId]) -> Result<Vec<AssetId>, StoreError> {
    let ids: Vec<Uuid> = tasks.iter().map(|task| task.0).collect();
    let rows = s.query(ASSETS, &[&ids]).await?;
    rows.iter().map(|row| id(row, "asset")).collect()
}

/// Locks and loads these tasks, whose runs are locked already. Each lease's attempt is asked about.
pub(super) async fn load(
    s: &Session,
    leases: &[Lease],
) -> Result<HashMap<TaskId, Hand>, StoreError> {
    let ids: Vec<Uuid> = leases.iter().map(|lease| lease.task.0).collect();
    let fences: Vec<i64> = leases.iter().map(|lease| clamp(lease.fence)).collect();
    let mut hands = HashMap::new();
    for row in &s.query(LOAD, &[&ids, &fences]).await? {
        let code: Option<String> = get(row, "error_code")?;
        let message: Option<String> = get(row, "error_message")?;
        let outcome: Option<&str> = get(row, "outcome")?;
        let hand = Hand {
            id: id(row, "id")?,
            tenant: id(row, "tenant")?,
            asset: id(row, "asset")?,
            generation: number(row, "generation")?,
            fence: number(row, "fence")?,
            lease_until: get(row, "lease_until")?,
            task: TaskInHand {
                step: number(row, "step")?,
                state: named(row, "state", TaskState::parse)?,
                attempts: number(row, "attempts")?,
                crashes: number(row, "crashes")?,
                alone: get(row, "alone")?,
                losses_alone: number(row, "losses_alone")?,
            },
            tries: number(row, "tries")?,
            queued_at: get(row, "queued_at")?,
            finished_at: get(row, "finished_at")?,
            retry_at: get(row, "retry_at")?,
            error: code.map(|code| (code, message.unwrap_or_default())),
            reported: matches!(outcome, Some("succeeded" | "failed" | "handed_back")),
        };
        hands.insert(hand.id, hand);
    }
    Ok(hands)
}

/// One task and its run, both locked.
pub(super) async fn one(
    s: &Session,
    task: TaskId,
) -> Result<(Hand, super::live::Live), StoreError> {
    let assets = assets(s, &[task]).await?;
    let lives = super::live::load(s, &assets).await?;
    let lease = Lease { task, fence: 0 };
    let hand = load(s, &[lease]).await?.remove(&task);
    let live = lives.into_values().next();
    hand.zip(live).ok_or(StoreError::TaskNotFound)
}

impl Hand {
    /// Remembers what the next decision about it depends on.
    pub(super) fn note_failure(&mut self, failure: &Failure) {
        self.error = Some((failure.code.as_str().to_owned(), failure.message.clone()));
        match failure.kind {
            FailureKind::Crash => self.task.crashes += 1,
            FailureKind::Lost => {
                self.task.losses_alone += u32::from(self.task.alone);
                self.task.alone = true;
            }
            FailureKind::Deferred => self.uncount(),
            FailureKind::Permanent | FailureKind::Transient => {}
        }
    }

    /// The task ends, or waits for a person.
    pub(super) fn settle(&mut self, changes: &Changes, state: TaskState) {
        self.task.state = state;
        self.retry_at = None;
        self.finished_at = state.is_ended().then_some(changes.now.0);
        if matches!(state, TaskState::Succeeded | TaskState::Waiting) {
            self.error = None;
        }
    }

    /// Back into the queue: given back unharmed, in its old place, or replayed, as if new.
    pub(super) fn requeue(&mut self, changes: &mut Changes) {
        if self.task.state == TaskState::Running {
            self.task.state = TaskState::Ready;
            self.queued_at = Some(changes.now.0);
            self.uncount();
            changes.given_back.push(self.id);
            return;
        }
        self.task.attempts = 0;
        self.task.crashes = 0;
        self.task.alone = false;
        self.task.losses_alone = 0;
        self.error = None;
        changes.queued.push(self.id);
    }

    /// It is tried again later.
    pub(super) fn retry(&mut self, changes: &Changes, pause: Duration) {
        self.task.state = TaskState::Waiting;
        self.retry_at = Some(changes.now.after(pause).0);
    }

    fn uncount(&mut self) {
        self.task.attempts -= 1;
        self.tries -= 1;
    }
}
