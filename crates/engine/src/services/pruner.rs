//! Keeps what happened from growing for ever, and makes room for what will: events, finished tasks of no use and what
//! webhooks were told go after their retention.

use super::{Round, teller};
use crate::{Engine, EngineError, webhooks};
use mediaflow_core::AssetId;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub(super) const PAUSE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);
/// Assets that one round looks at for tasks that can go.
const ASSETS_MAX: u32 = 2000;
/// Longest time whose events are kept together.
const PART_DAYS_MAX: u64 = 30;

/// Where the walk over all assets goes on. It begins again with each process, and at the end.
static NEXT: Mutex<Option<AssetId>> = Mutex::new(None);

pub(super) async fn round(engine: Arc<Engine>) -> Result<Round, EngineError> {
    Ok(match prune(&engine).await? {
        true => Round::More,
        false => Round::Done,
    })
}

/// Forgets some of what is past its retention. Answers whether there may be more.
///
/// # Errors
/// When the store does not answer.
pub async fn prune(engine: &Engine) -> Result<bool, EngineError> {
    let (store, retention) = (engine.store(), &engine.parts.retention);
    let days = retention.events_days.map_or(PART_DAYS_MAX, |days| days / 8);
    let part = DAY * u32::try_from(days.clamp(1, PART_DAYS_MAX)).unwrap_or(1);
    let mut is_more = store.extend(part).await?;
    if let Some(days) = retention.events_days {
        let mut outlets = Vec::from_iter(engine.outlet().map(|_| teller::OUTLET));
        if engine.has_webhooks() && !store.subscriptions().await?.is_empty() {
            outlets.push(webhooks::OUTLET);
        }
        let age = Duration::from_secs(days * 86_400);
        is_more |= store.prune_events(age, &outlets).await?;
    }
    let days = engine.parts.webhooks.config.deliveries_days;
    let age = Duration::from_secs(days * 86_400);
    is_more |= store.forget_deliveries(age).await?;
    if let Some(days) = retention.tasks_days {
        let after = *NEXT.lock().unwrap_or_else(PoisonError::into_inner);
        let age = Duration::from_secs(days * 86_400);
        let walked = store.prune_tasks(age, after, ASSETS_MAX).await?;
        if walked.tasks > 0 {
            tracing::debug!(tasks = walked.tasks, "tasks are past their retention");
        }
        *NEXT.lock().unwrap_or_else(PoisonError::into_inner) = walked.next;
    }
    Ok(is_more)
}
