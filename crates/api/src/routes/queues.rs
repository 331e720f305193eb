//! `/v1/queues`: how much there is to do, how fast it goes, and what nobody can do.

use crate::Shared;
use crate::access::MayOperate;
use crate::params::NoParams;
use crate::problem::{Problem, ProblemView};
use axum::extract::State;
use axum::response::Json as Answer;
use mediaflow_core::Timestamp;
use mediaflow_engine::store::{QueueLoad, Stuck};
use serde::Serialize;
use utoipa::ToSchema;

/// All queues. Every server answers for all processes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct QueueList {
    queues: Vec<QueueView>,
}

/// A queue.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Queue)]
pub(crate) struct QueueView {
    /// `image`, `video` or `network`.
    queue: &'static str,
    /// Tasks that could be claimed.
    ready: u64,
    /// Tasks that are being worked on.
    running: u64,
    /// Tasks that wait for a retry time or a person.
    waiting: u64,
    /// Tasks that failed for good and were not replayed.
    dead: u64,
    /// How long the oldest ready task has waited, in seconds; 0 without one.
    oldest_ready_seconds: f64,
    /// Tasks that became ready, over the last five minutes.
    arrivals_per_second: f64,
    /// Attempts that ended, over the last five minutes.
    completions_per_second: f64,
    /// How long one slot would need for what is ready: what it is estimated to cost, corrected by what attempts took
    /// lately beside their estimates.
    work_seconds: f64,
    /// Workers that live and serve the queue, but for those that drain.
    workers: u32,
    /// Tasks of it that they take at the same time, if they do nothing else.
    slots: u32,
    /// `work_seconds` shared by these slots; null when there are none or claims are switched off.
    drain_seconds: Option<f64>,
    /// Whether its claims are switched off.
    paused: bool,
    /// Ready tasks that no living worker can take, by what is missing.
    unplaceable: Vec<Unplaceable>,
}

/// Ready tasks that no living worker can take.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Unplaceable {
    /// `no_worker.queue` or `no_worker.capability`.
    reason: &'static str,
    /// The capabilities that they need.
    needs: Vec<String>,
    /// How many; of each tenant at most a thousand are counted.
    tasks: u64,
}

impl From<Stuck> for Unplaceable {
    fn from(stuck: Stuck) -> Self {
        Self {
            reason: stuck.obstacle.as_str(),
            needs: stuck.needs,
            tasks: stuck.tasks,
        }
    }
}

impl QueueView {
    fn of(load: QueueLoad, now: Timestamp) -> Self {
        let age = load.oldest_ready_at.map(|at| now.since(at));
        Self {
            queue: load.queue.as_str(),
            ready: load.ready,
            running: load.running,
            waiting: load.waiting,
            dead: load.dead,
            oldest_ready_seconds: age.unwrap_or_default().as_secs_f64(),
            arrivals_per_second: load.arrival_rate(),
            completions_per_second: load.completion_rate(),
            work_seconds: load.work_seconds(),
            workers: load.workers,
            slots: load.slots,
            drain_seconds: load.drain_seconds(),
            paused: load.paused,
            unplaceable: load.stuck.into_iter().map(Unplaceable::from).collect(),
        }
    }
}

/// List the queues: what to scale workers by.
#[utoipa::path(
    get, path = "/v1/queues", operation_id = "listQueues", tag = "queues",
    responses(
        (status = 200, body = QueueList),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(
    State(context): State<Shared>,
    _: MayOperate,
    _: NoParams,
) -> Result<Answer<QueueList>, Problem> {
    let health = context.engine.store().health().await?;
    let queues = health.queues.into_iter();
    let queues = queues.map(|q| QueueView::of(q, health.at));
    Ok(Answer(QueueList {
        queues: queues.collect(),
    }))
}

/// The last hour, by minute.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MinuteList {
    /// Oldest first. Minutes in which nothing happened are missing.
    minutes: Vec<MinuteView>,
    /// The server's clock.
    now: String,
}

/// What came and went in a queue in one minute.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = QueueMinute)]
pub(crate) struct MinuteView {
    /// When it began.
    at: String,
    queue: &'static str,
    /// Tasks that became ready, again after a failed attempt or for the first time.
    arrivals: u64,
    /// Attempts that ended.
    completions: u64,
    /// What these attempts took, in seconds.
    busy_seconds: f64,
}

/// What came and went in each minute of the last hour. The present minute grows still.
#[utoipa::path(
    get, path = "/v1/queues/history", operation_id = "listQueueHistory", tag = "queues",
    responses(
        (status = 200, body = MinuteList),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn history(
    State(context): State<Shared>,
    _: MayOperate,
    _: NoParams,
) -> Result<Answer<MinuteList>, Problem> {
    let now = context.engine.environment().now().to_string();
    let minutes = context.engine.store().last_hour().await?;
    let minutes = minutes.into_iter().map(|minute| MinuteView {
        at: minute.at.to_string(),
        queue: minute.queue.as_str(),
        arrivals: minute.arrived,
        completions: minute.done,
        busy_seconds: minute.spent_ms as f64 / 1000.0,
    });
    Ok(Answer(MinuteList {
        minutes: minutes.collect(),
        now,
    }))
}
