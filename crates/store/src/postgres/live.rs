//! The newest runs of assets: locked and loaded to be decided about. What is decided goes to [`Changes`].

use super::Session;
use super::changes::{Changes, NewEvent};
use super::rows::{get, id, named, number, sha};
use crate::StoreError;
use crate::observe::Recorded;
use crate::standing::{shown, steps};
use mediaflow_core::operation::{Facts, Format};
use mediaflow_core::{
    AssetId, AssetState, BlobId, EventDraft, Run, RunSettings, RunState, Sha256, TenantId, Verdict,
};
use std::collections::HashMap;
use std::sync::Arc;
use tokio_postgres::Row;
use uuid::Uuid;

/// A run in hand.
#[derive(Clone)]
pub(super) struct Live {
    pub(super) tenant: TenantId,
    pub(super) asset: AssetId,
    /// What the asset's row is to say.
    pub(super) state: AssetState,
    /// Whether somebody must decide.
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
    /// What tasks are estimated by.
    pub(super) facts: Facts,
    /// What the asset's row says: its state, whether somebody must decide, and what is published.
    pub(super) stored: (AssetState, bool, u32),
    /// What the run has recorded, where that was asked for.
    pub(super) renditions: HashMap<(String, Format), (BlobId, Sha256, u64)>,
    /// The initialisation segments of the run's streams, where they were asked for.
    pub(super) inits: HashMap<String, Sha256>,
}

/// The newest runs of these assets, locked until the transaction ends.
const LOCK: &str = "SELECT r.asset, r.generation FROM assets a
     JOIN runs r ON r.asset = a.id AND r.generation = a.generation
     WHERE a.id = ANY($1) ORDER BY r.asset FOR UPDATE OF r";
/// Another statement than the lock: it sees what those committed that the lock waited for.
const LOAD: &str = "SELECT a.id, a.tenant, a.state AS asset_state, a.in_review, a.published, a.fact_pixels, a.fact_frames,
            a.fact_bytes, r.generation, r.state, r.verdict, r.steps, r.sequence, r.recipe, r.settings, r.showing,
            coalesce(p.state <> 'ready', false) AS partial
     FROM assets a JOIN runs r ON r.asset = a.id AND r.generation = a.generation
          LEFT JOIN runs p ON p.asset = a.id AND p.generation = a.published AND a.published > 0
     WHERE a.id = ANY($1)";

/// Locks and loads the newest runs of these assets.
pub(super) async fn load(
    s: &Session,
    assets: &[AssetId],
) -> Result<HashMap<AssetId, Live>, StoreError> {
    let mut ids: Vec<Uuid> = assets.iter().map(|asset| asset.0).collect();
    ids.sort_unstable();
    ids.dedup();
    loop {
        let answers = s.all(&[(LOCK, &[&ids]), (LOAD, &[&ids])]).await?;
        let locked: Result<HashMap<Uuid, i64>, StoreError> = answers[0]
            .iter()
            .map(|row| Ok((get(row, "asset")?, get(row, "generation")?)))
            .collect();
        let locked = locked?;
        let is_newest = answers[1].iter().map(|row| {
            let asset: Uuid = get(row, "id")?;
            Ok(locked.get(&asset) == Some(&get(row, "generation")?))
        });
        let is_newest: Result<Vec<bool>, StoreError> = is_newest.collect();
        // A generation that began while the lock waited is locked in the next round.
        if is_newest?.into_iter().all(|is| is) {
            let mut lives = HashMap::new();
            for row in &answers[1] {
                let live = live(s, row).await?;
                lives.insert(live.asset, live);
            }
            return Ok(lives);
        }
    }
}

/// The newest run of a tenant's asset, locked.
pub(super) async fn of(s: &Session, tenant: TenantId, asset: AssetId) -> Result<Live, StoreError> {
    let found = load(s, &[asset]).await?.remove(&asset);
    let found = found.filter(|live| live.tenant == tenant);
    found.ok_or(StoreError::AssetNotFound)
}

async fn live(s: &Session, row: &Row) -> Result<Live, StoreError> {
    let state = named(row, "asset_state", AssetState::parse)?;
    let (in_review, published) = (get(row, "in_review")?, number(row, "published")?);
    Ok(Live {
        tenant: id(row, "tenant")?,
        asset: id(row, "id")?,
        state,
        in_review,
        published,
        partial: get(row, "partial")?,
        showing: get(row, "showing")?,
        run: run(s, row).await?,
        settings: s.settings(sha(row, "settings")?).await?,
        sequence: number(row, "sequence")?,
        facts: facts(row)?,
        stored: (state, in_review, published),
        renditions: HashMap::new(),
        inits: HashMap::new(),
    })
}

/// The run in a row of `runs`.
pub(super) async fn run(s: &Session, row: &Row) -> Result<Run, StoreError> {
    let verdict: Option<&str> = get(row, "verdict")?;
    Ok(Run {
        generation: number(row, "generation")?,
        state: named(row, "state", RunState::parse)?,
        verdict: verdict.and_then(Verdict::parse),
        steps: steps(get(row, "steps")?).map_err(|e| StoreError::Database(Box::new(e)))?,
        recipe: s.recipe(sha(row, "recipe")?).await?,
    })
}

/// What an asset's tasks are estimated by.
pub(super) fn facts(row: &Row) -> Result<Facts, StoreError> {
    Ok(Facts {
        pixels: number(row, "fact_pixels")?,
        frames: number(row, "fact_frames")?,
        bytes: number(row, "fact_bytes")?,
    })
}

impl Live {
    /// Adds a fact to the asset's history.
    pub(super) fn record(&mut self, changes: &mut Changes, event: &EventDraft) {
        self.sequence += 1;
        changes.events.push(NewEvent {
            tenant: self.tenant,
            asset: self.asset,
            sequence: self.sequence,
            id: changes.env.id(),
            kind: event.kind.as_str(),
            data: event.data.to_string(),
        });
        changes.news.push(Recorded {
            kind: event.kind,
            asset: self.asset,
            generation: self.run.generation,
        });
    }

    /// What the asset shows from now on, by its newest run.
    pub(super) fn settle(&mut self) {
        let deleted = self.state == AssetState::Deleted;
        let is_published = self.published > 0 && !self.partial;
        self.state = shown(deleted, is_published, &self.run);
        self.in_review = self.run.state == RunState::InReview;
    }
}
