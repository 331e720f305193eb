//! Deliveries: one event for one webhook each, and what became of it.
//!
//! They are planned together with how far the history was planned, so that none is left out, and are there until their time is over,
//! whatever became of them.

use crate::query::{cut, decode};
use crate::{OffBecause, SigningKeys, StoreError};
use async_trait::async_trait;
use mediaflow_core::{AssetId, EventId, EventType, TenantId, Timestamp, WebhookId};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Attempts of a delivery that are remembered one by one.
const TRIES_MAX: usize = 10;
/// A receiver that took nothing for so long was away. One that refuses some of it is not, and keeps its days to be mended.
pub(crate) const AWAY: Duration = Duration::from_secs(600);
/// After that time what waits is tried so long after its last attempt at the latest, and never before the time that a receiver may ask for.
pub(crate) const SOON: Duration = Duration::from_secs(3600);
/// Deliveries that come sooner because a receiver is back; what is beyond comes at its own time.
pub(crate) const SOONER_MAX: u32 = 10_000;

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    /// It is tried when its time comes.
    Waiting,
    /// The receiver has it.
    Delivered,
    /// It is given up.
    Failed,
}

impl DeliveryState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Waiting, Self::Delivered, Self::Failed];

    /// The name in databases and in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }

    /// The state of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == name)
    }
}

/// A delivery to plan.
#[derive(Debug, Clone)]
pub struct NewDelivery {
    /// Who is told.
    pub webhook: WebhookId,
    /// Of what.
    pub event: EventId,
    /// What happened.
    pub kind: EventType,
    /// To which asset.
    pub asset: AssetId,
    /// What is sent: JSON.
    pub body: String,
}

/// A delivery whose time has come, with all that sending it needs.
#[derive(Debug, Clone)]
pub struct DueDelivery {
    /// Who is told.
    pub webhook: WebhookId,
    /// Of what.
    pub event: EventId,
    /// What happened.
    pub kind: EventType,
    /// To which asset.
    pub asset: AssetId,
    /// Which follows it.
    pub correlation_id: String,
    /// Where to.
    pub url: String,
    /// What it is signed with.
    pub keys: SigningKeys,
    /// What is sent.
    pub body: String,
    /// Attempts since it was planned or asked for again.
    pub run: u32,
    /// Since when it is due.
    pub due_at: Timestamp,
    /// Whether the webhook's deliveries fail at present.
    pub is_failing: bool,
}

/// What follows an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryNext {
    /// The receiver has it.
    Delivered,
    /// It is tried when so much time has passed.
    Again(Duration),
    /// It is given up.
    Failed,
}

/// An attempt that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempted {
    /// How it went.
    pub tried: DeliveryTry,
    /// What follows.
    pub next: DeliveryNext,
    /// Whether the receiver says that it is gone.
    pub is_gone: bool,
    /// After how long with nothing but failures the webhook is switched off.
    pub failing_max: Duration,
}

/// An attempt as it is remembered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryTry {
    /// When it began.
    pub at: Timestamp,
    /// What the receiver answered.
    pub status: Option<u16>,
    /// How long that took, in milliseconds.
    pub ms: u64,
    /// Why it failed.
    pub error: Option<String>,
    /// The beginning of the answer.
    pub answer: Option<String>,
}

/// A delivery, as lists have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryRecord {
    /// Of which event.
    pub event: EventId,
    /// What happened.
    pub kind: EventType,
    /// To which asset.
    pub asset: AssetId,
    /// What became of it.
    pub state: DeliveryState,
    /// Attempts, of all runs.
    pub attempts: u32,
    /// When it was planned.
    pub created_at: Timestamp,
    /// When it is tried next.
    pub due_at: Option<Timestamp>,
    /// When it was tried last.
    pub last_at: Option<Timestamp>,
    /// What was answered last.
    pub status: Option<u16>,
    /// How long that took, in milliseconds.
    pub ms: Option<u64>,
    /// Why the last attempt failed.
    pub error: Option<String>,
}

/// All of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryDetails {
    /// As lists have it.
    pub delivery: DeliveryRecord,
    /// What is sent: JSON.
    pub body: String,
    /// The last attempts, oldest first.
    pub tries: Vec<DeliveryTry>,
}

/// Which deliveries of a webhook to list.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    /// Only these.
    pub state: Option<DeliveryState>,
    /// The place after which to go on, from an earlier page.
    pub cursor: Option<String>,
}

