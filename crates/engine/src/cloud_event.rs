//! Events as CloudEvents 1.0 in their structured JSON form: what people read, and what systems outside are told.

use mediaflow_core::{Timestamp, WebhookId};
use mediaflow_store::EventRecord;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

/// A fact in an asset's history, as a CloudEvent.
#[derive(Debug, Serialize, ToSchema)]
pub struct CloudEvent<'a> {
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
    /// The owner's id; only where events of all owners come together, which is not in the HTTP API.
    #[schema(ignore)]
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    /// Details, by type.
    #[schema(value_type = Object)]
    data: &'a Value,
}

impl<'a> CloudEvent<'a> {
    /// For its owner.
    pub fn of(event: &'a EventRecord) -> Self {
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
            tenant: None,
            data: &event.data,
        }
    }

    /// For those who see the events of all owners.
    pub fn with_tenant(event: &'a EventRecord) -> Self {
        Self {
            tenant: Some(event.tenant.to_string()),
            ..Self::of(event)
        }
    }
}

/// What a webhook is told when it is tried: nothing happened.
pub(crate) fn test_event(id: &str, webhook: WebhookId, now: Timestamp) -> String {
    json!({
        "specversion": "1.0",
        "id": id,
        "source": "/mediaflow",
        "type": "webhook.test",
        "subject": webhook.to_string(),
        "time": now.to_string(),
        "datacontenttype": "application/json",
        "data": {},
    })
    .to_string()
}
