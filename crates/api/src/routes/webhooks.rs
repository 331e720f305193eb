//! `/v1/webhooks`: whom a tenant has told of what happens to its assets, and what became of each telling.

use super::WebhookPath;
use crate::Shared;
use crate::access::MayAdmin;
use crate::body::{Json, present};
use crate::params::{NoParams, Params, one_of};
use crate::problem::{Problem, ProblemView, invalid};
use crate::send::value;
use crate::view::webhook::{
    DeliveryDetailsView, DeliveryList, DeliveryView, NewWebhookView, SecretView, TestView,
    WebhookList, WebhookView,
};
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Json as Answer;
use mediaflow_core::{ErrorCode, EventId, Timestamp, WebhookId};
use mediaflow_engine::store::{DeliveryFilter, DeliveryState, WebhookChange};
use serde::{Deserialize, Serialize};
use std::str::FromStr as _;
use utoipa::ToSchema;

/// Deliveries that one request has sent again.
const AGAIN_MAX: u32 = 1000;
/// What is shown once is not to be kept on the way.
const NO_STORE: (HeaderName, HeaderValue) =
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));

/// List the tenant's webhooks, oldest first.
#[utoipa::path(
    get, path = "/v1/webhooks", operation_id = "listWebhooks", tag = "webhooks",
    responses(
        (status = 200, body = WebhookList),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(
    State(context): State<Shared>,
    MayAdmin(caller): MayAdmin,
    _: NoParams,
) -> Result<Answer<WebhookList>, Problem> {
    let found = context.engine.store().webhooks(caller.tenant).await?;
    let webhooks = found.into_iter().map(WebhookView::from).collect();
    Ok(Answer(WebhookList { webhooks }))
}

/// A webhook to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WebhookWish {
    /// An http or https address of a host on the internet, at port 80, 443 or one from 1024 on, without a name or password in it.
    #[schema(max_length = 4096)]
    url: String,
    /// Types of events, and patterns like `asset.*`; all types when empty.
    #[serde(default)]
    #[schema(max_items = 32)]
    types: Vec<String>,
    /// For people.
    #[schema(max_length = 500)]
    description: Option<String>,
}

