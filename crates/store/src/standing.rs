//! What a database keeps of where a run stands, and what follows from it for its asset.

use crate::StoreError;
use mediaflow_core::{AssetState, Run, RunState, StepStatus};

/// Counters as stored: total, succeeded, skipped, dead, cancelled, released.
type Counters = Vec<[u32; 6]>;

/// The counters of a run's steps as JSON.
pub(crate) fn counters(run: &Run) -> String {
    let rows = run.steps.iter().map(|s| {
        let released = u32::from(s.released);
        [
            s.total,
            s.succeeded,
            s.skipped,
            s.dead,
            s.cancelled,
            released,
        ]
    });
    serde_json::to_string(&rows.collect::<Counters>()).expect("numbers are always JSON")
}

/// The steps that [`counters`] wrote.
pub(crate) fn steps(json: &str) -> serde_json::Result<Vec<StepStatus>> {
    let rows: Counters = serde_json::from_str(json)?;
    let steps =
        rows.into_iter().map(
            |[total, succeeded, skipped, dead, cancelled, released]| StepStatus {
                total,
                succeeded,
                skipped,
                dead,
                cancelled,
                released: released != 0,
            },
        );
    Ok(steps.collect())
}

/// What an asset shows: deleted and rejected win, then what is published as a whole, then the newest run.
pub(crate) fn shown(deleted: bool, is_published: bool, run: &Run) -> AssetState {
    match run.state {
        _ if deleted => AssetState::Deleted,
        RunState::Rejected => AssetState::Rejected,
        _ if is_published => AssetState::Ready,
        state => state.asset_state(),
    }
}

/// Refuses what cannot be done (`replayed`, `reprocessed`) to an asset that is gone for good.
pub(crate) fn refuse_gone(state: AssetState, what: &str) -> Result<(), StoreError> {
    match state {
        AssetState::Rejected | AssetState::Deleted => Err(StoreError::Conflict(format!(
            "a {} asset cannot be {what}",
            state.as_str()
        ))),
        _ => Ok(()),
    }
}

/// Refuses to replay a task of an older generation than the newest.
pub(crate) fn refuse_old(generation: u32, newest: u32) -> Result<(), StoreError> {
    if generation == newest {
        return Ok(());
    }
    Err(StoreError::Conflict(format!(
        "the task belongs to generation {generation}, and only the newest, {newest}, can be replayed"
    )))
}

/// Says that nobody waits for a decision.
pub(crate) fn none_awaited(state: AssetState) -> StoreError {
    StoreError::Conflict(format!(
        "no decision is awaited: the asset is {}",
        state.as_str()
    ))
}
