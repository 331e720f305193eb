//! Verbs of people: decide, replay, reprocess.

use super::begin::{Beginning, begin};
use super::changes::{Changes, values};
use super::flush::flush;
use super::frozen::freeze;
use super::hand;
use super::live;
use super::rows::{get, id, maybe_json};
use super::unit::Unit;
use super::{PostgresStore, Repeat, Session};
use crate::query::replayable;
use crate::standing::{none_awaited, refuse_gone, refuse_old};
use crate::verdict::decided;
use crate::{Generation, ReplayFilter, Review, StoreError};
use async_trait::async_trait;
use futures_util::FutureExt;
use mediaflow_core::{
    AssetId, AssetState, Decision, ErrorCode, EventDraft, EventType, Operation, Sha256, TaskId,
    TenantId, transition,
};
use serde_json::json;
use std::collections::HashMap;

#[async_trait]
impl Review for PostgresStore {
    async fn decide(
        &self,
        tenant: TenantId,
        asset: AssetId,
        decision: Decision,
        reason: Option<&str>,
        by: &str,
    ) -> Result<(), StoreError> {
        self.write(Repeat::BeforeCommit, move |s, _| {
            decide(s, (tenant, asset), decision, reason, by).boxed()
        })
        .await
    }

    async fn replay(&self, tenant: TenantId, task: TaskId) -> Result<bool, StoreError> {
        self.write(Repeat::Always, move |s, _| replay(s, tenant, task).boxed())
            .await
    }

