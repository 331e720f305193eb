//! `/v1/tasks`: what is at work, what is dead, and trying that again.

use super::{AssetPath, TaskPath};
use crate::Shared;
use crate::access::{MayAdmin, MayRead};
use crate::body::Json;
use crate::params::{NoParams, Params, one_of};
use crate::problem::{Problem, ProblemView, invalid};
use crate::view::task::TaskList;
use axum::extract::State;
use axum::response::Json as Answer;
use mediaflow_core::{AssetId, ErrorCode, TaskState, Timestamp};
use mediaflow_engine::EngineError;
use mediaflow_engine::store::{ReplayFilter, TaskFilter};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Tasks that one transaction replays.
const REPLAY: u32 = 500;

/// Page through an asset's tasks, in the recipe's order.
#[utoipa::path(
    get, path = "/v1/assets/{id}/tasks", operation_id = "listAssetTasks", tag = "tasks",
    params(
        ("id" = String, Path, description = "The asset."),
        ("state" = Option<String>, Query),
        ("code" = Option<String>, Query, description = "Of the last error."),
        ("operation" = Option<String>, Query, description = "`image.resize`, ..."),
        ("limit" = Option<u32>, Query, description = "1 to 200; 50 when missing."),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before."),
    ),
    responses(
        (status = 200, body = TaskList),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn of_asset(
    State(context): State<Shared>,
    MayRead(caller): MayRead,
    AssetPath(id): AssetPath,
    params: Params,
) -> Result<Answer<TaskList>, Problem> {
    let filter = filter(params, Some(id))?;
    let page = context.engine.store().tasks(caller.tenant, &filter).await?;
    Ok(Answer(TaskList::of(&context, page).await?))
}

/// Page through all tasks, newest first; `state=dead` is the list of what failed for good.
#[utoipa::path(
    get, path = "/v1/tasks", operation_id = "listTasks", tag = "tasks",
    params(
        ("state" = Option<String>, Query),
        ("code" = Option<String>, Query, description = "Of the last error."),
        ("operation" = Option<String>, Query, description = "`image.resize`, ..."),
        ("limit" = Option<u32>, Query, description = "1 to 200; 50 when missing."),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before."),
    ),
    responses(
        (status = 200, body = TaskList),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(
    State(context): State<Shared>,
    MayRead(caller): MayRead,
    params: Params,
) -> Result<Answer<TaskList>, Problem> {
    let filter = filter(params, None)?;
    let page = context.engine.store().tasks(caller.tenant, &filter).await?;
    Ok(Answer(TaskList::of(&context, page).await?))
}

fn filter(mut params: Params, asset: Option<AssetId>) -> Result<TaskFilter, EngineError> {
    let states = one_of(TaskState::ALL.iter().map(|s| s.as_str()));
    let filter = TaskFilter {
        asset,
        state: params.take_as("state", &states, TaskState::parse)?,
        code: params.take_as("code", "one of the documented error codes", known_code)?,
        operation: params.take("operation")?,
        limit: params.take_limit()?,
        cursor: params.take("cursor")?,
    };
    params.finish()?;
    Ok(filter)
}

/// A mistyped code would find nothing and look like good news.
pub(crate) fn known_code(text: &str) -> Option<String> {
    ErrorCode::parse(text).map(|code| code.as_str().to_owned())
}

/// Whether a task was replayed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Replayed {
    /// False when it was not dead.
    replayed: bool,
}

/// Try a dead task again. Repeating it changes nothing.
#[utoipa::path(
    post, path = "/v1/tasks/{id}/replay", operation_id = "replayTask", tag = "tasks",
    params(("id" = String, Path, description = "The task.")),
    responses(
        (status = 200, body = Replayed),
        (status = 409, description = "Its run is over, or its asset is rejected or deleted.", body = ProblemView<'_>, content_type = "application/problem+json"),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn replay(
    State(context): State<Shared>,
    MayAdmin(caller): MayAdmin,
    TaskPath(id): TaskPath,
    _: NoParams,
) -> Result<Answer<Replayed>, Problem> {
    let replayed = context.engine.store().replay(caller.tenant, id).await?;
    Ok(Answer(Replayed { replayed }))
}

/// Which dead tasks to try again; what is missing does not restrict.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    /// Of the last error.
    code: Option<String>,
    /// Dead at or after; RFC 3339.
    since: Option<String>,
    /// `image.resize`, ...
    operation: Option<String>,
    /// How many at most, 1 to 500: repeat until fewer than that were replayed, and see how far it is. All when missing.
    limit: Option<u32>,
}

/// How many were replayed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Count {
    replayed: u64,
}

/// Try all dead tasks again that match.
#[utoipa::path(
    post, path = "/v1/tasks/replay", operation_id = "replayTasks", tag = "tasks",
    request_body = Which,
    responses(
        (status = 200, body = Count),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn replay_all(
    State(context): State<Shared>,
    MayAdmin(caller): MayAdmin,
    _: NoParams,
    Json(which): Json<Which>,
) -> Result<Answer<Count>, Problem> {
    let code = which.code.as_deref().map(|text| {
        known_code(text).ok_or_else(|| invalid("`code` must be one of the documented error codes"))
    });
    let since = which.since.as_deref().map(|text| {
        Timestamp::parse_rfc3339(text).ok_or_else(|| invalid("`since` must be an RFC 3339 time"))
    });
    let filter = ReplayFilter {
        code: code.transpose()?,
        since: since.transpose()?,
        operation: which.operation,
    };
    if let Some(limit) = which.limit {
        if !(1..=REPLAY).contains(&limit) {
            return Err(invalid(format!("`limit` must be a number from 1 to {REPLAY}")).into());
        }
        let store = context.engine.store();
        let replayed = store.replay_all(caller.tenant, &filter, limit).await?;
        return Ok(Answer(Count {
            replayed: replayed.into(),
        }));
    }
    let mut replayed = 0;
    loop {
        let store = context.engine.store();
        let count = store.replay_all(caller.tenant, &filter, REPLAY).await?;
        replayed += u64::from(count);
        if count < REPLAY {
            return Ok(Answer(Count { replayed }));
        }
    }
}
