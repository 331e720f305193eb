//! Verbs of workers: claim, stay alive, report.

use super::blobs::blob;
use super::live::Live;
use super::renditions::{dimensions, record};
use super::rows::named;
use super::task::Hand;
use super::writer::Session;
use super::{SqliteStore, claim};
use crate::{
    BlobRow, Capacity, Claimed, Lease, RenditionRecord, Report, Reusable, StoreError, Work,
};
use async_trait::async_trait;
use mediaflow_core::operation::Format;
use mediaflow_core::{
    AssetId, Failure, FailureKind, Sha256, TaskId, TaskState, TenantId, transition,
};
use rusqlite::{Connection, OptionalExtension, params};
use std::sync::Arc;
use std::time::Duration;

#[async_trait]
impl Work for SqliteStore {
    async fn claim(
        &self,
        request: uuid::Uuid,
        capacity: &Capacity,
    ) -> Result<Vec<Claimed>, StoreError> {
        let capacity = capacity.clone();
        let present = Arc::clone(&self.present);
        self.write(move |s| {
            let others = || present.at_work(s.now);
            claim::claim(s, request.as_bytes(), &capacity, others)
        })
        .await
    }

    async fn heartbeat(&self, leases: &[Lease], lease: Duration) -> Result<Vec<Lease>, StoreError> {
        let leases = leases.to_vec();
        self.write(move |s| extend(s, &leases, lease)).await
    }

    async fn report(
        &self,
        lease: Lease,
        report: Report,
        offer: Option<&Capacity>,
    ) -> Result<Vec<Claimed>, StoreError> {
        let offer = offer.cloned();
        self.write(move |s| end(s, lease, &report, offer.as_ref()))
            .await
    }

    async fn reusable(
        &self,
        tenant: TenantId,
        derivations: &[Sha256],
    ) -> Result<Vec<(Sha256, Reusable)>, StoreError> {
        let derivations = derivations.to_vec();
        self.read(move |conn, _| find_reusable(conn, tenant, &derivations))
            .await
    }

