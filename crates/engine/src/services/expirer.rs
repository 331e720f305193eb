//! Ends what has a retention time: originals of rejected assets, answers to idempotency keys, uploads that nobody goes on with,
//! what is remembered of imports.

use super::Round;
use crate::{Engine, EngineError};
use std::sync::Arc;
use std::time::Duration;

pub(super) const PAUSE: Duration = Duration::from_secs(60);

/// Uploads that one round ends.
const UPLOADS_MAX: u32 = 100;

pub(super) async fn round(engine: Arc<Engine>) -> Result<Round, EngineError> {
    let retention = &engine.parts.retention;
    let rejected = Duration::from_secs(retention.rejected_days * 86_400);
    let idempotency = Duration::from_secs(retention.idempotency_hours * 3_600);
    let dropped = engine.store().expire(rejected, idempotency).await?;
    if dropped > 0 {
        tracing::info!(
            dropped,
            "originals of rejected assets reached the end of their retention"
        );
    }
    let ended = engine.end_expired(UPLOADS_MAX).await?;
    let forgotten = engine.store().forget_old_imports(UPLOADS_MAX).await?;
    Ok(Round::of(ended.max(forgotten as usize), UPLOADS_MAX))
}
