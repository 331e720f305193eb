//! `POST /v1/assets/{id}/moderation`: a person decides.

use super::AssetPath;
use super::assets::view;
use crate::Shared;
use crate::access::MayModerate;
use crate::body::Json;
use crate::origin::Origin;
use crate::params::NoParams;
use crate::problem::{Problem, ProblemView};
use crate::view::asset::AssetView;
use axum::extract::State;
use axum::response::Json as Answer;
use mediaflow_core::{Decision, ErrorCode};
use serde::Deserialize;
use utoipa::ToSchema;

const REASON_CHARS_MAX: usize = 1000;

/// What a person says about an asset in review.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Judgement {
    /// `approve` or `reject`.
    #[schema(value_type = String)]
    decision: Decision,
    /// Kept with the decision, at most 1000 characters.
    reason: Option<String>,
}

/// Decide about an asset in review. What is rejected is gone with the answer.
#[utoipa::path(
    post, path = "/v1/assets/{id}/moderation", operation_id = "moderateAsset", tag = "moderation",
    params(("id" = String, Path, description = "The asset.")),
    request_body = Judgement,
    responses(
        (status = 200, body = AssetView),
        (status = 409, description = "No decision is awaited, or no longer.", body = ProblemView<'_>, content_type = "application/problem+json"),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn decide(
    State(context): State<Shared>,
    MayModerate(caller): MayModerate,
    AssetPath(id): AssetPath,
    _: NoParams,
    origin: Origin,
    Json(judgement): Json<Judgement>,
) -> Result<Answer<AssetView>, Problem> {
    let reason = judgement.reason.as_deref();
    if reason.is_some_and(|r| r.chars().count() > REASON_CHARS_MAX) {
        let text =
            format!("the reason has too many characters; at most {REASON_CHARS_MAX} are allowed");
        return Err(Problem::new(ErrorCode::LimitMetadata, text));
    }
    let store = context.engine.store();
    store
        .decide(caller.tenant, id, judgement.decision, reason, &caller.name)
        .await?;
    if judgement.decision == Decision::Reject {
        context.lookups.forgotten().await;
    }
    let asset = store.asset(caller.tenant, id).await?;
    Ok(Answer(view(&context, &caller, &origin, asset).await?))
}
