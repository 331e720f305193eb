//! `/v1/upload-tokens`: what a server gives its pages instead of a key.

use crate::Shared;
use crate::access::MayIngest;
use crate::body::Json;
use crate::params::NoParams;
use crate::problem::{Problem, ProblemView};
use crate::tokens::{Terms, minted};
use axum::Json as Answer;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// A token for one upload.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UploadToken)]
pub(crate) struct TokenView {
    #[schema(value_type = String, format = Uuid)]
    id: String,
    /// For `Authorization: Bearer`. It is shown once.
    token: String,
    /// Until then an upload can be begun with it.
    #[schema(value_type = String, format = DateTime)]
    expires_at: String,
}

/// Mint a token for one upload.
///
/// Give it to a page: it is sent instead of a key to `/v1/tus`, `POST /v1/uploads` or `POST /v1/assets`, once.
#[utoipa::path(
    post, path = "/v1/upload-tokens", operation_id = "mintUploadToken", tag = "uploads",
    request_body = Terms,
    responses(
        (status = 201, body = TokenView),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
        (status = "5XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn mint(
    State(context): State<Shared>,
    MayIngest(caller): MayIngest,
    _: NoParams,
    Json(terms): Json<Terms>,
) -> Result<Response, Problem> {
    let (id, token, until) = minted(&context, &caller, &terms).await?;
    let view = TokenView {
        id: id.to_string(),
        token,
        expires_at: until.to_string(),
    };
    let no_store = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    Ok((StatusCode::CREATED, no_store, Answer(view)).into_response())
}
