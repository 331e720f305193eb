//! Events as CloudEvents 1.0 in their structured JSON form.

use crate::sse::History;
use mediaflow_engine::store::{EventPage, EventRecord};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// A fact in an asset's history, as a CloudEvent.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CloudEvent<'a> {
    /// Always `1.0`.
    specversion: &'static str,
    /// Stable over every delivery.
    #[schema(value_type = String, format = Uuid)]
    id: String,
    /// Always `/mediaflow`.
    source: &'static str,
    /// `asset.ready`, `task.dead`, ...
    r#type: &'static str,
    /// The asset's id.
    #[schema(value_type = String, format = Uuid)]
    subject: String,
    /// RFC 3339.
    #[schema(value_type = String, format = DateTime)]
    time: String,
    /// Always `application/json`.
    datacontenttype: &'static str,
    /// The place in the asset's history: 1, 2, 3 ...
    sequence: String,
    /// The place among all events; what `GET /v1/events` is resumed by.
    position: String,
    /// Follows the asset from its upload on.
    correlationid: &'a str,
    /// Details, by type.
    #[schema(value_type = Object)]
    data: &'a Value,
}

impl<'a> CloudEvent<'a> {
    pub(crate) fn of(event: &'a EventRecord) -> Self {
        Self {
            specversion: "1.0",
            id: event.id.to_string(),
            source: "/mediaflow",
            r#type: event.kind.as_str(),
            subject: event.asset.to_string(),
            time: event.at.to_string(),
            datacontenttype: "application/json",
            sequence: event.sequence.to_string(),
            position: event.position.to_string(),
            correlationid: &event.correlation_id,
            data: &event.data,
        }
    }
}

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
