//! What a database keeps of where a run stands, and what follows from it for its asset.

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
