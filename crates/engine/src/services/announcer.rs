//! Rings for what became ready, so that workers of other processes need not poll for it. What is lost on the way, or was rung for
//! at workers that had no room, rings again while nobody has claimed it.

use super::Round;
use crate::broker::{Broker, Ring};
use crate::{Engine, EngineError};
use mediaflow_store::Waiting;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio_util::sync::CancellationToken;

pub(super) const PAUSE: Duration = Duration::from_secs(5);
/// A task that is claimed by somebody who was told is claimed long before.
const UNCLAIMED_AFTER: Duration = Duration::from_secs(5);
/// Of each queue: more workers than that are woken by those before them, who free what they hold.
const UNCLAIMED_MAX: u32 = 64;
/// Rings that are given to the broker with one request.
const TOGETHER_MAX: usize = 256;
/// How often the broker is asked whether it is there.
const LOOK: Duration = Duration::from_secs(15);

/// Announces what this process makes ready until `stop` is cancelled. It stands beside the work: however slow the broker is,
/// nobody waits for it, and what is too much for it is left out.
pub async fn announce(engine: Arc<Engine>, stop: CancellationToken) {
    let Some(broker) = engine.broker() else {
        return;
    };
    let mut waiting = engine.store().on_waiting();
    let mut look = tokio::time::interval(LOOK);
    loop {
        let rings = tokio::select! {
            () = stop.cancelled() => return,
            rings = next(&mut waiting) => rings,
            // What is wrong is remembered by the broker itself, and shown.
            _ = look.tick() => {
                let _ = broker.health().await;
                continue;
            }
        };
        let Some(rings) = rings else { return };
        tell(broker, &rings).await;
    }
}

/// Tasks that became ready, as many as have come together. Nothing when the store is closed.
async fn next(waiting: &mut Receiver<Waiting>) -> Option<Vec<Ring>> {
    let mut rings = Vec::new();
    match waiting.recv().await {
        Ok(first) => rings.push(ring(first)),
        Err(RecvError::Lagged(_)) => {}
        Err(RecvError::Closed) => return None,
    }
    while rings.len() < TOGETHER_MAX {
        match waiting.try_recv() {
            Ok(more) => rings.push(ring(more)),
            Err(TryRecvError::Lagged(_)) => {}
            Err(TryRecvError::Empty | TryRecvError::Closed) => break,
        }
    }
    Some(rings)
}

fn ring(waiting: Waiting) -> Ring {
    Ring {
        queue: waiting.queue,
        lane: waiting.lane,
        asset: waiting.asset,
        task: waiting.task,
    }
}

async fn tell(broker: &Broker, rings: &[Ring]) {
    if let Err(error) = broker.announce(rings).await {
        tracing::warn!(%error, rings = rings.len(), "workers were not told; they find what is ready when they poll");
    }
}

/// Rings again for what has waited too long.
pub(super) async fn round(engine: Arc<Engine>) -> Result<Round, EngineError> {
    let Some(broker) = engine.broker() else {
        return Ok(Round::Done);
    };
    let store = engine.store();
    let unclaimed = store.unclaimed(UNCLAIMED_AFTER, UNCLAIMED_MAX).await?;
    let rings: Vec<Ring> = unclaimed.into_iter().map(ring).collect();
    if !rings.is_empty() {
        tell(broker, &rings).await;
    }
    Ok(Round::Done)
}
