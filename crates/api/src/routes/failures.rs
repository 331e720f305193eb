//! `/v1/failures`: what fails, by what.

use crate::Shared;
use crate::access::MayRead;
use crate::params::NoParams;
use crate::problem::{Problem, ProblemView};
use axum::extract::State;
use axum::response::Json as Answer;
use mediaflow_engine::store::{FAILED_MAX, FailureGroup};
use serde::Serialize;
use utoipa::ToSchema;

/// What fails at present.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FailureList {
    /// Dead ones first, then the largest groups.
    items: Vec<FailureView>,
    /// How many tasks of each state are counted at most; the newest are.
    counted_max: u32,
}

/// Tasks that failed alike.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Failure)]
pub(crate) struct FailureView {
    /// `dead`: they failed for good and may be replayed; `waiting`: they are tried again by themselves.
    state: &'static str,
    /// Of the last error.
    code: String,
    operation: String,
    tasks: u64,
    /// When the first of them failed last.
    oldest_at: String,
    /// When the last of them failed.
    newest_at: String,
    /// One of the tasks.
    example: String,
    /// How many failed in each of the last 24 hours, the present one last.
    by_hour: [u64; 24],
}

impl From<FailureGroup> for FailureView {
    fn from(group: FailureGroup) -> Self {
        Self {
            state: group.state.as_str(),
            code: group.code,
            operation: group.operation,
            tasks: group.tasks,
            oldest_at: group.oldest_at.to_string(),
            newest_at: group.newest_at.to_string(),
            example: group.example.to_string(),
            by_hour: group.by_hour,
        }
    }
}

/// Group the tasks that failed, by code and operation. What cannot be replayed any more is left out.
#[utoipa::path(
    get, path = "/v1/failures", operation_id = "listFailures", tag = "tasks",
    responses(
        (status = 200, body = FailureList),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(
    State(context): State<Shared>,
    MayRead(caller): MayRead,
    _: NoParams,
) -> Result<Answer<FailureList>, Problem> {
    let groups = context.engine.store().failures(caller.tenant).await?;
    Ok(Answer(FailureList {
        items: groups.into_iter().map(FailureView::from).collect(),
        counted_max: FAILED_MAX,
    }))
}
