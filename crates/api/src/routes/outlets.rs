//! `/v1/outlets`: who outside is told what happens here, how far behind that is, and what went wrong last.

use super::settings::text;
use crate::access::MayOperate;
use crate::params::NoParams;
use crate::problem::{Problem, ProblemView};
use crate::{Context, Shared};
use axum::extract::State;
use axum::response::Json as Answer;
use mediaflow_core::Timestamp;
use mediaflow_engine::store::{Backlog, COUNTED_MAX};
use serde::Serialize;
use std::time::{SystemTime, UNIX_EPOCH};
use utoipa::ToSchema;

/// All ways out.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OutletList {
    outlets: Vec<OutletView>,
    /// How many purges are counted at most.
    purges_max: u32,
}

/// A way out. Of a cluster one process at a time tells, and only that one knows how it goes: what the others answer has `here` false.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Outlet)]
pub(crate) struct OutletView {
    /// `events`: what happened, for other systems; `cdn`: addresses that caches must forget.
    name: &'static str,
    /// `off`: nothing is configured. `well`: nothing waits, or what waits is being told. `failing`: the last try failed; it is tried
    /// again until it goes well, and nothing is left out.
    state: &'static str,
    /// `kafka`, `sqs`, `sns`, `redis` or `http`.
    via: Option<&'static str>,
    /// Where to, without password and parameters.
    to: Option<String>,
    /// Whether the process that answers is the one that tells.
    here: bool,
    /// Events that were not told yet, or purges that were not done.
    waiting: u64,
    /// Of these, how many were tried in vain; null where they are told one after the other.
    retrying: Option<u64>,
    /// When the first of what waits happened; of purges, when the first is tried, or should have been.
    #[schema(value_type = Option<String>, format = DateTime)]
    waiting_since: Option<String>,
    /// Told by this process since it began.
    told: u64,
    /// Tries of this process that failed.
    failures: u64,
    /// The last of them, though others may have gone well since.
    last_failure: Option<FailureView>,
}

/// A try that failed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OutletFailure)]
pub(crate) struct FailureView {
    #[schema(value_type = String, format = DateTime)]
    at: String,
    why: String,
}

impl FailureView {
    fn new(at: SystemTime, why: String) -> Self {
        let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let ms = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
        Self {
            at: Timestamp(ms).to_string(),
            why,
        }
    }
}

/// List the ways out: events that other systems are told, and caches that must forget.
#[utoipa::path(
    get, path = "/v1/outlets", operation_id = "listOutlets", tag = "outlets",
    responses(
        (status = 200, body = OutletList),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(
    State(context): State<Shared>,
    _: MayOperate,
    _: NoParams,
) -> Result<Answer<OutletList>, Problem> {
    let backlog = context.engine.backlog().await?;
    Ok(Answer(OutletList {
        outlets: vec![events(&context, &backlog), cdn(&context, &backlog)],
        purges_max: COUNTED_MAX,
    }))
}

fn events(context: &Context, backlog: &Backlog) -> OutletView {
    let Some(outlet) = context.engine.outlet() else {
        return OutletView::off("events");
    };
    let stats = outlet.stats();
    OutletView {
        state: state(outlet.trouble().is_some()),
        via: Some(outlet.name()),
        to: text(context, "events.to"),
        here: runs_here(context, "teller"),
        waiting: backlog.events,
        waiting_since: backlog.oldest_event_at.map(|at| at.to_string()),
        told: stats.announced,
        failures: stats.failures,
        last_failure: outlet
            .last_failure()
            .map(|failed| FailureView::new(failed.at, failed.why)),
        ..OutletView::off("events")
    }
}

fn cdn(context: &Context, backlog: &Backlog) -> OutletView {
    let Some(stats) = context.engine.cdn().stats() else {
        return OutletView::off("cdn");
    };
    let purges = &backlog.purges;
    OutletView {
        state: state(stats.is_failing || purges.failed > 0),
        via: Some("http"),
        to: text(context, "cdn.url"),
        here: runs_here(context, "purger"),
        waiting: purges.waiting,
        retrying: Some(purges.failed),
        waiting_since: purges.due_at.map(|at| at.to_string()),
        told: stats.purged,
        failures: stats.failures,
        last_failure: stats
            .last_failure
            .map(|(at, why)| FailureView::new(at, why)),
        ..OutletView::off("cdn")
    }
}

impl OutletView {
    fn off(name: &'static str) -> Self {
        Self {
            name,
            state: "off",
            via: None,
            to: None,
            here: false,
            waiting: 0,
            retrying: None,
            waiting_since: None,
            told: 0,
            failures: 0,
            last_failure: None,
        }
    }
}

fn state(is_failing: bool) -> &'static str {
    match is_failing {
        true => "failing",
        false => "well",
    }
}

/// Whether it is this process whose turn it is: its service does rounds.
fn runs_here(context: &Context, service: &str) -> bool {
    /// Rounds come every half a second, and after a failure at last every half a minute.
    const LATELY_MS: i64 = 60_000;
    let now = context.engine.environment().now();
    let board = context.services.read();
    board
        .get(service)
        .is_some_and(|status| now.0 - status.at.0 < LATELY_MS)
}
