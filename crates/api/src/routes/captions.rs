//! `/v1/assets/{id}/captions/{language}`: captions that people give.

use crate::Shared;
use crate::access::MayIngest;
use crate::params::{NoParams, Params};
use crate::problem::{Problem, ProblemView, invalid};
use crate::view::Binary;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use mediaflow_core::language::Language;
use mediaflow_core::{AssetId, ErrorCode};
use mediaflow_playlist::captions::{BYTES_MAX, Captions};
use std::time::Duration;

const TIME_MAX: Duration = Duration::from_secs(60);

/// Give a video captions, WebVTT or SubRip in UTF-8, at most 4 MiB. Those given before in this language are replaced;
/// reprocessing keeps them.
#[utoipa::path(
    put, path = "/v1/assets/{id}/captions/{language}", operation_id = "giveCaptions", tag = "assets",
    params(
        ("id" = String, Path, description = "The asset."),
        ("language" = String, Path, description = "BCP 47: `en`, `pt-BR`; `und` where nobody knows."),
        ("label" = Option<String>, Query, description = "What people choose by; the language's English name when missing."),
    ),
    request_body(content((Binary = "text/vtt"), (Binary = "application/x-subrip"))),
    responses(
        (status = 204, description = "They are there."),
        (status = 422, description = "The text cannot be read; the line is told.", body = ProblemView<'_>, content_type = "application/problem+json"),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn put(
    State(context): State<Shared>,
    MayIngest(caller): MayIngest,
    Path(path): Path<(String, String)>,
    mut params: Params,
    body: Body,
) -> Result<StatusCode, Problem> {
    let (asset, language) = named(&path)?;
    let label = params.take("label")?;
    params.finish()?;
    let reading = axum::body::to_bytes(body, BYTES_MAX);
    let read = tokio::time::timeout(TIME_MAX, reading).await;
    let read = read.map_err(|_| Problem::plain(ErrorCode::RequestTimeout))?;
    let bytes = read.map_err(|_| {
        let text = format!("captions have at most {BYTES_MAX} bytes, or the body ended early");
        Problem::new(ErrorCode::CaptionsInvalid, text)
    })?;
    let captions = Captions::read(&bytes);
    let captions = captions.map_err(|e| Problem::new(ErrorCode::CaptionsInvalid, e.to_string()))?;
    let engine = &context.engine;
    engine
        .give_captions(caller.tenant, asset, &language, label, captions.write())
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Take given captions away. What was found in the file under this language shows again.
#[utoipa::path(
    delete, path = "/v1/assets/{id}/captions/{language}", operation_id = "removeCaptions", tag = "assets",
    params(
        ("id" = String, Path, description = "The asset."),
        ("language" = String, Path, description = "As they were given."),
    ),
    responses(
        (status = 204, description = "They are gone."),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn delete(
    State(context): State<Shared>,
    MayIngest(caller): MayIngest,
    Path(path): Path<(String, String)>,
    _: NoParams,
) -> Result<StatusCode, Problem> {
    let (asset, language) = named(&path)?;
    let engine = &context.engine;
    engine
        .take_captions(caller.tenant, asset, &language)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

fn named((asset, language): &(String, String)) -> Result<(AssetId, Language), Problem> {
    let unknown = |_| Problem::plain(ErrorCode::AssetNotFound);
    let asset = asset.parse().map_err(unknown)?;
    let language = Language::parse(language);
    let language =
        language.ok_or_else(|| invalid("the language must be a tag like `en` or `pt-BR`"))?;
    Ok((asset, language))
}
