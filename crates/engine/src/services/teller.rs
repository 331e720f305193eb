//! Tells systems outside what happened: every event at least once, those of one asset in their order. How far it came is in the store,
//! so that whoever goes on after a crash begins where nothing is left out, and repeats a little.

use super::Round;
use crate::broker::Event;
use crate::{CloudEvent, Engine, EngineError};
use mediaflow_core::trace::TraceId;
use mediaflow_store::EventRecord;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

pub(super) const PAUSE: Duration = Duration::from_millis(500);
const LIMIT: u32 = 500;
/// Under which name the store remembers how far it came.
pub(crate) const OUTLET: &str = "events";
/// Before it tries again with an outlet that failed.
const AGAIN_AFTER: Duration = Duration::from_secs(5);

pub(super) async fn round(engine: Arc<Engine>) -> Result<Round, EngineError> {
    let Some(outlet) = engine.outlet() else {
        return Ok(Round::Done);
    };
    let store = engine.store();
    let records = store.untold(OUTLET, LIMIT).await?;
    let oldest = records.first().map_or(0, |first| first.at.0);
    engine.untold_since.store(oldest, Ordering::Relaxed);
    let Some(last) = records.last() else {
        return Ok(Round::Done);
    };
    let events: Vec<Event> = records.iter().map(event).collect();
    if let Err(error) = outlet.send(&events).await {
        // No fault of this process: it stays ready, and the outlet's trouble is shown as such.
        tracing::warn!(%error, "events could not be told; they wait");
        tokio::time::sleep(AGAIN_AFTER).await;
        return Ok(Round::Done);
    }
    store.told(OUTLET, last.position).await?;
    records.iter().for_each(mark);
    Ok(Round::of(records.len(), LIMIT))
}

/// A moment in the asset's trace.
fn mark(record: &EventRecord) {
    let _told = tracing::info_span!(
        parent: None,
        "tell",
        correlation_id = record.correlation_id,
        trace_id = %TraceId::of(&record.correlation_id),
        asset = %record.asset,
        event = record.kind.as_str(),
    );
}

fn event(record: &EventRecord) -> Event {
    let body = CloudEvent::with_tenant(record);
    Event {
        topic: record.kind.topic().as_str(),
        asset: record.asset,
        id: record.id.0,
        kind: record.kind.as_str(),
        body: serde_json::to_string(&body).expect("an event is JSON"),
    }
}
