//! All paths, and what answers where there is none.

mod adding;
pub(crate) mod arrivals;
pub(crate) mod assets;
pub(crate) mod captions;
mod dashboard;
pub(crate) mod delivery;
pub(crate) mod direct;
pub(crate) mod events;
pub(crate) mod failures;
pub(crate) mod health;
pub(crate) mod imports;
pub(crate) mod keys;
pub(crate) mod moderation;
mod moments;
pub(crate) mod original;
pub(crate) mod outlets;
pub(crate) mod queues;
mod received;
pub(crate) mod recipes;
pub(crate) mod resumable;
pub(crate) mod session;
pub(crate) mod settings;
pub(crate) mod storage;
pub(crate) mod storage_events;
mod streams;
pub(crate) mod switches;
pub(crate) mod tasks;
pub(crate) mod tenants;
pub(crate) mod tokens;
pub(crate) mod tus;
pub(crate) mod upload;
pub(crate) mod watches;
pub(crate) mod webhooks;
pub(crate) mod workers;

use crate::problem::Problem;
use crate::worker::WorkerService;
use crate::{Shared, cors, observe, openapi, worker};
use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRequestParts, Path};
use axum::http::request::Parts;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{any, delete, get, patch, post, put};
use mediaflow_core::{AssetId, ErrorCode, KeyId, TaskId, TenantId, UploadId, WebhookId, WorkerId};
use std::str::FromStr;

pub(crate) fn router(context: Shared) -> Router {
    Router::new()
        .route("/", get(dashboard::root))
        .route("/ui/{file}", get(dashboard::file))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .route("/openapi.json", get(openapi::route))
        .route("/media/{*path}", get(delivery::get))
        .merge(uploads())
        .route(
            "/v1/assets",
            get(assets::search).options(resumable::options),
        )
        .route(
            "/v1/assets/{id}",
            get(assets::get).patch(assets::patch).delete(assets::delete),
        )
        .route("/v1/assets/import", post(imports::post))
        .route(
            "/v1/imports/{id}",
            get(imports::get).delete(imports::delete),
        )
        .route("/v1/assets/{id}/original", get(original::get))
        .route("/v1/assets/{id}/tasks", get(tasks::of_asset))
        .route("/v1/assets/{id}/events", get(events::of_asset))
        .route("/v1/assets/{id}/reprocess", post(assets::reprocess))
        .route("/v1/assets/{id}/moderation", post(moderation::decide))
        .route(
            "/v1/assets/{id}/captions/{language}",
            put(captions::put).delete(captions::delete),
        )
        .route("/v1/upload-tokens", post(tokens::mint))
        .route("/v1/assets/{id}/recipe", get(recipes::of_asset))
        .route("/v1/uploads", get(arrivals::list))
        .route("/v1/uploads/{id}", get(direct::get).delete(direct::end))
        .route("/v1/uploads/{id}/bytes", put(received::put))
        .route("/v1/uploads/{id}/complete", post(direct::complete))
        .route("/v1/events", get(events::all))
        .route("/v1/tasks", get(tasks::list))
        .route("/v1/tasks/replay", post(tasks::replay_all))
        .route("/v1/tasks/{id}/replay", post(tasks::replay))
        .route("/v1/failures", get(failures::list))
        .route("/v1/recipes", get(recipes::list))
        .route("/v1/recipes/check", post(recipes::check))
        .route("/v1/queues", get(queues::list))
        .route("/v1/queues/history", get(queues::history))
        .route(
            "/v1/session",
            get(session::get)
                .post(session::sign_in)
                .delete(session::sign_out),
        )
        .route("/v1/keys", get(keys::list).post(keys::create))
        .route("/v1/keys/{id}", delete(keys::revoke))
        .route("/v1/keys/{id}/limits", put(keys::limit))
        .route("/v1/settings", get(settings::list))
        .route("/v1/storage", get(storage::get))
        .route("/v1/outlets", get(outlets::list))
        .route("/v1/switches", get(switches::list))
        .route("/v1/switches/history", get(switches::history))
        .route("/v1/switches/{name}", put(switches::set))
        .route("/v1/tenants", get(tenants::list).post(tenants::create))
        .route("/v1/tenants/{id}", patch(tenants::change))
        .route("/v1/storage-events", post(storage_events::post))
        .route("/v1/watches", get(watches::list))
        .route("/v1/webhooks", get(webhooks::list).post(webhooks::create))
        .route(
            "/v1/webhooks/{id}",
            get(webhooks::get)
                .patch(webhooks::change)
                .delete(webhooks::remove),
        )
        .route("/v1/webhooks/{id}/secret", post(webhooks::rotate))
        .route("/v1/webhooks/{id}/test", post(webhooks::test))
        .route("/v1/webhooks/{id}/deliveries", get(webhooks::deliveries))
        .route(
            "/v1/webhooks/{id}/deliveries/{event}",
            get(webhooks::delivery),
        )
        .route(
            "/v1/webhooks/{id}/deliveries/{event}/redeliver",
            post(webhooks::redeliver),
        )
        .route(
            "/v1/webhooks/{id}/redeliver",
            post(webhooks::redeliver_failed),
        )
        .route("/v1/workers", get(workers::list))
        .route("/v1/workers/{id}/drain", post(workers::drain))
        .route("/v1/workers/{id}/resume", post(workers::resume))
        .route("/v1/workers/{id}/stop", post(workers::stop))
        // Of workers on networks of their own; described in `proto/worker.proto`.
        .route_service(
            "/mediaflow.worker.v1.Worker/{call}",
            WorkerService::server(context.clone()),
        )
        .route("/worker/blobs/{*key}", get(worker::get).put(worker::put))
        .fallback(async || Problem::plain(ErrorCode::RouteNotFound))
        .method_not_allowed_fallback(async || Problem::plain(ErrorCode::MethodNotAllowed))
        // Uploads have a limit of their own, which the engine counts; JSON bodies theirs.
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn_with_state(context.clone(), observe::observe))
        .layer(from_fn_with_state(context.clone(), cors::allow))
        .with_state(context)
}

