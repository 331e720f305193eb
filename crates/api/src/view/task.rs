//! Tasks and their attempts.

use crate::Context;
use mediaflow_core::{TaskState, Timestamp};
use mediaflow_engine::store::{
    AttemptRecord, Obstacle, Presence, StoreError, Switch, SwitchRecord, TaskPage, TaskRecord,
    obstacle,
};
use serde::Serialize;
use utoipa::ToSchema;

/// A step at work for one asset.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Task)]
pub(crate) struct TaskView {
    #[schema(value_type = String, format = Uuid)]
    id: String,
    /// The step's name in the recipe.
    step: String,
    /// `image.resize`, `moderate`, ...
    operation: String,
    /// `pending`, `ready`, `running`, `waiting`, `succeeded`, `skipped`, `dead` or `cancelled`.
    state: &'static str,
    /// Tries so far, over all replays.
    attempts: u32,
    /// When it became ready.
    queued_at: Option<String>,
    /// When its last attempt began.
    started_at: Option<String>,
    finished_at: Option<String>,
    /// When it is tried again, while it waits for that.
    retry_at: Option<String>,
    /// Who tried last.
    worker: Option<String>,
    /// Why the last try failed, or why it was cancelled.
    error_code: Option<String>,
    error_message: Option<String>,
    /// Why no worker takes it, while it is ready: `paused` (claims of its queue are switched off), `no_worker.queue` (no living
    /// worker serves its queue), `no_worker.capability` (none of them has what it needs), `no_worker.memory`.
    blocked: Option<&'static str>,
}

/// What tasks are given to, for telling why one is not.
#[derive(Default)]
pub(crate) struct Floor {
    workers: Vec<Presence>,
    switches: Vec<SwitchRecord>,
}

impl Floor {
    /// As it is for these tasks: nothing is asked where none is ready.
    pub(crate) async fn of(context: &Context, tasks: &[TaskRecord]) -> Result<Self, StoreError> {
        if !tasks.iter().any(|task| task.state == TaskState::Ready) {
            return Ok(Self::default());
        }
        let store = context.engine.store();
        Ok(Self {
            workers: store.at_work().await?,
            switches: store.switches().await?,
        })
    }

    fn obstacle(&self, task: &TaskRecord) -> Option<Obstacle> {
        if task.state != TaskState::Ready {
            return None;
        }
        let claims = Switch::Claims(task.queue);
        let mut switches = self.switches.iter();
        if switches.any(|s| s.switch == claims && !s.is_on) {
            return Some(Obstacle::Paused);
        }
        let needs = task.needs.join(",");
        obstacle(task.queue, &needs, task.memory_bytes, &self.workers)
    }
}

/// A task with everything that is known of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TaskDetail {
    #[serde(flatten)]
    task: TaskView,
    #[schema(value_type = String, format = Uuid)]
    asset: String,
    /// Which run of the recipe.
    generation: u32,
    /// `image` or `network`.
    queue: &'static str,
    /// Capabilities that a worker must have for it.
    needs: Vec<String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: String,
    /// Every try, oldest first.
    tries: Vec<TryView>,
}

/// One try of a task.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Try)]
pub(crate) struct TryView {
    /// Counts from 1.
    number: u32,
    worker: String,
    #[schema(value_type = String, format = DateTime)]
    started_at: String,
    ended_at: Option<String>,
    error_code: Option<String>,
    error_message: Option<String>,
}

/// A page of tasks.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TaskList {
    /// An asset's in the recipe's order, otherwise newest first.
    items: Vec<TaskDetail>,
    /// For `cursor`; null at the end.
    next_cursor: Option<String>,
}

fn text(at: Option<Timestamp>) -> Option<String> {
    at.map(|at| at.to_string())
}

impl TaskView {
    pub(crate) fn of(task: TaskRecord, floor: &Floor) -> Self {
        let blocked = floor.obstacle(&task).map(Obstacle::as_str);
        let (error_code, error_message) = task.error.unzip();
        Self {
            id: task.id.to_string(),
            step: task.step,
            operation: task.operation,
            state: task.state.as_str(),
            attempts: task.attempts,
            queued_at: text(task.queued_at),
            started_at: text(task.started_at),
            finished_at: text(task.finished_at),
            retry_at: text(task.retry_at),
            worker: task.worker,
            error_code,
            error_message,
            blocked,
        }
    }
}

impl TaskDetail {
    fn of(mut task: TaskRecord, floor: &Floor) -> Self {
        let tries = std::mem::take(&mut task.tries);
        Self {
            asset: task.asset.to_string(),
            generation: task.generation,
            queue: task.queue.as_str(),
            needs: task.needs.clone(),
            created_at: task.created_at.to_string(),
            tries: tries.into_iter().map(TryView::from).collect(),
            task: TaskView::of(task, floor),
        }
    }
}

impl From<AttemptRecord> for TryView {
    fn from(attempt: AttemptRecord) -> Self {
        let (error_code, error_message) = attempt.error.unzip();
        Self {
            number: attempt.number,
            worker: attempt.worker,
            started_at: attempt.started_at.to_string(),
            ended_at: text(attempt.ended_at),
            error_code,
            error_message,
        }
    }
}

impl TaskList {
    pub(crate) async fn of(context: &Context, page: TaskPage) -> Result<Self, StoreError> {
        let floor = Floor::of(context, &page.items).await?;
        let items = page.items.into_iter();
        Ok(Self {
            items: items.map(|task| TaskDetail::of(task, &floor)).collect(),
            next_cursor: page.next_cursor,
        })
    }
}
