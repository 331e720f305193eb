//! `/v1/watches`: the watched folders, and what of them is not taken.

use crate::Shared;
use crate::access::MayOperate;
use crate::params::NoParams;
use crate::problem::{Problem, ProblemView};
use axum::Json as Answer;
use axum::extract::State;
use mediaflow_engine::store::{ImportFilter, ImportRecord};
use mediaflow_engine::{After, WatchConfig};
use serde::Serialize;
use utoipa::ToSchema;

/// Files of a folder that are listed.
const FAILED_MAX: u32 = 200;

/// All watched folders.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WatchList {
    watches: Vec<WatchView>,
}

/// A watched folder.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WatchView {
    name: String,
    path: String,
    /// `keep`, `move` or `delete`.
    after: &'static str,
    /// Files that are not taken and not tried again until they change, the oldest first; at most 200.
    failed: Vec<NotTaken>,
}

/// A file that is not taken.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NotTaken {
    /// In the folder.
    path: String,
    /// Stable and machine-readable; listed in the documentation.
    code: String,
    message: String,
    /// When it was found. RFC 3339.
    found_at: String,
}

impl From<ImportRecord> for NotTaken {
    fn from(import: ImportRecord) -> Self {
        let (code, message) = import.error.unwrap_or_default();
        Self {
            path: import.reference,
            code,
            message,
            found_at: import.created_at.to_string(),
        }
    }
}

impl WatchView {
    fn of(watch: &WatchConfig, failed: Vec<ImportRecord>) -> Self {
        Self {
            name: watch.name.clone(),
            path: watch.path.display().to_string(),
            after: match watch.after {
                After::Keep => "keep",
                After::Move => "move",
                After::Delete => "delete",
            },
            failed: failed.into_iter().map(NotTaken::from).collect(),
        }
    }
}

/// List watched folders, with the files that are not taken.
#[utoipa::path(
    get, path = "/v1/watches", operation_id = "listWatches", tag = "watches",
    responses(
        (status = 200, body = WatchList),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(
    State(context): State<Shared>,
    MayOperate(_): MayOperate,
    _: NoParams,
) -> Result<Answer<WatchList>, Problem> {
    let mut watches = Vec::new();
    for watch in context.engine.watches() {
        let filter = ImportFilter {
            source: watch.source(),
            is_failed: true,
            after: None,
            limit: FAILED_MAX,
        };
        let failed = context.engine.store().imports(&filter).await?;
        watches.push(WatchView::of(watch, failed));
    }
    Ok(Answer(WatchList { watches }))
}