/// Some of a webhook's deliveries, the newest first.
#[derive(Debug, Clone)]
pub struct DeliveryPage {
    /// These.
    pub deliveries: Vec<DeliveryRecord>,
    /// For the next page, where there is one.
    pub next_cursor: Option<String>,
}

impl DeliveryFilter {
    /// Before which event the page begins.
    pub(crate) fn place(&self) -> Result<uuid::Uuid, StoreError> {
        match &self.cursor {
            Some(cursor) => decode(cursor),
            None => Ok(uuid::Uuid::max()),
        }
    }
}

impl DeliveryPage {
    /// Of one delivery more than it has room for, if there is one.
    pub(crate) fn of(mut deliveries: Vec<DeliveryRecord>, size: usize) -> Self {
        let next_cursor = cut(&mut deliveries, size, |delivery| delivery.event.0);
        Self {
            deliveries,
            next_cursor,
        }
    }
}

/// The attempts that are remembered after one more.
pub(crate) fn remembered(mut tries: Vec<DeliveryTry>, last: &DeliveryTry) -> Vec<DeliveryTry> {
    tries.push(last.clone());
    let surplus = tries.len().saturating_sub(TRIES_MAX);
    tries.split_off(surplus)
}

/// Why a webhook is switched off that has failed since then, if it is.
pub(crate) fn switched_off(
    attempted: &Attempted,
    failing_since: Timestamp,
    now: Timestamp,
) -> Option<OffBecause> {
    if attempted.is_gone {
        return Some(OffBecause::Gone);
    }
    (now.since(failing_since) >= attempted.failing_max).then_some(OffBecause::Failing)
}

/// Verbs about deliveries. Those of another tenant's webhook are not found.
#[async_trait]
pub trait Deliveries: Send + Sync {
    /// Records deliveries, those that are known already not again, and that everything up to this position was planned. What is for a
    /// webhook that is not on any more is left out.
    async fn plan_deliveries(
        &self,
        outlet: &str,
        position: u64,
        deliveries: Vec<NewDelivery>,
    ) -> Result<(), StoreError>;

    /// What is due, at most `each` of one webhook and of at most `webhooks`: those first whose deliveries do not fail, and of these whoever has waited longest.
    async fn due_deliveries(
        &self,
        webhooks: u32,
        each: u32,
    ) -> Result<Vec<DueDelivery>, StoreError>;

    /// Records an attempt; answers why the webhook is off now, if this attempt switched it off. What does not wait any more stays as
    /// it is. The first that goes well after ten minutes of nothing but failures lets what waits for the same webhook come sooner, if
    /// that would have waited for more than an hour.
    async fn save_attempt(
        &self,
        webhook: WebhookId,
        event: EventId,
        attempted: Attempted,
    ) -> Result<Option<OffBecause>, StoreError>;

    /// Up to `limit` deliveries of a webhook, 1 to 200, newest first.
    ///
    /// # Errors
    /// [`StoreError::WebhookNotFound`]; [`StoreError::InvalidQuery`] for a limit or a cursor that is none.
    async fn deliveries(
        &self,
        tenant: TenantId,
        webhook: WebhookId,
        filter: &DeliveryFilter,
        limit: u32,
    ) -> Result<DeliveryPage, StoreError>;

    /// All of one delivery.
    ///
    /// # Errors
    /// [`StoreError::DeliveryNotFound`], also for a webhook that there is not.
    async fn delivery(
        &self,
        tenant: TenantId,
        webhook: WebhookId,
        event: EventId,
    ) -> Result<DeliveryDetails, StoreError>;

    /// Has it delivered again at once, with a run of attempts of its own.
    ///
    /// # Errors
    /// As [`Self::delivery`].
    async fn redeliver(
        &self,
        tenant: TenantId,
        webhook: WebhookId,
        event: EventId,
    ) -> Result<DeliveryRecord, StoreError>;

    /// The same with up to `limit` that were given up and planned since then, oldest first. Answers how many; if that is `limit` there
    /// may be more.
    ///
    /// # Errors
    /// [`StoreError::WebhookNotFound`].
    async fn redeliver_failed(
        &self,
        tenant: TenantId,
        webhook: WebhookId,
        since: Option<Timestamp>,
        limit: u32,
    ) -> Result<u32, StoreError>;

    /// Forgets deliveries that were planned longer than `age` ago, some at a time, and those of removed webhooks: none that a webhook that is on
    /// waits for. Answers whether there may be more.
    async fn forget_deliveries(&self, age: Duration) -> Result<bool, StoreError>;
}
