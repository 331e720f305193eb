//! Fails leases that ran out and readies tasks whose retry time has come.

use super::Round;
use crate::{Engine, EngineError};
use mediaflow_core::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

pub(super) const PAUSE: Duration = Duration::from_millis(250);
const LIMIT: u32 = 500;

/// A round that comes this much late tells that everything stood still: a sleeping laptop, a stopped process, a
/// database that did not answer. Then workers get as long to extend their leases before any is swept.
const STANDSTILL: Duration = Duration::from_secs(10);

static LAST_ROUND: AtomicI64 = AtomicI64::new(0);

pub(super) async fn round(engine: Arc<Engine>) -> Result<Round, EngineError> {
    let now = engine.environment().now();
    let last = LAST_ROUND.load(Ordering::Relaxed);
    if last != 0 && now.since(Timestamp(last)) > STANDSTILL {
        tracing::warn!(
            "everything stood still for a while; leases are extended before any is swept"
        );
        tokio::time::sleep(STANDSTILL * 3 / 2).await;
    }
    let swept = engine.store().sweep(LIMIT).await?;
    LAST_ROUND.store(engine.environment().now().0, Ordering::Relaxed);
    engine.metrics().leases_expired(swept.lost);
    if swept.lost > 0 {
        tracing::warn!(
            lost = swept.lost,
            "leases ran out; their tasks count an attempt"
        );
    }
    Ok(Round::of(swept.lost.max(swept.due) as usize, LIMIT))
}
