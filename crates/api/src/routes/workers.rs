//! `/v1/workers`: who works, on what since when, and what operators want of them.

use super::WorkerPath;
use crate::Shared;
use crate::access::MayOperate;
use crate::params::NoParams;
use crate::problem::{Problem, ProblemView};
use axum::extract::State;
use axum::response::Json as Answer;
use mediaflow_core::{ErrorCode, WorkerId};
use mediaflow_engine::store::{RunningTask, Wish, WorkerRecord};
use serde::Serialize;
use utoipa::ToSchema;

/// All workers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WorkerList {
    workers: Vec<WorkerView>,
}

/// A worker.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Worker)]
pub(crate) struct WorkerView {
    id: String,
    /// Its machine and process.
    name: String,
    /// `working`; `draining`: claims nothing more; `stopping`: likewise, and its process ends; `gone`: nothing was heard of
    /// it for 15 seconds.
    state: &'static str,
    version: String,
    queues: Vec<&'static str>,
    /// What it can do: `gpu`, `hevc`, ...
    capabilities: Vec<String>,
    /// Media tasks that it takes at the same time.
    cpu: u32,
    /// Memory that it has for tasks.
    memory_bytes: u64,
    started_at: String,
    seen_at: String,
    tasks: Vec<HeldTask>,
}

/// A task that a worker holds.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HeldTask {
    id: String,
    asset: String,
    operation: String,
    started_at: String,
}

impl WorkerView {
    fn of(worker: WorkerRecord) -> Self {
        let told = worker.presence;
        Self {
            id: told.id.to_string(),
            name: told.name,
            state: match worker.wish {
                _ if worker.is_gone => "gone",
                Wish::Work => "working",
                Wish::Drain => "draining",
                Wish::Stop => "stopping",
            },
            version: told.version,
            queues: told.queues.into_iter().map(|q| q.as_str()).collect(),
            capabilities: told.capabilities,
            cpu: told.cpu,
            memory_bytes: told.memory_bytes,
            started_at: told.started_at.to_string(),
            seen_at: worker.seen_at.to_string(),
            tasks: worker.tasks.into_iter().map(HeldTask::of).collect(),
        }
    }
}

impl HeldTask {
    fn of(task: RunningTask) -> Self {
        Self {
            id: task.id.to_string(),
            asset: task.asset.to_string(),
            operation: task.operation,
            started_at: task.started_at.to_string(),
        }
    }
}

/// List the workers that were heard of in the last hour.
#[utoipa::path(
    get, path = "/v1/workers", operation_id = "listWorkers", tag = "workers",
    responses(
        (status = 200, body = WorkerList),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(
    State(context): State<Shared>,
    _: MayOperate,
    _: NoParams,
) -> Result<Answer<WorkerList>, Problem> {
    let workers = context.engine.store().workers().await?;
    let workers = workers.into_iter().map(WorkerView::of);
    Ok(Answer(WorkerList {
        workers: workers.collect(),
    }))
}

/// What was told to a worker; it hears it within five seconds.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Told {
    /// `work`, `drain` or `stop`.
    wish: &'static str,
}

/// Let a worker end what it has and claim nothing more.
#[utoipa::path(
    post, path = "/v1/workers/{id}/drain", operation_id = "drainWorker", tag = "workers",
    params(("id" = String, Path, description = "The worker.")),
    responses(
        (status = 200, body = Told),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn drain(
    context: State<Shared>,
    _: MayOperate,
    WorkerPath(id): WorkerPath,
    _: NoParams,
) -> Result<Answer<Told>, Problem> {
    wish(context, id, Wish::Drain).await
}

/// Let a drained worker claim again.
#[utoipa::path(
    post, path = "/v1/workers/{id}/resume", operation_id = "resumeWorker", tag = "workers",
    params(("id" = String, Path, description = "The worker.")),
    responses(
        (status = 200, body = Told),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn resume(
    context: State<Shared>,
    _: MayOperate,
    WorkerPath(id): WorkerPath,
    _: NoParams,
) -> Result<Answer<Told>, Problem> {
    wish(context, id, Wish::Work).await
}

/// Let a worker's process end, as a SIGTERM does: what does not end soon is handed back.
#[utoipa::path(
    post, path = "/v1/workers/{id}/stop", operation_id = "stopWorker", tag = "workers",
    params(("id" = String, Path, description = "The worker.")),
    responses(
        (status = 200, body = Told),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn stop(
    context: State<Shared>,
    _: MayOperate,
    WorkerPath(id): WorkerPath,
    _: NoParams,
) -> Result<Answer<Told>, Problem> {
    wish(context, id, Wish::Stop).await
}

async fn wish(
    State(context): State<Shared>,
    worker: WorkerId,
    wish: Wish,
) -> Result<Answer<Told>, Problem> {
    match context.engine.store().wish(worker, wish).await? {
        true => Ok(Answer(Told {
            wish: wish.as_str(),
        })),
        false => Err(Problem::plain(ErrorCode::WorkerNotFound)),
    }
}
