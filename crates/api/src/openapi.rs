//! The API's description, made from the code that answers.

use crate::routes::{
    arrivals, assets, captions, delivery, direct, events, failures, health, imports, keys,
    moderation, original, outlets, queues, recipes, resumable, session, settings, storage,
    storage_events, switches, tasks, tenants, tokens, tus, upload, watches, webhooks, workers,
};
use axum::http::header;
use axum::response::IntoResponse;
use std::sync::LazyLock;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "MediaFlow",
        description = "A photo goes in, a page's worth of images comes out.\n\nErrors are RFC 9457 problem details with a stable `code`. Every answer carries `X-Correlation-Id`. Times are RFC 3339 in UTC.",
        license(name = "MIT OR Apache-2.0"),
        contact(),
    ),
    paths(
        upload::post, imports::post, imports::get, imports::delete, direct::begin, direct::get, direct::end, direct::complete, tokens::mint, tus::collection, tus::one, resumable::options, resumable::get, resumable::patch, resumable::delete, assets::search, assets::get, assets::patch, assets::delete, assets::reprocess, original::get,
        captions::put, captions::delete,
        moderation::decide, tasks::of_asset, tasks::list, tasks::replay, tasks::replay_all, events::of_asset,
        events::all, failures::list, arrivals::list, recipes::list, recipes::of_asset, recipes::check, session::get, session::sign_in, session::sign_out, queues::list, queues::history, keys::list, keys::create, keys::limit, keys::revoke, settings::list, storage::get, outlets::list, switches::list, switches::history, switches::set, tenants::list, tenants::create,
        tenants::change, watches::list, webhooks::list, webhooks::create, webhooks::get, webhooks::change, webhooks::remove, webhooks::rotate, webhooks::test, webhooks::deliveries, webhooks::delivery, webhooks::redeliver, webhooks::redeliver_failed, storage_events::post, workers::list, workers::drain, workers::resume, workers::stop, delivery::get, health::landing, health::alive, health::ready, health::metrics, route,
    ),
    modifiers(&Bearer),
    security(("key" = [])),
)]
struct Description;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme("key", scheme);
    }
}

static TEXT: LazyLock<String> = LazyLock::new(|| {
    let mut text = Description::openapi()
        .to_pretty_json()
        .expect("the description is JSON");
    text.push('\n');
    text
});

/// The OpenAPI document as indented JSON.
pub fn openapi() -> String {
    TEXT.clone()
}

/// This description.
#[utoipa::path(get, path = "/openapi.json", operation_id = "describeApi", tag = "health", security(()), responses((status = 200, body = Object)))]
pub(crate) async fn route() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], TEXT.as_str())
}
