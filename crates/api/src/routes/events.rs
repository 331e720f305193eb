//! `/v1/assets/{id}/events` and `/v1/events`: histories, as pages or as streams.

use super::AssetPath;
use crate::Shared;
use crate::access::{Caller, MayRead};
use crate::params::Params;
use crate::problem::{Problem, ProblemView, invalid};
use crate::sse::{History, is_wanted, stream};
use crate::view::event::EventList;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Json, Response};
use mediaflow_engine::EngineError;

/// Read an asset's history, or follow it with `Accept: text/event-stream`.
#[utoipa::path(
    get, path = "/v1/assets/{id}/events", operation_id = "listAssetEvents", tag = "events",
    params(
        ("id" = String, Path, description = "The asset."),
        ("after" = Option<u64>, Query, description = "The `sequence` to continue after."),
        ("limit" = Option<u32>, Query, description = "1 to 200; 50 when missing. Pages only."),
        ("Last-Event-ID" = Option<String>, Header, description = "As `after`, sent by browsers that come back."),
    ),
    responses(
        (status = 200, content((EventList<'_> = "application/json"), (String = "text/event-stream"))),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn of_asset(
    State(context): State<Shared>,
    MayRead(caller): MayRead,
    AssetPath(id): AssetPath,
    params: Params,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    answer(context, caller, History::Of(id), params, &headers).await
}

/// Read everybody's history, or follow it with `Accept: text/event-stream`. Nothing ever appears later at a place
/// that was read already.
#[utoipa::path(
    get, path = "/v1/events", operation_id = "listEvents", tag = "events",
    params(
        ("after" = Option<String>, Query, description = "The `position` to continue after, or `latest` for what happens from now on."),
        ("limit" = Option<u32>, Query, description = "1 to 200; 50 when missing. Pages only."),
        ("Last-Event-ID" = Option<String>, Header, description = "As `after`, sent by browsers that come back."),
    ),
    responses(
        (status = 200, content((EventList<'_> = "application/json"), (String = "text/event-stream"))),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn all(
    State(context): State<Shared>,
    MayRead(caller): MayRead,
    params: Params,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    answer(context, caller, History::All, params, &headers).await
}

async fn answer(
    context: Shared,
    caller: Caller,
    history: History,
    mut params: Params,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let after = params.take("after")?;
    let limit = params.take_limit()?;
    params.finish()?;
    let last = last_event_id(headers)?;
    let after = match (last, after.as_deref(), history) {
        // A client that comes back sends the address it began with, and where it was.
        (Some(last), ..) => last,
        (None, None, _) => 0,
        (None, Some("latest"), History::All) => context.engine.store().feed_end().await?,
        (None, Some(text), _) => number(text, "after")?,
    };
    if is_wanted(headers) {
        // An asset that is not there is told now; in a stream nobody could say it.
        history.page(&context, &caller, after, 1).await?;
        return stream(&context, caller, history, after);
    }
    let page = history.page(&context, &caller, after, limit).await?;
    Ok(Json(EventList::of(&page, history, after)).into_response())
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, EngineError> {
    let Some(value) = headers.get("last-event-id").filter(|v| !v.is_empty()) else {
        return Ok(None);
    };
    number(value.to_str().unwrap_or_default(), "Last-Event-ID").map(Some)
}

fn number(text: &str, name: &str) -> Result<u64, EngineError> {
    // The database counts with a sign.
    let number = text.parse().ok().filter(|n| i64::try_from(*n).is_ok());
    number.ok_or_else(|| {
        invalid(format!(
            "`{name}` must be a number that an earlier answer gave"
        ))
    })
}