    async fn replay_all(
        &self,
        tenant: TenantId,
        filter: &ReplayFilter,
        limit: u32,
    ) -> Result<u32, StoreError> {
        let tasks = self
            .read(move |s, _| dead(s, tenant, filter, limit).boxed())
            .await?;
        let mut replayed = 0;
        for task in tasks {
            match self.replay(tenant, task).await {
                Ok(did) => replayed += u32::from(did),
                // Somebody else was here since the list was made.
                Err(
                    StoreError::Conflict(_) | StoreError::TaskNotFound | StoreError::StaleFence,
                ) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(replayed)
    }

    async fn reprocess(
        &self,
        tenant: TenantId,
        asset: AssetId,
        generation: Generation,
    ) -> Result<u32, StoreError> {
        let frozen = freeze(&self.core, &generation.recipe, &generation.settings).await?;
        let generation = &generation;
        self.write(Repeat::BeforeCommit, move |s, _| {
            reprocess(s, (tenant, asset), generation, frozen).boxed()
        })
        .await
    }
}

const AWAITED: &str = "SELECT id FROM tasks
     WHERE asset = $1 AND generation = $2 AND operation = $3 AND state = 'waiting' AND retry_at IS NULL
     ORDER BY step LIMIT 1";

async fn decide(
    s: &mut Session,
    (tenant, asset): (TenantId, AssetId),
    decision: Decision,
    reason: Option<&str>,
    by: &str,
) -> Result<(), StoreError> {
    let live = live::of(s, tenant, asset).boxed().await?;
    if live.state == AssetState::Deleted {
        return Err(StoreError::AssetDeleted);
    }
    let (generation, gate) = (i64::from(live.run.generation), Operation::Moderate.name());
    let waiting = s.maybe(AWAITED, &[&asset.0, &generation, &gate]).await?;
    let Some(row) = waiting else {
        return Err(none_awaited(live.state));
    };
    let lease = crate::Lease {
        task: id(&row, "id")?,
        fence: 0,
    };
    let mut hands = hand::load(s, &[lease]).boxed().await?;
    let hand = hands.remove(&lease.task).ok_or(StoreError::TaskNotFound)?;
    let sql = "SELECT json FROM facts WHERE asset = $1 AND operation = $2";
    let before = s.maybe(sql, &[&asset.0, &gate]).await?;
    let before: Option<String> = before.map(|row| get(&row, "json")).transpose()?;
    let document = decided(before.as_deref(), decision, by, reason);
    let mut unit = Unit::new(s, HashMap::from([(asset, live)]));
    unit.decide(asset, |live, changes| {
        let mut hand = hand;
        let effects = transition::decide(&mut live.run, hand.task, decision, reason)?;
        live.keep_facts(changes, &Operation::Moderate, &document);
        live.apply(changes, &effects, Some(&mut hand));
        changes.hands.push(hand);
        Ok(())
    })?;
    unit.flush(s).boxed().await
}

async fn replay(s: &mut Session, tenant: TenantId, task: TaskId) -> Result<bool, StoreError> {
    let (hand, live) = hand::one(s, task).boxed().await?;
    if hand.tenant != tenant {
        return Err(StoreError::TaskNotFound);
    }
    refuse_old(hand.generation, live.run.generation)?;
    refuse_gone(live.state, "replayed")?;
    let asset = live.asset;
    let mut unit = Unit::new(s, HashMap::from([(asset, live)]));
    let mut did = false;
    unit.decide(asset, |live, changes| {
        let mut hand = hand;
        let effects = transition::replay(&mut live.run, hand.task)?;
        if !effects.is_empty() {
            did = true;
            live.apply(changes, &effects, Some(&mut hand));
            changes.hands.push(hand);
        }
        Ok(())
    })?;
    if did {
        unit.flush(s).boxed().await?;
    }
    Ok(did)
}

async fn dead(
    s: &Session,
    tenant: TenantId,
    filter: &ReplayFilter,
    limit: u32,
) -> Result<Vec<TaskId>, StoreError> {
    // Tasks that cannot be replayed are left out here, or they would hide others behind them.
    let select = "SELECT t.id FROM tasks t JOIN assets a ON a.id = t.asset";
    let query = replayable(select, tenant, filter, limit);
    let rows = s.list(&query).await?;
    rows.iter().map(|row| id(row, "id")).collect()
}

const NEXT: &str = "UPDATE assets SET generation = $2, updated_at = $3, state = $4, in_review = $5, published = $6 WHERE id = $1";
const OPTIONS: &str = "SELECT watermark, focus FROM assets WHERE id = $1";

async fn reprocess(
    s: &mut Session,
    (tenant, asset): (TenantId, AssetId),
    new: &Generation,
    frozen: (Sha256, Sha256),
) -> Result<u32, StoreError> {
    let mut live = live::of(s, tenant, asset).boxed().await?;
    refuse_gone(live.state, "reprocessed")?;
    let mut changes = Changes::new(s);
    let keeps = live.published == 0 && live.run.is_viewable();
    let effects = transition::cancel(&mut live.run, ErrorCode::RunSuperseded);
    live.apply(&mut changes, &effects, None);
    if keeps {
        // What can be shown of an unfinished first run stays until a newer one is published.
        live.partial = true;
        live.published = live.run.generation;
    }
    let row = s.one(OPTIONS, &[&asset.0]).await?;
    let generation = live.run.generation + 1;
    let data = json!({ "generation": generation, "recipe": new.recipe.name });
    let beginning = Beginning {
        tenant,
        asset,
        published: live.published,
        partial: live.partial,
        generation,
        recipe: std::sync::Arc::clone(&new.recipe),
        settings: new.settings.clone(),
        frozen,
        watermark: get(&row, "watermark")?,
        focus: maybe_json(&row, "focus")?,
        facts: live.facts,
        state: (live.state, live.in_review),
        sequence: live.sequence,
    };
    let first = EventDraft::new(EventType::AssetReprocessing, data);
    let next = begin(&mut changes, beginning, &first);
    changes.call(
        NEXT,
        values![
            asset.0,
            i64::from(generation),
            changes.now.0,
            next.state.as_str(),
            next.in_review,
            i64::from(next.published),
        ],
    );
    // The old run decides nothing any more: what the asset shows follows from the new one.
    live.stored = (live.state, live.in_review, live.published);
    live.showing = false;
    flush(s, changes, &mut [&mut live]).boxed().await?;
    Ok(generation)
}
