//! Tells the CDN to forget what changed, from the outbox, until it has.

use super::Round;
use crate::{Engine, EngineError};
use mediaflow_core::failure::backoff;
use std::sync::Arc;
use std::time::Duration;

pub(super) const PAUSE: Duration = Duration::from_millis(500);
const LIMIT: u32 = 50;

pub(super) async fn round(engine: Arc<Engine>) -> Result<Round, EngineError> {
    let purges = engine.store().purges(LIMIT).await?;
    for purge in &purges {
        let again = match engine.cdn().purge(&purge.paths).await {
            Ok(()) => None,
            Err(error) => {
                let pause = backoff(purge.attempts + 1, engine.environment().jitter());
                tracing::warn!(asset = %purge.asset, %error, ?pause, "the CDN did not forget; trying again");
                Some(pause)
            }
        };
        engine.store().purged(purge.id, again).await?;
    }
    Ok(Round::of(purges.len(), LIMIT))
}