    async fn recorded(
        &self,
        asset: AssetId,
        generation: u32,
    ) -> Result<Vec<(RenditionRecord, BlobRow)>, StoreError> {
        self.read(move |conn, _| {
            let mut statement = conn.prepare_cached(
                "SELECT r.generation, r.profile, r.format, r.width, r.height, r.animated, r.derivation,
                        b.id AS blob_id, b.sha256 AS blob_sha256, b.bytes AS blob_bytes, b.key AS blob_key
                 FROM renditions r JOIN blobs b ON b.id = r.blob
                 WHERE r.asset = ?1 AND r.generation = ?2 ORDER BY r.profile, r.format",
            )?;
            let rows = statement.query_map(params![asset.as_bytes(), generation], |row| {
                Ok((record(row)?, blob(row)?))
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }
}

fn extend(s: &Session<'_>, leases: &[Lease], duration: Duration) -> Result<Vec<Lease>, StoreError> {
    let mut statement = s.conn.prepare_cached(
        "UPDATE tasks SET lease_until = ?3 WHERE id = ?1 AND fence = ?2 AND state = 'running'",
    )?;
    let mut lost = Vec::new();
    for lease in leases {
        let until = s.now.after(duration).0;
        let held = statement.execute(params![lease.task.as_bytes(), lease.fence, until])?;
        if held == 0 {
            lost.push(*lease);
        }
    }
    Ok(lost)
}

pub(super) fn end(
    s: &Session<'_>,
    lease: Lease,
    report: &Report,
    capacity: Option<&Capacity>,
) -> Result<Vec<Claimed>, StoreError> {
    let hand = Hand::load(s, lease.task)?;
    let mut offered = lease.task.as_bytes().to_vec();
    offered.extend(lease.fence.to_be_bytes());
    if hand.fence != lease.fence || hand.task.state != TaskState::Running {
        return if was_reported(s, lease)? {
            claim::held(s, &offered)
        } else {
            Err(StoreError::StaleFence)
        };
    }
    let mut live = Live::load(s, hand.asset)?;
    if live.run.generation != hand.generation {
        return Err(StoreError::StaleFence);
    }
    match report {
        Report::Succeeded(output) => {
            if let Some(failure) = live.refuses(s, output)? {
                fail(s, &mut live, &hand, &failure, "failed")?;
                live.save(s)?;
                return Ok(Vec::new());
            }
            let operation = live.run.recipe.steps[hand.task.step].operation.clone();
            live.keep(s, &operation, output)?;
            let effects =
                transition::succeed(&mut live.run, hand.task, output.verdict, &output.expansions)?;
            hand.end_attempt(s, "succeeded", None)?;
            live.apply(s, &effects, Some(&hand))?;
        }
        Report::Failed(failure) => {
            let deferred = failure.kind == FailureKind::Deferred;
            let outcome = if deferred { "handed_back" } else { "failed" };
            fail(s, &mut live, &hand, failure, outcome)?;
        }
        Report::HandedBack => {
            let effects = transition::hand_back(&live.run, hand.task)?;
            hand.end_attempt(s, "handed_back", None)?;
            live.apply(s, &effects, Some(&hand))?;
        }
    }
    live.save(s)?;
    match capacity {
        Some(capacity) => claim::offer(s, &offered, capacity, hand.asset),
        None => Ok(Vec::new()),
    }
}

fn fail(
    s: &Session<'_>,
    live: &mut Live,
    hand: &Hand,
    failure: &Failure,
    outcome: &str,
) -> Result<(), StoreError> {
    let effects = transition::fail(&mut live.run, hand.task, failure, s.env.jitter())?;
    hand.end_attempt(s, outcome, Some(failure))?;
    hand.note_failure(s, failure)?;
    live.apply(s, &effects, Some(hand))
}

/// The task's worker is gone, and its lease with it.
pub(super) fn lose(s: &Session<'_>, task: TaskId) -> Result<(), StoreError> {
    let hand = Hand::load(s, task)?;
    let mut live = Live::load(s, hand.asset)?;
    let failure = Failure::worker_lost();
    fail(s, &mut live, &hand, &failure, "lost")?;
    s.conn
        .prepare_cached("UPDATE tasks SET fence = fence + 1 WHERE id = ?1")?
        .execute([task.as_bytes()])?;
    live.save(s)
}

/// Whether this attempt was ended by its worker, so that its report is a repetition.
fn was_reported(s: &Session<'_>, lease: Lease) -> Result<bool, StoreError> {
    let outcome: Option<Option<String>> = s
        .conn
        .prepare_cached("SELECT outcome FROM attempts WHERE task = ?1 AND fence = ?2")?
        .query_row(params![lease.task.as_bytes(), lease.fence], |row| {
            row.get(0)
        })
        .optional()?;
    Ok(matches!(
        outcome.flatten().as_deref(),
        Some("succeeded" | "failed" | "handed_back")
    ))
}

pub(super) const REUSABLE: &str = "SELECT r.format, r.width, r.height, r.animated,
            b.id AS blob_id, b.sha256 AS blob_sha256, b.bytes AS blob_bytes, b.key AS blob_key
     FROM renditions r CROSS JOIN assets a ON a.id = r.asset CROSS JOIN blobs b ON b.id = r.blob
     WHERE r.tenant = ?1 AND r.derivation = ?2 AND b.condemned_at IS NULL
       AND a.state NOT IN ('rejected', 'deleted') LIMIT 1";

fn find_reusable(
    conn: &Connection,
    tenant: TenantId,
    derivations: &[Sha256],
) -> Result<Vec<(Sha256, Reusable)>, StoreError> {
    let mut statement = conn.prepare_cached(REUSABLE)?;
    let mut found = Vec::new();
    for derivation in derivations {
        let reusable = statement
            .query_row(params![tenant.as_bytes(), derivation.0], |row| {
                Ok(Reusable {
                    blob: blob(row)?,
                    dimensions: dimensions(row)?,
                    animated: row.get("animated")?,
                    format: named(row, "format", Format::parse)?,
                })
            })
            .optional()?;
        found.extend(reusable.map(|r| (*derivation, r)));
    }
    Ok(found)
}
