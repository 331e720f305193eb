//! Pages of events.

use crate::sse::History;
use mediaflow_engine::CloudEvent;
use mediaflow_engine::store::EventPage;
use serde::Serialize;
use utoipa::ToSchema;

/// A page of a history.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventList<'a> {
    /// Oldest first.
    items: Vec<CloudEvent<'a>>,
    /// For `after`, also when there is nothing more yet.
    next_cursor: String,
}

impl<'a> EventList<'a> {
    pub(crate) fn of(page: &'a EventPage, history: History, after: u64) -> Self {
        let last = page.items.last().map(|e| history.cursor(e));
        Self {
            items: page.items.iter().map(CloudEvent::of).collect(),
            next_cursor: last.unwrap_or(after).to_string(),
        }
    }
}
