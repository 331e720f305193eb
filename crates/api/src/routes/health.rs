//! Whether the server lives, is ready, and how it does.

use crate::problem::Problem;
use crate::{Context, Shared};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Json};
use mediaflow_core::Timestamp;
use mediaflow_engine::metrics::{Exposition, Scrape};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::timeout;
use utoipa::ToSchema;

/// A store that needs longer for a few counts is not there.
const STORE_TIME_MAX: Duration = Duration::from_secs(3);

/// What this server is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Landing {
    name: &'static str,
    version: &'static str,
    links: BTreeMap<&'static str, &'static str>,
}

/// What is here; browsers, which ask for `text/html`, get the dashboard.
#[utoipa::path(
    get, path = "/", operation_id = "describeServer", tag = "health", security(()),
    responses((status = 200, content((Landing = "application/json"), (String = "text/html")))),
)]
pub(crate) async fn landing() -> Json<Landing> {
    Json(Landing {
        name: "MediaFlow",
        version: env!("CARGO_PKG_VERSION"),
        links: BTreeMap::from([
            ("assets", "/v1/assets"),
            ("events", "/v1/events"),
            ("tasks", "/v1/tasks"),
            ("workers", "/v1/workers"),
            ("queues", "/v1/queues"),
            ("switches", "/v1/switches"),
            ("tenants", "/v1/tenants"),
            ("keys", "/v1/keys"),
            ("settings", "/v1/settings"),
            ("storage", "/v1/storage"),
            ("outlets", "/v1/outlets"),
            ("webhooks", "/v1/webhooks"),
            ("failures", "/v1/failures"),
            ("recipes", "/v1/recipes"),
            ("uploads", "/v1/uploads"),
            ("session", "/v1/session"),
            ("openapi", "/openapi.json"),
            ("health", "/healthz"),
            ("ready", "/readyz"),
            ("metrics", "/metrics"),
        ]),
    })
}

/// Whether the process lives.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Alive {
    /// Always `ok`.
    status: &'static str,
}

/// Whether the process answers at all.
#[utoipa::path(get, path = "/healthz", operation_id = "isAlive", tag = "health", security(()), responses((status = 200, body = Alive)))]
pub(crate) async fn alive() -> Json<Alive> {
    Json(Alive { status: "ok" })
}

/// Whether the server can do its work.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Readiness {
    /// `ready` or `not_ready`.
    status: &'static str,
    /// By name; the log says more about what is not well.
    checks: BTreeMap<String, Check>,
}

/// One thing that must be well.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Check {
    ok: bool,
    /// Why it is not.
    reason: Option<String>,
    /// Since when it is not; that is known from the first time that somebody asked.
    #[schema(value_type = Option<String>, format = DateTime)]
    since: Option<String>,
}

impl Check {
    fn of(reason: Option<String>) -> Self {
        Self {
            ok: reason.is_none(),
            reason,
            since: None,
        }
    }
}

/// Since when what is not well was found so.
#[derive(Debug, Default)]
pub(crate) struct Unwell(Mutex<BTreeMap<String, Timestamp>>);

impl Unwell {
    fn date(&self, checks: &mut BTreeMap<String, Check>, now: Timestamp) {
        let mut begun = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        begun.retain(|name, _| checks.get(name).is_some_and(|check| !check.ok));
        for (name, check) in checks.iter_mut().filter(|(_, check)| !check.ok) {
            let since = *begun.entry(name.clone()).or_insert(now);
            check.since = Some(since.to_string());
        }
    }
}

/// Whether the store answers, the disk has room and the background services do their rounds.
#[utoipa::path(
    get, path = "/readyz", operation_id = "isReady", tag = "health", security(()),
    responses((status = 200, body = Readiness), (status = 503, body = Readiness)),
)]
pub(crate) async fn ready(State(context): State<Shared>) -> impl IntoResponse {
    let store = match timeout(STORE_TIME_MAX, context.engine.store().health()).await {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => Some(error.code().to_string()),
        Err(_) => Some("no answer in time".to_owned()),
    };
    let room = context.engine.check_room().err().map(|e| e.message);
    let mut checks = BTreeMap::from([
        ("store".to_owned(), Check::of(store)),
        ("disk".to_owned(), Check::of(room)),
    ]);
    for (name, failed) in services(&context) {
        let reason = failed.then(|| "its last round failed".to_owned());
        checks.insert(format!("service.{name}"), Check::of(reason));
    }
    let broker = context.engine.broker();
    let is_ready = checks.values().all(|c| c.ok) && !context.stopping.is_cancelled();
    // Without it workers poll: that is slower, and no reason to send people away.
    if let Some(broker) = broker {
        let reason = broker.trouble();
        let reason = reason.map(|_| "its last request failed; workers poll".to_owned());
        checks.insert("broker".to_owned(), Check::of(reason));
    }
    if let Some(outlet) = context.engine.outlet() {
        let reason = outlet.trouble();
        let reason = reason.map(|_| "its last request failed; events wait".to_owned());
        checks.insert("events".to_owned(), Check::of(reason));
    }
    context
        .unwell
        .date(&mut checks, context.engine.environment().now());
    let (code, status) = match is_ready {
        true => (StatusCode::OK, "ready"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not_ready"),
    };
    let no_store = [(header::CACHE_CONTROL, "no-store")];
    (code, no_store, Json(Readiness { status, checks }))
}

fn services(context: &Context) -> Vec<(&'static str, bool)> {
    let board = context.services.read();
    let states = board.into_iter();
    states.map(|(name, s)| (name, s.error.is_some())).collect()
}

/// Metrics for Prometheus, in its text format or as OpenMetrics.
#[utoipa::path(
    get, path = "/metrics", operation_id = "readMetrics", tag = "health", security(()),
    responses((status = 200, body = String, content_type = "text/plain; version=0.0.4")),
)]
pub(crate) async fn metrics(
    State(context): State<Shared>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, Problem> {
    let health = timeout(STORE_TIME_MAX, context.engine.store().health()).await;
    let health = health.ok().and_then(Result::ok);
    let free = context.engine.blobs().free_bytes().ok().flatten();
    let scrape = Scrape {
        store: health.as_ref(),
        free_bytes: free.map(|free| (free, context.engine.limits().free_bytes_min)),
        broker: context
            .engine
            .broker()
            .map(|broker| (broker.stats(), broker.trouble().is_none())),
        outlet: context
            .engine
            .outlet()
            .map(|outlet| (outlet.stats(), context.engine.untold_for())),
        imports: Some(context.engine.import_counts()),
        webhooks: (context.engine.has_webhooks()).then(|| context.engine.undelivered_for()),
        services: &services(&context),
    };
    let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok());
    let is_open = accept.is_some_and(|a| a.contains("application/openmetrics-text"));
    let (exposition, media_type) = match is_open {
        true => (
            Exposition::OpenMetrics,
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        ),
        false => (
            Exposition::Prometheus,
            "text/plain; version=0.0.4; charset=utf-8",
        ),
    };
    let text = context.metrics.expose(&scrape, exposition);
    Ok(([(header::CONTENT_TYPE, media_type)], text))
}
