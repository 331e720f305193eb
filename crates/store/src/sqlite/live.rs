//! The newest run of an asset: loaded to be decided about, saved with all that follows from it.

use super::frozen::freeze;
use super::renditions;
use super::rows::{clamp, id, named, sha, to_json};
use super::writer::Session;
use crate::StoreError;
use crate::observe::Recorded;
use crate::standing::{counters, shown};
use mediaflow_core::operation::Facts;
use mediaflow_core::{
    AssetId, AssetState, Cost, EventDraft, Focus, Recipe, Run, RunSettings, RunState, TaskState,
    TenantId, Verdict, transition,
};
use rusqlite::{Row, params};
use std::sync::Arc;

/// A run in hand. Nothing of it is stored before [`Live::save`].
pub(super) struct Live {
    pub(super) tenant: TenantId,
    pub(super) asset: AssetId,
    /// What the asset's row says.
    pub(super) state: AssetState,
    /// Whether the asset's row says that somebody must decide.
    pub(super) in_review: bool,
    /// What readers see; 0 while that is what the first run shows.
    pub(super) published: u32,
    /// Whether that generation was cut short: a newer one began when it could be shown, and was not done.
    pub(super) partial: bool,
    /// Whether the run's row says that its renditions show before they are published.
    pub(super) showing: bool,
    pub(super) run: Run,
    pub(super) settings: Arc<RunSettings>,
    pub(super) sequence: u64,
}

/// What a new run is made of.
pub(super) struct Beginning {
    pub(super) tenant: TenantId,
    pub(super) asset: AssetId,
    pub(super) published: u32,
    pub(super) partial: bool,
    pub(super) generation: u32,
    pub(super) recipe: Arc<Recipe>,
    pub(super) settings: RunSettings,
    pub(super) watermark: bool,
    pub(super) focus: Option<Focus>,
    pub(super) facts: Facts,
    pub(super) state: AssetState,
    pub(super) in_review: bool,
    pub(super) sequence: u64,
}

/// The run in the columns `generation`, `state`, `verdict` and `steps`, with its recipe.
pub(super) fn run(row: &Row<'_>, recipe: Arc<Recipe>) -> rusqlite::Result<Run> {
    run_from(row, row.as_ref().column_index("generation")?, recipe)
}

/// The same, of which the first is in this place.
fn run_from(row: &Row<'_>, first: usize, recipe: Arc<Recipe>) -> rusqlite::Result<Run> {
    let steps = row.get_ref(first + 3)?.as_str()?;
    let steps = crate::standing::steps(steps)
        .map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))?;
    let verdict = row.get_ref(first + 2)?.as_str_or_null()?;
    Ok(Run {
        generation: row.get(first)?,
        state: named(row, first + 1, RunState::parse)?,
        verdict: verdict.and_then(Verdict::parse),
        steps,
        recipe,
    })
}

impl Live {
    /// The asset's newest run.
    pub(super) fn load(s: &Session<'_>, asset: AssetId) -> Result<Self, StoreError> {
        let mut statement = s.conn.prepare_cached(
            "SELECT a.tenant, a.state AS asset_state, a.in_review, a.published, r.generation, r.state, r.verdict,
                    r.steps, r.sequence, r.recipe, r.settings, r.showing, coalesce(p.state <> 'ready', 0) AS partial
             FROM assets a JOIN runs r ON r.asset = a.id AND r.generation = a.generation
                  LEFT JOIN runs p ON p.asset = a.id AND p.generation = a.published
             WHERE a.id = ?1",
        )?;
        let mut rows = statement.query([asset.as_bytes()])?;
        let row = rows.next()?.ok_or(StoreError::AssetNotFound)?;
        let recipe = s.frozen.recipe(s.conn, sha(row, 9)?)?;
        Ok(Self {
            tenant: id(row, 0)?,
            asset,
            state: named(row, 1, AssetState::parse)?,
            in_review: row.get(2)?,
            published: row.get(3)?,
            run: run_from(row, 4, recipe)?,
            sequence: row.get(8)?,
            settings: s.frozen.settings(s.conn, sha(row, 10)?)?,
            showing: row.get(11)?,
            partial: row.get(12)?,
        })
    }

    /// The same for a caller who may only see one tenant's.
    pub(super) fn of(
        s: &Session<'_>,
        tenant: TenantId,
        asset: AssetId,
    ) -> Result<Self, StoreError> {
        let live = Self::load(s, asset)?;
        if live.tenant != tenant {
            return Err(StoreError::AssetNotFound);
        }
        Ok(live)
    }

