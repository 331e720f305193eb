//! Webhooks: addresses that a tenant has told of what happens to its assets.

use crate::{DeliveryState, StoreError};
use async_trait::async_trait;
use mediaflow_core::{TenantId, Timestamp, WebhookId};
use std::fmt;
use std::time::Duration;

/// Deliveries of one state that are counted at most.
pub const DELIVERIES_COUNTED_MAX: u32 = 10_000;

/// Why a webhook is told nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffBecause {
    /// Somebody switched it off.
    Operator,
    /// It answered that it is gone.
    Gone,
    /// Nothing but failures for too long.
    Failing,
}

impl OffBecause {
    /// The name in databases and in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Gone => "gone",
            Self::Failing => "failing",
        }
    }

    /// The one of that name.
    pub fn parse(name: &str) -> Option<Self> {
        let all = [Self::Operator, Self::Gone, Self::Failing];
        all.into_iter().find(|one| one.as_str() == name)
    }
}

/// What deliveries are signed with, the present key first. It is never written anywhere but into the store.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKeys(pub Vec<Vec<u8>>);

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKeys({})", self.0.len())
    }
}

/// A webhook to make.
#[derive(Debug, Clone)]
pub struct NewWebhook {
    /// Its name.
    pub id: WebhookId,
    /// Whose events it is told.
    pub tenant: TenantId,
    /// Where it is told.
    pub url: String,
    /// Types of events, and patterns of them; all where there are none.
    pub types: Vec<String>,
    /// For people.
    pub description: Option<String>,
    /// What it is signed with.
    pub keys: SigningKeys,
    /// Most webhooks that the tenant may have.
    pub count_max: u32,
}

/// What is to be different; what is missing stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebhookChange {
    /// Where it is told.
    pub url: Option<String>,
    /// Types of events, and patterns of them.
    pub types: Option<Vec<String>>,
    /// For people.
    pub description: Option<Option<String>>,
    /// Whether it is told anything. From the moment on in which it is switched on, and what waits of before.
    pub is_on: Option<bool>,
}

/// A webhook, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookRecord {
    /// Its name.
    pub id: WebhookId,
    /// Whose events it is told.
    pub tenant: TenantId,
    /// Where it is told.
    pub url: String,
    /// Types of events, and patterns of them; all where there are none.
    pub types: Vec<String>,
    /// For people.
    pub description: Option<String>,
    /// Why it is told nothing; none while it is on.
    pub off_because: Option<OffBecause>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Since when nothing was delivered and something failed.
    pub failing_since: Option<Timestamp>,
    /// When the last delivery went well.
    pub last_delivered_at: Option<Timestamp>,
    /// Why the last try failed that did, though others may have gone well since.
    pub last_error: Option<String>,
    /// Deliveries that wait, up to [`DELIVERIES_COUNTED_MAX`].
    pub waiting: u32,
    /// Those that were given up, up to as many.
    pub failed: u32,
    /// Those that went well, up to as many.
    pub delivered: u32,
}

/// Which events a webhook that is on wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Which webhook.
    pub webhook: WebhookId,
    /// Whose events.
    pub tenant: TenantId,
    /// Of these types and patterns; all where there are none.
    pub types: Vec<String>,
    /// Only those after this position.
    pub after: u64,
}

/// Reads webhooks `w` with their counts, in SQL that both databases understand.
pub(crate) fn select(rest: &str) -> String {
    let count = |state: DeliveryState| {
        let state = state.as_str();
        format!(
            "(SELECT count(*) FROM (SELECT 1 FROM webhook_deliveries d WHERE d.webhook = w.id AND d.state = '{state}'
              LIMIT {DELIVERIES_COUNTED_MAX}) counted) AS {state}"
        )
    };
    let counts: Vec<String> = DeliveryState::ALL.iter().map(|of| count(*of)).collect();
    format!(
        "SELECT w.*, {} FROM webhooks w WHERE w.deleted_at IS NULL AND {rest}",
        counts.join(", ")
    )
}

/// Verbs about webhooks. Another tenant's is not found.
#[async_trait]
pub trait Webhooks: Send + Sync {
    /// Makes a webhook. It is told of what happens from now on.
    ///
    /// # Errors
    /// [`StoreError::WebhooksFull`] when the tenant has as many as it may.
    async fn add_webhook(&self, new: NewWebhook) -> Result<WebhookRecord, StoreError>;

    /// A tenant's webhooks, oldest first.
    async fn webhooks(&self, tenant: TenantId) -> Result<Vec<WebhookRecord>, StoreError>;

    /// # Errors
    /// [`StoreError::WebhookNotFound`].
    async fn webhook(&self, tenant: TenantId, id: WebhookId) -> Result<WebhookRecord, StoreError>;

    /// What it is signed with now.
    ///
    /// # Errors
    /// [`StoreError::WebhookNotFound`].
    async fn signing_keys(
        &self,
        tenant: TenantId,
        id: WebhookId,
    ) -> Result<SigningKeys, StoreError>;

    /// Changes a webhook. One that is switched on has not failed yet.
    ///
    /// # Errors
    /// [`StoreError::WebhookNotFound`].
    async fn change_webhook(
        &self,
        tenant: TenantId,
        id: WebhookId,
        change: WebhookChange,
    ) -> Result<WebhookRecord, StoreError>;

    /// Has it signed with another key; the one before signs as well for a while.
    ///
    /// # Errors
    /// [`StoreError::WebhookNotFound`].
    async fn rotate_webhook(
        &self,
        tenant: TenantId,
        id: WebhookId,
        key: Vec<u8>,
        both: Duration,
    ) -> Result<(), StoreError>;

    /// Removes a webhook. Its deliveries go later, some at a time.
    ///
    /// # Errors
    /// [`StoreError::WebhookNotFound`].
    async fn remove_webhook(&self, tenant: TenantId, id: WebhookId) -> Result<(), StoreError>;

    /// What all webhooks want that are on, of all tenants.
    async fn subscriptions(&self) -> Result<Vec<Subscription>, StoreError>;
}
