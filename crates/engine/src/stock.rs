//! What is kept, counted: by kind and sort, what deduplication saves, and what the collector will free.
//!
//! A count goes through everything in small steps with pauses as long as these took, so that a million assets take minutes and nobody
//! waits for them. It is taken when somebody wants to know, by one at a time in a process, and believed for a while.

use crate::{Engine, EngineError};
use mediaflow_core::{AssetId, BlobId, Timestamp};
use mediaflow_store::{Amount, Aside, Held, Shelved};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use uuid::Uuid;

/// How long a count is believed, at least: as long as it took ten times, if that is longer.
const BELIEVED: Duration = Duration::from_secs(60);
/// Whoever asks waits no longer for a count that was just begun.
const PATIENCE: Duration = Duration::from_secs(2);
/// Rows of one step: some hundredths of a second each.
const ASSETS: u32 = 500;
const BLOBS: u32 = 10_000;
const ORPHANS: u32 = 1000;

/// What was kept when it was counted.
#[derive(Debug)]
pub struct Stock {
    /// By kind, sort and format, in this order. What is shared counts as often as it is used.
    pub held: Vec<Held>,
    /// Each blob once.
    pub shelved: Shelved,
    /// What nothing refers to and the collector has not taken yet.
    pub unreferenced: Amount,
    /// What belongs to no asset.
    pub aside: Aside,
    /// When the count ended.
    pub measured_at: Timestamp,
    /// How long it took.
    pub took: Duration,
}

impl Stock {
    /// Bytes that would be there as well if equal files were kept for each of those who have them.
    pub fn saved_bytes(&self) -> u64 {
        let used = self.held.iter().map(|held| held.amount.bytes).sum::<u64>();
        let used = used + self.aside.pinned.bytes;
        let kept = self.shelved.live.bytes;
        // Steps see different moments.
        used.saturating_sub(kept.saturating_sub(self.unreferenced.bytes))
    }
}

/// What is known at present.
#[derive(Debug, Default)]
pub struct Counted {
    /// The last whole count.
    pub stock: Option<Arc<Stock>>,
    /// While another one is taken: assets that were counted so far.
    pub counting: Option<u64>,
}

/// One count at a time, and its result.
pub(crate) struct Stocktaking {
    turn: Arc<Semaphore>,
    assets: AtomicU64,
    last: Mutex<Last>,
}

#[derive(Default)]
struct Last {
    stock: Option<Arc<Stock>>,
    ended: Option<Instant>,
    failed: Option<EngineError>,
}

impl Default for Stocktaking {
    fn default() -> Self {
        Self {
            turn: Arc::new(Semaphore::new(1)),
            assets: AtomicU64::new(0),
            last: Mutex::default(),
        }
    }
}

impl Stocktaking {
    fn last(&self) -> std::sync::MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_fresh(&self) -> bool {
        let last = self.last();
        let (Some(stock), Some(ended)) = (&last.stock, last.ended) else {
            return false;
        };
        ended.elapsed() < BELIEVED.max(stock.took * 10)
    }
}

impl Engine {
    /// What is kept. Counts where the last count is old, and waits two seconds for that at most.
    ///
    /// # Errors
    /// When there is no count, because the store did not answer.
    pub async fn stock(self: &Arc<Self>) -> Result<Counted, EngineError> {
        let taking = &self.stocktaking;
        if !taking.is_fresh() {
            if let Ok(turn) = Arc::clone(&taking.turn).try_acquire_owned() {
                let engine = Arc::clone(self);
                taking.assets.store(0, Ordering::Relaxed);
                tokio::spawn(async move {
                    let counted = engine.count().await;
                    let mut last = engine.stocktaking.last();
                    last.ended = Some(Instant::now());
                    match counted {
                        Ok(stock) => (last.stock, last.failed) = (Some(Arc::new(stock)), None),
                        Err(error) => {
                            tracing::warn!(%error, reason = ?error.reason, "what is kept could not be counted");
                            last.failed = Some(error);
                        }
                    }
                    drop(last);
                    drop(turn);
                });
            }
            // Its turn is free again when the count has ended.
            let _ = tokio::time::timeout(PATIENCE, taking.turn.acquire()).await;
        }
        let counting = taking.turn.available_permits() == 0;
        let mut last = taking.last();
        let (stock, failed) = (last.stock.clone(), last.failed.take());
        match failed {
            Some(error) if stock.is_none() && !counting => Err(error),
            _ => Ok(Counted {
                stock,
                counting: counting.then(|| taking.assets.load(Ordering::Relaxed)),
            }),
        }
    }

    async fn count(&self) -> Result<Stock, EngineError> {
        let began = Instant::now();
        let store = self.store();
        let mut held: BTreeMap<(&str, _, String), Held> = BTreeMap::new();
        let mut next = Some(AssetId(Uuid::nil()));
        while let Some(after) = next {
            let step = Instant::now();
            let (found, then) = store.held(after, ASSETS).await?;
            for one in found {
                let key = (one.kind.as_str(), one.sort, one.format.clone());
                match held.get_mut(&key) {
                    Some(sum) => sum.amount += one.amount,
                    None => drop(held.insert(key, one)),
                }
            }
            let assets = &self.stocktaking.assets;
            assets.fetch_add(u64::from(ASSETS), Ordering::Relaxed);
            next = rested(step, then).await;
        }
        let mut shelved = Shelved::default();
        let mut next = Some(BlobId(Uuid::nil()));
        while let Some(after) = next {
            let step = Instant::now();
            let (found, then) = store.shelved(after, BLOBS).await?;
            shelved.live += found.live;
            shelved.condemned += found.condemned;
            next = rested(step, then).await;
        }
        let mut unreferenced = Amount::default();
        let mut next = Some(BlobId(Uuid::nil()));
        while let Some(after) = next {
            let step = Instant::now();
            let (found, then) = store.unreferenced(after, ORPHANS).await?;
            unreferenced += found;
            next = rested(step, then).await;
        }
        Ok(Stock {
            held: held.into_values().collect(),
            shelved,
            unreferenced,
            aside: store.aside().await?,
            measured_at: self.environment().now(),
            took: began.elapsed(),
        })
    }
}

/// Where the next step begins, after a pause as long as this one was; at the end there is none.
async fn rested<T>(step: Instant, next: Option<T>) -> Option<T> {
    if next.is_some() {
        tokio::time::sleep(step.elapsed()).await;
    }
    next
}
