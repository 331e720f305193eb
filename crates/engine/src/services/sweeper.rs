//! Fails leases that ran out and readies tasks whose retry time has come.

use super::Round;
use crate::{Engine, EngineError};
use std::sync::Arc;
use std::time::Duration;

pub(super) const PAUSE: Duration = Duration::from_millis(250);
const LIMIT: u32 = 500;

pub(super) async fn round(engine: Arc<Engine>) -> Result<Round, EngineError> {
    let now = || engine.environment().now();
    if !engine.standstill.is_over(now()) {
        return Ok(Round::Done);
    }
    let swept = engine.store().sweep(LIMIT).await?;
    engine.standstill.answered(now());
    engine.metrics().leases_expired(swept.lost);
    if swept.lost > 0 {
        tracing::warn!(
            lost = swept.lost,
            "leases ran out; their tasks count an attempt"
        );
    }
    Ok(Round::of(swept.lost.max(swept.due) as usize, LIMIT))
}