/// Where uploads are begun and gone on with.
fn uploads() -> Router<Shared> {
    Router::new()
        .route("/v1/assets", post(upload::post))
        .route("/v1/uploads", post(direct::begin))
        .route("/v1/tus", any(tus::collection))
        .route("/v1/tus/{id}", any(tus::one))
        .route(
            "/v1/resumable/{id}",
            get(resumable::get)
                .patch(resumable::patch)
                .delete(resumable::delete),
        )
        .layer(from_fn(adding::to_its_end))
}

/// Of a process without the API.
pub(crate) fn probes(context: Shared) -> Router {
    Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .fallback(async || Problem::plain(ErrorCode::RouteNotFound))
        .layer(from_fn_with_state(context.clone(), observe::observe))
        .with_state(context)
}

macro_rules! ids {
    ($($name:ident $id:ident $code:ident;)*) => {
        $(
            /// The id in the path. What is none names nothing.
            pub(crate) struct $name(pub(crate) $id);

            impl<S: Send + Sync> FromRequestParts<S> for $name {
                type Rejection = Problem;

                async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
                    let text = Path::<String>::from_request_parts(parts, state).await;
                    let id = text.ok().and_then(|Path(text)| $id::from_str(&text).ok());
                    id.map(Self).ok_or_else(|| Problem::plain(ErrorCode::$code))
                }
            }
        )*
    };
}

ids! {
    AssetPath AssetId AssetNotFound;
    TaskPath TaskId TaskNotFound;
    WorkerPath WorkerId WorkerNotFound;
    TenantPath TenantId TenantNotFound;
    ImportPath UploadId ImportNotFound;
    UploadPath UploadId UploadNotFound;
    KeyPath KeyId KeyNotFound;
    WebhookPath WebhookId WebhookNotFound;
}
