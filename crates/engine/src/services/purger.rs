//! Tells the CDN to forget what changed, from the outbox, until it has.

use super::Round;
use crate::{Engine, EngineError};
use async_trait::async_trait;
use mediaflow_core::ErrorCode;
use mediaflow_core::failure::backoff;
use mediaflow_core::trace::TraceId;
use mediaflow_store::{Environment, Purge, Upkeep};
use std::sync::Arc;
use std::time::Duration;
use tracing::Instrument as _;
use tracing::field::Empty;

pub(super) const PAUSE: Duration = Duration::from_millis(500);
const LIMIT: u32 = 50;

/// Caches in front of delivery.
#[async_trait]
pub trait Caches: Send + Sync {
    /// Has them forget; answers whether they did.
    async fn forget(&self, purge: &Purge) -> bool;
}

#[async_trait]
impl Caches for Engine {
    async fn forget(&self, purge: &Purge) -> bool {
        let span = tracing::info_span!(
            parent: None,
            "purge",
            correlation_id = purge.correlation_id,
            trace_id = %TraceId::of(&purge.correlation_id),
            asset = %purge.asset,
            paths = purge.paths.len(),
            error = Empty,
        );
        let purging = self.cdn().purge(&purge.paths);
        let gone = purging.instrument(span.clone()).await;
        if let Err(error) = &gone {
            span.record("error", ErrorCode::DistributeFailed.as_str());
            self.metrics().purge_failed();
            tracing::warn!(asset = %purge.asset, %error, "the CDN did not forget; trying again");
        }
        gone.is_ok()
    }
}

pub(super) async fn round(engine: Arc<Engine>) -> Result<Round, EngineError> {
    let environment = &**engine.environment();
    let purged = purge_due(&**engine.store(), &*engine, environment).await?;
    Ok(Round::of(purged, LIMIT))
}

/// Purges what is due, oldest first; what could not be is due again later. Answers how many were tried.
///
/// # Errors
/// When the store does not answer; what was purged and not recorded is purged again.
pub async fn purge_due<S: Upkeep + ?Sized>(
    store: &S,
    caches: &impl Caches,
    environment: &dyn Environment,
) -> Result<usize, EngineError> {
    let purges = store.purges(LIMIT).await?;
    for purge in &purges {
        let done = caches.forget(purge).await;
        let again = (!done).then(|| backoff(purge.attempts + 1, environment.jitter()));
        store.purged(purge.id, again).await?;
    }
    Ok(purges.len())
}
