//! Webhooks and their deliveries, as JSON.

use mediaflow_engine::WebhookTried;
use mediaflow_engine::store::{
    DeliveryDetails, DeliveryPage, DeliveryRecord, DeliveryTry, WebhookRecord,
};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// A webhook, without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Webhook)]
pub(crate) struct WebhookView {
    #[schema(value_type = String, format = Uuid)]
    id: String,
    /// Where events are sent.
    url: String,
    /// Types of events, and patterns like `asset.*`; all types when empty.
    types: Vec<String>,
    /// For people.
    description: Option<String>,
    /// `on` or `off`. While it is off nothing is sent, and of what happens then nothing will be.
    state: &'static str,
    /// `operator`: somebody switched it off. `gone`: it answered 410. `failing`: nothing but failures for five days. Null while it is on.
    off_because: Option<&'static str>,
    #[schema(value_type = String, format = DateTime)]
    created_at: String,
    /// Since when nothing was delivered and something failed.
    #[schema(value_type = Option<String>, format = DateTime)]
    failing_since: Option<String>,
    /// Deliveries that wait for their first attempt or another one; counted up to 10000.
    waiting: u32,
    /// Those that were given up, of the days that are kept; counted up to 10000.
    failed: u32,
    /// Those that went well, of the days that are kept; counted up to 10000.
    delivered: u32,
    #[schema(value_type = Option<String>, format = DateTime)]
    last_delivered_at: Option<String>,
    /// Of the last attempt that failed, though others may have gone well since.
    last_error: Option<String>,
}

impl From<WebhookRecord> for WebhookView {
    fn from(webhook: WebhookRecord) -> Self {
        Self {
            id: webhook.id.to_string(),
            url: webhook.url,
            types: webhook.types,
            description: webhook.description,
            state: match webhook.off_because {
                None => "on",
                Some(_) => "off",
            },
            off_because: webhook.off_because.map(|because| because.as_str()),
            created_at: webhook.created_at.to_string(),
            failing_since: webhook.failing_since.map(|at| at.to_string()),
            waiting: webhook.waiting,
            failed: webhook.failed,
            delivered: webhook.delivered,
            last_delivered_at: webhook.last_delivered_at.map(|at| at.to_string()),
            last_error: webhook.last_error,
        }
    }
}

/// A tenant's webhooks.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WebhookList {
    /// Oldest first.
    pub(crate) webhooks: Vec<WebhookView>,
}

/// A webhook that was just made.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NewWebhook)]
pub(crate) struct NewWebhookView {
    #[serde(flatten)]
    pub(crate) made: WebhookView,
    /// What deliveries are signed with, as Standard Webhooks has it. It is shown this once.
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    pub(crate) secret: String,
}

/// A new secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookSecret)]
pub(crate) struct SecretView {
    /// It is shown this once.
    pub(crate) secret: String,
}

/// How a receiver answered that was tried.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookTest)]
pub(crate) struct TestView {
    delivered: bool,
    /// What was answered; null when nothing was.
    status: Option<u16>,
    ms: u64,
    /// Why it was not delivered.
    error: Option<String>,
    /// The first KiB of what was answered, as text.
    answer: Option<String>,
}

impl From<WebhookTried> for TestView {
    fn from(tried: WebhookTried) -> Self {
        Self {
            delivered: tried.is_delivered,
            status: tried.status,
            ms: u64::try_from(tried.took.as_millis()).unwrap_or(u64::MAX),
            error: tried.error,
            answer: tried.answer,
        }
    }
}

/// One event for one webhook.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Delivery)]
pub(crate) struct DeliveryView {
    /// The event's id, which is `webhook-id` at every attempt.
    #[schema(value_type = String, format = Uuid)]
    event: String,
    /// `asset.ready`, `task.dead`, ...
    r#type: &'static str,
    #[schema(value_type = String, format = Uuid)]
    asset: String,
    /// `waiting`, `delivered` or `failed`.
    state: &'static str,
    /// How often it was tried.
    attempts: u32,
    #[schema(value_type = String, format = DateTime)]
    created_at: String,
    /// When it is tried next.
    #[schema(value_type = Option<String>, format = DateTime)]
    next_at: Option<String>,
    /// When it was tried last.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_at: Option<String>,
    /// What was answered last; null when nothing was.
    status: Option<u16>,
    /// How long that took.
    ms: Option<u64>,
    /// Why the last attempt failed.
    error: Option<String>,
}

impl From<DeliveryRecord> for DeliveryView {
    fn from(delivery: DeliveryRecord) -> Self {
        Self {
            event: delivery.event.to_string(),
            r#type: delivery.kind.as_str(),
            asset: delivery.asset.to_string(),
            state: delivery.state.as_str(),
            attempts: delivery.attempts,
            created_at: delivery.created_at.to_string(),
            next_at: delivery.due_at.map(|at| at.to_string()),
            last_at: delivery.last_at.map(|at| at.to_string()),
            status: delivery.status,
            ms: delivery.ms,
            error: delivery.error,
        }
    }
}

/// Some deliveries of a webhook, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeliveryList {
    deliveries: Vec<DeliveryView>,
    /// For `cursor` of the next page; null at the end.
    next: Option<String>,
}

impl From<DeliveryPage> for DeliveryList {
    fn from(page: DeliveryPage) -> Self {
        let deliveries = page.deliveries.into_iter();
        Self {
            deliveries: deliveries.map(DeliveryView::from).collect(),
            next: page.next_cursor,
        }
    }
}

/// All of a delivery.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeliveryDetails)]
pub(crate) struct DeliveryDetailsView {
    #[serde(flatten)]
    delivery: DeliveryView,
    /// The CloudEvent that is sent.
    #[schema(value_type = Object)]
    body: Value,
    /// The last ten attempts, oldest first.
    tries: Vec<TryView>,
}

/// An attempt.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeliveryTry)]
pub(crate) struct TryView {
    #[schema(value_type = String, format = DateTime)]
    at: String,
    /// What was answered; null when nothing was.
    status: Option<u16>,
    ms: u64,
    /// Why it failed.
    error: Option<String>,
    /// The first KiB of what was answered, as text.
    answer: Option<String>,
}

impl From<DeliveryTry> for TryView {
    fn from(tried: DeliveryTry) -> Self {
        Self {
            at: tried.at.to_string(),
            status: tried.status,
            ms: tried.ms,
            error: tried.error,
            answer: tried.answer,
        }
    }
}

impl From<DeliveryDetails> for DeliveryDetailsView {
    fn from(details: DeliveryDetails) -> Self {
        Self {
            delivery: details.delivery.into(),
            body: serde_json::from_str(&details.body).unwrap_or_default(),
            tries: details.tries.into_iter().map(TryView::from).collect(),
        }
    }
}