    /// Stores a new run and its tasks, after `first` was recorded as what began it.
    pub(super) fn begin(
        s: &Session<'_>,
        new: Beginning,
        first: EventDraft,
    ) -> Result<Self, StoreError> {
        let (recipe_hash, settings_hash) = freeze(s.conn, &new.recipe, &new.settings)?;
        let (run, effects) = transition::start(new.recipe, &new.settings, new.generation);
        let mut live = Self {
            tenant: new.tenant,
            asset: new.asset,
            state: new.state,
            in_review: new.in_review,
            published: new.published,
            partial: new.partial,
            showing: false,
            run,
            settings: Arc::new(new.settings),
            sequence: new.sequence,
        };
        s.conn
            .prepare_cached(
                "INSERT INTO runs (asset, generation, state, steps, showing, sequence, recipe,
                                   settings, watermark, focus, updated_at)
                 VALUES (?1, ?2, ?3, '[]', 0, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute(params![
                live.asset.as_bytes(),
                live.run.generation,
                live.run.state.as_str(),
                live.sequence,
                recipe_hash.0,
                settings_hash.0,
                new.watermark,
                new.focus.as_ref().map(to_json),
                s.now.0,
            ])?;
        live.insert_tasks(s, new.facts)?;
        live.record(s, &first)?;
        live.apply(s, &effects, None)?;
        live.save(s)?;
        Ok(live)
    }

    fn insert_tasks(&self, s: &Session<'_>, facts: Facts) -> Result<(), StoreError> {
        for index in 0..self.run.recipe.steps.len() {
            let state = match self.run.steps[index].skipped {
                0 => TaskState::Pending,
                _ => TaskState::Skipped,
            };
            self.insert_task(s, index, 0, state, self.run.recipe.cost(index, facts))?;
        }
        Ok(())
    }

    /// Estimates anew what the tasks need that nobody has claimed, now that more is known.
    pub(super) fn estimate(&self, s: &Session<'_>, facts: Facts) -> Result<(), StoreError> {
        for step in 0..self.run.recipe.steps.len() {
            self.set_cost(s, step, self.run.recipe.cost(step, facts))?;
        }
        Ok(())
    }

    /// Stores what each task of a step needs that nobody may claim yet.
    pub(super) fn set_cost(
        &self,
        s: &Session<'_>,
        step: usize,
        cost: Cost,
    ) -> Result<(), StoreError> {
        s.conn
            .prepare_cached(
                "UPDATE tasks SET memory_bytes = ?4, cpu_ms = ?5
                 WHERE asset = ?1 AND generation = ?2 AND step = ?3 AND state = 'pending'",
            )?
            .execute(params![
                self.asset.as_bytes(),
                self.run.generation,
                step,
                clamp(cost.memory_bytes),
                cost.cpu_ms,
            ])?;
        Ok(())
    }

    /// One task row of a step.
    pub(super) fn insert_task(
        &self,
        s: &Session<'_>,
        step: usize,
        number: u32,
        state: TaskState,
        cost: Cost,
    ) -> Result<(), StoreError> {
        let operation = &self.run.recipe.steps[step].operation;
        let finished_at = (state == TaskState::Skipped).then_some(s.now.0);
        s.conn
            .prepare_cached(
                "INSERT INTO tasks (id, tenant, asset, generation, step, number, operation, queue, lane,
                                    state, memory_bytes, cpu_ms, created_at, finished_at, priority, needs)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
            )?
            .execute(params![
                s.env.id().as_bytes(),
                self.tenant.as_bytes(),
                self.asset.as_bytes(),
                self.run.generation,
                step,
                number,
                operation.name(),
                operation.queue().as_str(),
                operation.lane(),
                state.as_str(),
                clamp(cost.memory_bytes),
                cost.cpu_ms,
                s.now.0,
                finished_at,
                self.settings.priority.number(),
                self.run.recipe.requires(step).join(","),
            ])?;
        s.memory.moved(operation.queue(), cost.cpu_ms, None, state);
        Ok(())
    }

    /// Adds a fact to the asset's history.
    pub(super) fn record(&mut self, s: &Session<'_>, event: &EventDraft) -> Result<(), StoreError> {
        self.sequence += 1;
        s.conn
            .prepare_cached(
                "INSERT INTO events (tenant, asset, sequence, id, type, at, data)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                self.tenant.as_bytes(),
                self.asset.as_bytes(),
                self.sequence,
                s.env.id().as_bytes(),
                event.kind.as_str(),
                s.now.0,
                event.data.to_string(),
            ])?;
        let position =
            u64::try_from(s.conn.last_insert_rowid()).expect("positions count up from 1");
        s.position.set(Some(position));
        s.news.borrow_mut().push(Recorded {
            kind: event.kind,
            asset: self.asset,
            generation: self.run.generation,
        });
        Ok(())
    }

    /// Stores the run, and the asset's state where it changed.
    pub(super) fn save(&mut self, s: &Session<'_>) -> Result<(), StoreError> {
        self.save_run(s)?;
        if self.showing && !self.run.is_showing() && self.published == 0 {
            renditions::hide(s, self.asset, 0)?;
        }
        let deleted = self.state == AssetState::Deleted;
        let is_published = self.published > 0 && !self.partial;
        self.set_state(s, shown(deleted, is_published, &self.run))
    }

    /// Stores the run alone, because another one decides what the asset shows.
    pub(super) fn save_run(&self, s: &Session<'_>) -> Result<(), StoreError> {
        s.conn
            .prepare_cached(
                "UPDATE runs SET state = ?3, verdict = ?4, steps = ?5, showing = ?6, sequence = ?7, updated_at = ?8
                 WHERE asset = ?1 AND generation = ?2",
            )?
            .execute(params![
                self.asset.as_bytes(),
                self.run.generation,
                self.run.state.as_str(),
                self.run.verdict.map(Verdict::as_str),
                counters(&self.run),
                self.run.is_showing(),
                self.sequence,
                s.now.0,
            ])?;
        Ok(())
    }

    /// Stores what the asset shows, if that is new.
    pub(super) fn set_state(
        &mut self,
        s: &Session<'_>,
        state: AssetState,
    ) -> Result<(), StoreError> {
        let in_review = self.run.state == RunState::InReview;
        if (state, in_review) == (self.state, self.in_review) {
            return Ok(());
        }
        (self.state, self.in_review) = (state, in_review);
        let rejected_at = (state == AssetState::Rejected).then_some(s.now.0);
        s.conn
            .prepare_cached(
                "UPDATE assets SET state = ?2, updated_at = ?3, rejected_at = ?4, in_review = ?5 WHERE id = ?1",
            )?
            .execute(params![
                self.asset.as_bytes(),
                state.as_str(),
                s.now.0,
                rejected_at,
                in_review,
            ])?;
        Ok(())
    }
}
