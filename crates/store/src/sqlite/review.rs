//! Verbs of people: decide, replay, reprocess.

use super::SqliteStore;
use super::live::{Beginning, Live};
use super::rows::{id, maybe_json};
use super::task::Hand;
use super::writer::Session;
use crate::query::replayable;
use crate::standing::{none_awaited, refuse_gone, refuse_old};
use crate::verdict::decided;
use crate::{Generation, ReplayFilter, Review, StoreError};
use async_trait::async_trait;
use mediaflow_core::operation::Facts;
use mediaflow_core::{
    AssetId, AssetState, Decision, ErrorCode, EventDraft, EventType, Focus, Operation, TaskId,
    TenantId, transition,
};
use rusqlite::{OptionalExtension, params, params_from_iter};
use serde_json::json;

#[async_trait]
impl Review for SqliteStore {
    async fn decide(
        &self,
        tenant: TenantId,
        asset: AssetId,
        decision: Decision,
        reason: Option<&str>,
        by: &str,
    ) -> Result<(), StoreError> {
        let (reason, by) = (reason.map(str::to_owned), by.to_owned());
        self.write(move |s| decide(s, tenant, asset, decision, reason.as_deref(), &by))
            .await
    }

    async fn replay(&self, tenant: TenantId, task: TaskId) -> Result<bool, StoreError> {
        self.write(move |s| replay(s, tenant, task)).await
    }

    async fn replay_all(
        &self,
        tenant: TenantId,
        filter: &ReplayFilter,
        limit: u32,
    ) -> Result<u32, StoreError> {
        let filter = filter.clone();
        self.write(move |s| replay_all(s, tenant, &filter, limit))
            .await
    }

    async fn reprocess(
        &self,
        tenant: TenantId,
        asset: AssetId,
        generation: Generation,
    ) -> Result<u32, StoreError> {
        self.write(move |s| reprocess(s, tenant, asset, generation.clone()))
            .await
    }
}

fn decide(
    s: &Session<'_>,
    tenant: TenantId,
    asset: AssetId,
    decision: Decision,
    reason: Option<&str>,
    by: &str,
) -> Result<(), StoreError> {
    let mut live = Live::of(s, tenant, asset)?;
    if live.state == AssetState::Deleted {
        return Err(StoreError::AssetDeleted);
    }
    let waiting = s
        .conn
        .prepare_cached(
            "SELECT id FROM tasks INDEXED BY tasks_by_step
             WHERE asset = ?1 AND generation = ?2 AND operation = ?3 AND state = 'waiting' AND retry_at IS NULL
             ORDER BY step LIMIT 1",
        )?
        .query_row(
            params![
                asset.as_bytes(),
                live.run.generation,
                Operation::Moderate.name()
            ],
            |row| id(row, "id"),
        )
        .optional()?;
    let Some(task) = waiting else {
        return Err(none_awaited(live.state));
    };
    let hand = Hand::load(s, task)?;
    let effects = transition::decide(&mut live.run, hand.task, decision, reason)?;
    let document: Option<String> = s
        .conn
        .prepare_cached("SELECT json FROM facts WHERE asset = ?1 AND operation = ?2")?
        .query_row(
            params![asset.as_bytes(), Operation::Moderate.name()],
            |row| row.get(0),
        )
        .optional()?;
    let document = decided(document.as_deref(), decision, by, reason);
    live.keep_facts(s, &Operation::Moderate, &document)?;
    live.apply(s, &effects, Some(&hand))?;
    live.save(s)
}

fn replay(s: &Session<'_>, tenant: TenantId, task: TaskId) -> Result<bool, StoreError> {
    let hand = Hand::load(s, task)?;
    if hand.tenant != tenant {
        return Err(StoreError::TaskNotFound);
    }
    let mut live = Live::load(s, hand.asset)?;
    refuse_old(hand.generation, live.run.generation)?;
    refuse_gone(live.state, "replayed")?;
    let effects = transition::replay(&mut live.run, hand.task)?;
    if effects.is_empty() {
        return Ok(false);
    }
    live.apply(s, &effects, Some(&hand))?;
    live.save(s)?;
    Ok(true)
}

fn replay_all(
    s: &Session<'_>,
    tenant: TenantId,
    filter: &ReplayFilter,
    limit: u32,
) -> Result<u32, StoreError> {
    let index = match filter.code {
        Some(_) => "tasks_by_code",
        None => "tasks_by_state",
    };
    // Tasks that cannot be replayed are left out here, or they would hide others behind them.
    let select = format!(
        "SELECT t.id FROM tasks t INDEXED BY {index} CROSS JOIN assets a ON a.id = t.asset"
    );
    let query = replayable(&select, tenant, filter, limit);
    let tasks = s
        .conn
        .prepare_cached(&query.sql)?
        .query_map(params_from_iter(query.args), |row| id(row, "id"))?
        .collect::<Result<Vec<_>, _>>()?;
    let mut replayed = 0;
    for task in tasks {
        replayed += u32::from(replay(s, tenant, task)?);
    }
    Ok(replayed)
}

fn reprocess(
    s: &Session<'_>,
    tenant: TenantId,
    asset: AssetId,
    new: Generation,
) -> Result<u32, StoreError> {
    let mut live = Live::of(s, tenant, asset)?;
    refuse_gone(live.state, "reprocessed")?;
    let keeps = live.published == 0 && live.run.is_viewable();
    let effects = transition::cancel(&mut live.run, ErrorCode::RunSuperseded);
    live.apply(s, &effects, None)?;
    if keeps {
        live.keep_showing(s)?;
    }
    live.save_run(s)?;
    let generation = live.run.generation + 1;
    let (watermark, focus, facts) = s
        .conn
        .prepare_cached(
            "UPDATE assets SET generation = ?2, updated_at = ?3 WHERE id = ?1
             RETURNING watermark, focus, fact_pixels, fact_frames, fact_bytes",
        )?
        .query_row(params![asset.as_bytes(), generation, s.now.0], |row| {
            let facts = Facts {
                pixels: row.get("fact_pixels")?,
                frames: row.get("fact_frames")?,
                bytes: row.get("fact_bytes")?,
            };
            Ok((
                row.get("watermark")?,
                maybe_json::<Focus>(row, "focus")?,
                facts,
            ))
        })?;
    let recipe = new.recipe.name.clone();
    let beginning = Beginning {
        tenant,
        asset,
        published: live.published,
        partial: live.partial,
        generation,
        recipe: new.recipe,
        settings: new.settings,
        watermark,
        focus,
        facts,
        state: live.state,
        in_review: live.in_review,
        sequence: live.sequence,
    };
    let data = json!({ "generation": generation, "recipe": recipe });
    let first = EventDraft::new(EventType::AssetReprocessing, data);
    Live::begin(s, beginning, first)?;
    Ok(generation)
}
