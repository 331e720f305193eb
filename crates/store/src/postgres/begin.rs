//! New runs: their tasks, their first events, and what is ready at once.

use super::changes::{Changes, NewRun};
use super::live::Live;
use crate::standing::shown;
use mediaflow_core::operation::Facts;
use mediaflow_core::{
    AssetId, AssetState, EventDraft, Focus, Recipe, RunSettings, RunState, Sha256, TaskState,
    TenantId, transition,
};
use std::collections::HashMap;
use std::sync::Arc;

/// What a new run is made of.
pub(super) struct Beginning {
    pub(super) tenant: TenantId,
    pub(super) asset: AssetId,
    pub(super) published: u32,
    pub(super) partial: bool,
    pub(super) generation: u32,
    pub(super) recipe: Arc<Recipe>,
    pub(super) settings: RunSettings,
    /// Digests under which both are stored.
    pub(super) frozen: (Sha256, Sha256),
    pub(super) watermark: bool,
    pub(super) focus: Option<Focus>,
    pub(super) facts: Facts,
    /// What the asset's row says: its state, and whether somebody must decide.
    pub(super) state: (AssetState, bool),
    pub(super) sequence: u64,
}

/// A new run and its tasks, after `first` was recorded as what began it.
pub(super) fn begin(changes: &mut Changes, new: Beginning, first: &EventDraft) -> Live {
    let (run, effects) = transition::start(new.recipe, &new.settings, new.generation);
    let (state, in_review) = new.state;
    let mut live = Live {
        tenant: new.tenant,
        asset: new.asset,
        state,
        in_review,
        published: new.published,
        partial: new.partial,
        showing: false,
        run,
        settings: Arc::new(new.settings),
        sequence: new.sequence,
        facts: new.facts,
        stored: (state, in_review, new.published),
        renditions: HashMap::new(),
        inits: HashMap::new(),
    };
    for step in 0..live.run.recipe.steps.len() {
        let state = match live.run.steps[step].skipped {
            0 => TaskState::Pending,
            _ => TaskState::Skipped,
        };
        let cost = live.run.recipe.cost(step, new.facts);
        live.insert_task(changes, step, 0, state, cost);
    }
    live.record(changes, first);
    live.apply(changes, &effects, None);
    live.state = shown(false, live.published > 0 && !live.partial, &live.run);
    live.in_review = live.run.state == RunState::InReview;
    changes.runs.push(NewRun {
        asset: live.asset,
        run: live.run.clone(),
        sequence: live.sequence,
        recipe: new.frozen.0,
        settings: new.frozen.1,
        watermark: new.watermark,
        focus: new.focus.as_ref().map(super::rows::to_json),
    });
    live
}