/// Make a webhook.
///
/// It is told of what happens from now on, signed as Standard Webhooks 1.0 has it, at least once and in no particular order.
#[utoipa::path(
    post, path = "/v1/webhooks", operation_id = "createWebhook", tag = "webhooks",
    request_body = WebhookWish,
    responses(
        (status = 201, body = NewWebhookView, headers(("Location" = String))),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn create(
    State(context): State<Shared>,
    MayAdmin(caller): MayAdmin,
    _: NoParams,
    Json(wish): Json<WebhookWish>,
) -> Result<
    (
        StatusCode,
        [(HeaderName, HeaderValue); 2],
        Answer<NewWebhookView>,
    ),
    Problem,
> {
    let making = context
        .engine
        .make_webhook(caller.tenant, wish.url, wish.types, wish.description);
    let (made, secret) = making.await?;
    tracing::info!(webhook = %made.id, by = caller.name, "a webhook was made");
    let location = value(format!("/v1/webhooks/{}", made.id));
    let view = NewWebhookView {
        made: made.into(),
        secret,
    };
    let headers = [(header::LOCATION, location), NO_STORE];
    Ok((StatusCode::CREATED, headers, Answer(view)))
}

/// Look at a webhook.
#[utoipa::path(
    get, path = "/v1/webhooks/{id}", operation_id = "getWebhook", tag = "webhooks",
    params(("id" = String, Path, description = "The webhook.")),
    responses(
        (status = 200, body = WebhookView),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn get(
    State(context): State<Shared>,
    MayAdmin(caller): MayAdmin,
    WebhookPath(id): WebhookPath,
    _: NoParams,
) -> Result<Answer<WebhookView>, Problem> {
    let found = context.engine.store().webhook(caller.tenant, id).await?;
    Ok(Answer(found.into()))
}

/// What to change; what is missing stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WebhookPatch {
    /// What waits goes to the new address, too.
    #[schema(max_length = 4096)]
    url: Option<String>,
    /// Replaces all; of what happens from now on.
    #[schema(max_items = 32)]
    types: Option<Vec<String>>,
    /// Null removes it.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, max_length = 500)]
    description: Option<Option<String>>,
    /// `on`: it is told of what happens from now on, and what waited when it was switched off is sent; it has not failed yet. `off`:
    /// nothing is sent.
    state: Option<String>,
}

/// Change a webhook, or switch it on or off.
#[utoipa::path(
    patch, path = "/v1/webhooks/{id}", operation_id = "changeWebhook", tag = "webhooks",
    params(("id" = String, Path, description = "The webhook.")),
    request_body = WebhookPatch,
    responses(
        (status = 200, body = WebhookView),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn change(
    State(context): State<Shared>,
    MayAdmin(caller): MayAdmin,
    WebhookPath(id): WebhookPath,
    _: NoParams,
    Json(patch): Json<WebhookPatch>,
) -> Result<Answer<WebhookView>, Problem> {
    let is_on = match patch.state.as_deref() {
        None => None,
        Some("on") => Some(true),
        Some("off") => Some(false),
        Some(_) => return Err(invalid("`state` must be on or off").into()),
    };
    let change = WebhookChange {
        url: patch.url,
        types: patch.types,
        description: patch.description,
        is_on,
    };
    let changing = context.engine.change_webhook(caller.tenant, id, change);
    let changed = changing.await?;
    tracing::info!(webhook = %id, by = caller.name, "a webhook was changed");
    Ok(Answer(changed.into()))
}

/// Remove a webhook with all that waits for it.
#[utoipa::path(
    delete, path = "/v1/webhooks/{id}", operation_id = "removeWebhook", tag = "webhooks",
    params(("id" = String, Path, description = "The webhook.")),
    responses(
        (status = 204, description = "It is gone."),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn remove(
    State(context): State<Shared>,
    MayAdmin(caller): MayAdmin,
    WebhookPath(id): WebhookPath,
    _: NoParams,
) -> Result<StatusCode, Problem> {
    let store = context.engine.store();
    store.remove_webhook(caller.tenant, id).await?;
    tracing::info!(webhook = %id, by = caller.name, "a webhook was removed");
    Ok(StatusCode::NO_CONTENT)
}

/// Give a webhook another secret.
///
/// For 24 hours deliveries are signed with both, so that receivers can change over.
#[utoipa::path(
    post, path = "/v1/webhooks/{id}/secret", operation_id = "rotateWebhookSecret", tag = "webhooks",
    params(("id" = String, Path, description = "The webhook.")),
    responses(
        (status = 200, body = SecretView),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn rotate(
    State(context): State<Shared>,
    MayAdmin(caller): MayAdmin,
    WebhookPath(id): WebhookPath,
    _: NoParams,
) -> Result<([(HeaderName, HeaderValue); 1], Answer<SecretView>), Problem> {
    let secret = context.engine.rotate_webhook(caller.tenant, id).await?;
    tracing::info!(webhook = %id, by = caller.name, "a webhook got another secret");
    Ok(([NO_STORE], Answer(SecretView { secret })))
}

/// Try a webhook, whether it is on or off.
///
/// It is sent an event of the type `webhook.test` now, once, and this is recorded nowhere.
#[utoipa::path(
    post, path = "/v1/webhooks/{id}/test", operation_id = "testWebhook", tag = "webhooks",
    params(("id" = String, Path, description = "The webhook.")),
    responses(
        (status = 200, body = TestView),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn test(
    State(context): State<Shared>,
    MayAdmin(caller): MayAdmin,
    WebhookPath(id): WebhookPath,
    _: NoParams,
) -> Result<Answer<TestView>, Problem> {
    let tried = context.engine.try_webhook(caller.tenant, id).await?;
    Ok(Answer(tried.into()))
}

/// List what a webhook was told and what waits, newest first.
#[utoipa::path(
    get, path = "/v1/webhooks/{id}/deliveries", operation_id = "listDeliveries", tag = "webhooks",
    params(
        ("id" = String, Path, description = "The webhook."),
        ("state" = Option<String>, Query, description = "`waiting`, `delivered` or `failed`; all when missing."),
        ("limit" = Option<u32>, Query, description = "1 to 200; 50 when missing."),
        ("cursor" = Option<String>, Query, description = "`next` of the page before."),
    ),
    responses(
        (status = 200, body = DeliveryList),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn deliveries(
    State(context): State<Shared>,
    MayAdmin(caller): MayAdmin,
    WebhookPath(id): WebhookPath,
    mut params: Params,
) -> Result<Answer<DeliveryList>, Problem> {
    let names = one_of(DeliveryState::ALL.iter().map(|state| state.as_str()));
    let state = params.take_as("state", &names, DeliveryState::parse)?;
    let cursor = params.take("cursor")?;
    let limit = params.take_limit()?;
    params.finish()?;
    let filter = DeliveryFilter { state, cursor };
    let store = context.engine.store();
    let page = store.deliveries(caller.tenant, id, &filter, limit).await?;
    Ok(Answer(page.into()))
}

/// The webhook and the event in the path. What is none names no delivery.
pub(crate) struct DeliveryPath(WebhookId, EventId);

impl<S: Send + Sync> FromRequestParts<S> for DeliveryPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let ids = Path::<(String, String)>::from_request_parts(parts, state).await;
        let ids = ids.ok().and_then(|Path((webhook, event))| {
            let webhook = WebhookId::from_str(&webhook).ok()?;
            Some(Self(webhook, EventId::from_str(&event).ok()?))
        });
        ids.ok_or_else(|| Problem::plain(ErrorCode::DeliveryNotFound))
    }
}

/// Look at a delivery: what is sent, and each of the last attempts.
#[utoipa::path(
    get, path = "/v1/webhooks/{id}/deliveries/{event}", operation_id = "getDelivery", tag = "webhooks",
    params(
        ("id" = String, Path, description = "The webhook."),
        ("event" = String, Path, description = "The event."),
    ),
    responses(
        (status = 200, body = DeliveryDetailsView),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn delivery(
    State(context): State<Shared>,
    MayAdmin(caller): MayAdmin,
    DeliveryPath(id, event): DeliveryPath,
    _: NoParams,
) -> Result<Answer<DeliveryDetailsView>, Problem> {
    let store = context.engine.store();
    let found = store.delivery(caller.tenant, id, event).await?;
    Ok(Answer(found.into()))
}

/// Deliver an event again, whatever became of it.
///
/// It is tried at once, with a fresh run of attempts, as soon as the webhook is on.
#[utoipa::path(
    post, path = "/v1/webhooks/{id}/deliveries/{event}/redeliver", operation_id = "redeliver", tag = "webhooks",
    params(
        ("id" = String, Path, description = "The webhook."),
        ("event" = String, Path, description = "The event."),
    ),
    responses(
        (status = 202, body = DeliveryView),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn redeliver(
    State(context): State<Shared>,
    MayAdmin(caller): MayAdmin,
    DeliveryPath(id, event): DeliveryPath,
    _: NoParams,
) -> Result<(StatusCode, Answer<DeliveryView>), Problem> {
    let store = context.engine.store();
    let again = store.redeliver(caller.tenant, id, event).await?;
    context.engine.wake_webhooks();
    Ok((StatusCode::ACCEPTED, Answer(again.into())))
}

/// Which deliveries to send again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RedeliverWish {
    /// `failed`.
    state: String,
    /// Only those of events since then.
    #[schema(value_type = Option<String>, format = DateTime)]
    since: Option<String>,
}

/// What is sent again.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Redelivered {
    count: u32,
    /// Whether there may be others; ask again.
    more: bool,
}

/// Deliver again what was given up, the oldest first, up to 1,000 at once.
#[utoipa::path(
    post, path = "/v1/webhooks/{id}/redeliver", operation_id = "redeliverFailed", tag = "webhooks",
    params(("id" = String, Path, description = "The webhook.")),
    request_body = RedeliverWish,
    responses(
        (status = 202, body = Redelivered),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn redeliver_failed(
    State(context): State<Shared>,
    MayAdmin(caller): MayAdmin,
    WebhookPath(id): WebhookPath,
    _: NoParams,
    Json(wish): Json<RedeliverWish>,
) -> Result<(StatusCode, Answer<Redelivered>), Problem> {
    if wish.state != DeliveryState::Failed.as_str() {
        return Err(invalid("`state` must be failed").into());
    }
    let since = wish.since.as_deref().map(|text| {
        let odd = || invalid("`since` must be an RFC 3339 time like 2026-01-31T12:00:00Z");
        Timestamp::parse_rfc3339(text).ok_or_else(odd)
    });
    let since = since.transpose()?;
    let store = context.engine.store();
    let again = store.redeliver_failed(caller.tenant, id, since, AGAIN_MAX);
    let count = again.await?;
    context.engine.wake_webhooks();
    let more = count >= AGAIN_MAX;
    Ok((StatusCode::ACCEPTED, Answer(Redelivered { count, more })))
}
