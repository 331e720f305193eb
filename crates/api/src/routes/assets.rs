//! `/v1/assets`: reading, searching, changing, deleting, processing again.

use super::AssetPath;
use super::tasks::known_code;
use crate::access::{Caller, MayIngest, MayRead};
use crate::body::{Json, MaybeJson, present};
use crate::origin::Origin;
use crate::params::{NoParams, Params, one_of};
use crate::problem::{Problem, ProblemView, invalid};
use crate::view::asset::{AssetItem, AssetList, AssetView, Links};
use crate::view::task::{Floor, TaskView};
use crate::{Context, Shared};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json as Answer};
use mediaflow_core::{AssetId, AssetState, Focus, Kind, Visibility};
use mediaflow_engine::EngineError;
use mediaflow_engine::store::{
    AssetPatch, AssetRecord, MediaFilter, Search, StoreError, TaskFilter,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// Tasks shown in the asset itself; `/tasks` pages through all.
const TASKS: u32 = 200;

/// Look at an asset.
#[utoipa::path(
    get, path = "/v1/assets/{id}", operation_id = "getAsset", tag = "assets",
    params(("id" = String, Path, description = "The asset.")),
    responses(
        (status = 200, body = AssetView),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn get(
    State(context): State<Shared>,
    MayRead(caller): MayRead,
    AssetPath(id): AssetPath,
    _: NoParams,
    origin: Origin,
) -> Result<Answer<AssetView>, Problem> {
    let asset = context.engine.store().asset(caller.tenant, id).await?;
    Ok(Answer(view(&context, &caller, &origin, asset).await?))
}

/// An asset with what must be read beside it.
pub(crate) async fn view(
    context: &Context,
    caller: &Caller,
    origin: &Origin,
    asset: AssetRecord,
) -> Result<AssetView, StoreError> {
    let store = context.engine.store();
    let filter = TaskFilter {
        asset: Some(asset.id),
        limit: TASKS,
        ..TaskFilter::default()
    };
    // Not from what is remembered: word of other processes' changes comes a moment late, and a state is never shown
    // with less than it says.
    let renditions = store.renditions(asset.id).await?;
    let tasks = store.tasks(caller.tenant, &filter).await?.items;
    let floor = Floor::of(context, &tasks).await?;
    let tasks = tasks.into_iter().map(|task| TaskView::of(task, &floor));
    let tasks = tasks.collect();
    let (streams, captions) = match asset.kind {
        Kind::Image => (None, Vec::new()),
        Kind::Video | Kind::Audio => (
            Some(store.streams_status(asset.id).await?),
            store.captions(asset.id).await?,
        ),
    };
    let streams = streams.as_ref();
    Ok(AssetView::of(
        context,
        origin,
        asset,
        &renditions,
        streams,
        captions,
        tasks,
    ))
}

/// Search assets, newest first.
#[utoipa::path(
    get, path = "/v1/assets", operation_id = "searchAssets", tag = "assets",
    params(
        ("state" = Option<String>, Query, description = "`in_review` is the queue of who decides."),
        ("kind" = Option<String>, Query),
        ("media_type" = Option<String>, Query, description = "Of the original, for example `image/png`."),
        ("tag" = Option<String>, Query),
        ("codec" = Option<String>, Query, description = "Of the pictures, or of the sound where there are none: `h264`, `hevc`, `aac`, ..."),
        ("container" = Option<String>, Query, description = "As inspection names it: `mov`, `matroska`, ..."),
        ("hdr" = Option<String>, Query, description = "`hdr10`, `hlg` or `dolby_vision`."),
        ("has_sound" = Option<bool>, Query),
        ("duration_min" = Option<f64>, Query, description = "In seconds; `duration_max` likewise."),
        ("duration_max" = Option<f64>, Query),
        ("width_min" = Option<u64>, Query, description = "In pixels, of pictures too; likewise `width_max`, `height_min` and `height_max`."),
        ("width_max" = Option<u64>, Query),
        ("height_min" = Option<u64>, Query),
        ("height_max" = Option<u64>, Query),
        ("frame_rate_min" = Option<f64>, Query, description = "Pictures in a second; `frame_rate_max` likewise."),
        ("frame_rate_max" = Option<f64>, Query),
        ("code" = Option<String>, Query, description = "Those whose newest run has a task that failed for good with this error code."),
        ("text" = Option<String>, Query, description = "Words in title, filename, tags, camera, the file's own tags ..."),
        ("since" = Option<String>, Query, description = "Accepted at or after; RFC 3339."),
        ("until" = Option<String>, Query, description = "Accepted before; RFC 3339."),
        ("limit" = Option<u32>, Query, description = "1 to 200; 50 when missing."),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before."),
    ),
    responses(
        (status = 200, body = AssetList),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn search(
    State(context): State<Shared>,
    MayRead(caller): MayRead,
    params: Params,
    origin: Origin,
) -> Result<Answer<AssetList>, Problem> {
    let search = searched(params)?;
    let page = context
        .engine
        .store()
        .search(caller.tenant, &search)
        .await?;
    let items = page.items.into_iter();
    Ok(Answer(AssetList {
        items: items.map(|a| AssetItem::of(&context, &origin, a)).collect(),
        next_cursor: page.next_cursor,
    }))
}

fn searched(mut params: Params) -> Result<Search, EngineError> {
    let states = one_of(AssetState::ALL.iter().map(|s| s.as_str()));
    let search = Search {
        state: params.take_as("state", &states, AssetState::parse)?,
        kind: params.take_as("kind", "`image`, `video` or `audio`", Kind::parse)?,
        media_type: params.take("media_type")?,
        media: media(&mut params)?,
        tag: params.take("tag")?,
        code: params.take_as("code", "one of the documented error codes", known_code)?,
        text: params.take("text")?,
        since: params.take_time("since")?,
        until: params.take_time("until")?,
        limit: params.take_limit()?,
        cursor: params.take("cursor")?,
    };
    params.finish()?;
    Ok(search)
}

/// What a film or recording must be.
fn media(params: &mut Params) -> Result<MediaFilter, EngineError> {
    let whole = |text: &str| text.parse::<u64>().ok();
    let real = |text: &str| {
        let number: f64 = text.parse().ok()?;
        (number.is_finite() && number >= 0.0).then_some(number)
    };
    let seconds = |text: &str| real(text).map(|s| (s * 1000.0).round() as u64);
    Ok(MediaFilter {
        codec: params.take("codec")?,
        container: params.take("container")?,
        hdr: params.take_as("hdr", "`hdr10`, `hlg` or `dolby_vision`", |text| {
            let is_known = ["hdr10", "hlg", "dolby_vision"].contains(&text);
            is_known.then(|| text.to_owned())
        })?,
        has_sound: params.take_as("has_sound", "`true` or `false`", |text| text.parse().ok())?,
        duration_ms: (
            params.take_as("duration_min", "seconds", seconds)?,
            params.take_as("duration_max", "seconds", seconds)?,
        ),
        width: (
            params.take_as("width_min", "pixels", whole)?,
            params.take_as("width_max", "pixels", whole)?,
        ),
        height: (
            params.take_as("height_min", "pixels", whole)?,
            params.take_as("height_max", "pixels", whole)?,
        ),
        frame_rate: (
            params.take_as("frame_rate_min", "pictures in a second", real)?,
            params.take_as("frame_rate_max", "pictures in a second", real)?,
        ),
    })
}

/// What to change; what is missing stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    /// Null removes it.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    title: Option<Option<String>>,
    /// Replaces all.
    tags: Option<Vec<String>>,
    /// Replaces the whole object.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Map<String, Value>>,
    /// `public` or `private`.
    #[schema(value_type = Option<String>)]
    visibility: Option<Visibility>,
    /// `{x, y}` between 0 and 1. Crops follow it, in a new generation.
    #[schema(value_type = Option<crate::view::asset::FocusView>)]
    focus: Option<Focus>,
}

/// Change what is said about an asset.
#[utoipa::path(
    patch, path = "/v1/assets/{id}", operation_id = "changeAsset", tag = "assets",
    params(("id" = String, Path, description = "The asset.")),
    request_body = Change,
    responses(
        (status = 200, body = AssetView),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn patch(
    State(context): State<Shared>,
    MayIngest(caller): MayIngest,
    AssetPath(id): AssetPath,
    _: NoParams,
    origin: Origin,
    Json(change): Json<Change>,
) -> Result<Answer<AssetView>, Problem> {
    let patch = AssetPatch {
        title: change.title.map(|t| t.filter(|t| !t.is_empty())),
        tags: change.tags,
        metadata: change.metadata,
        visibility: change.visibility,
        focus: change.focus,
    };
    if patch == AssetPatch::default() {
        return Err(invalid("the body changes nothing").into());
    }
    let hides = patch.visibility == Some(Visibility::Private);
    let asset = context.engine.update(caller.tenant, id, patch).await?;
    if hides {
        context.lookups.forgotten().await;
    }
    Ok(Answer(view(&context, &caller, &origin, asset).await?))
}

/// Delete an asset. Its renditions are gone with the answer; its history stays.
#[utoipa::path(
    delete, path = "/v1/assets/{id}", operation_id = "deleteAsset", tag = "assets",
    params(("id" = String, Path, description = "The asset.")),
    responses(
        (status = 204, description = "It is deleted, now or since earlier."),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn delete(
    State(context): State<Shared>,
    MayIngest(caller): MayIngest,
    AssetPath(id): AssetPath,
    _: NoParams,
) -> Result<StatusCode, Problem> {
    context.engine.store().delete(caller.tenant, id).await?;
    context.lookups.forgotten().await;
    Ok(StatusCode::NO_CONTENT)
}

/// How to process again.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Again {
    /// Instead of the recipe of the newest run.
    recipe: Option<String>,
}

/// A new run that began.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Began {
    #[schema(value_type = String, format = Uuid)]
    id: AssetId,
    generation: u32,
    links: Links,
}

/// Process an asset again, with the recipe and the settings as they are now. Readers keep what they have until
/// everything new is there.
#[utoipa::path(
    post, path = "/v1/assets/{id}/reprocess", operation_id = "reprocessAsset", tag = "assets",
    params(("id" = String, Path, description = "The asset.")),
    request_body(content = Option<Again>),
    responses(
        (status = 202, body = Began),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn reprocess(
    State(context): State<Shared>,
    MayIngest(caller): MayIngest,
    AssetPath(id): AssetPath,
    _: NoParams,
    MaybeJson(again): MaybeJson<Again>,
) -> Result<impl IntoResponse, Problem> {
    let recipe = again.recipe.as_deref();
    let generation = context.engine.reprocess(caller.tenant, id, recipe).await?;
    let links = Links::of(id);
    let began = Began {
        id,
        generation,
        links,
    };
    Ok((StatusCode::ACCEPTED, Answer(began)))
}
