//! Which renditions readers may see, remembered for as long as that is certain to hold.
//!
//! A store of one process gives the signal for every change before it answers whoever made it, so what was read at one position of the
//! feed is true until the position rises. Processes that share a store hear of each other a moment later, or not at all while the
//! network is cut: there nothing is remembered for longer than [`MOMENT`], and who takes something away is answered when that has passed.
//! Either way what is rejected, deleted or private is gone with the answer that says so.

use mediaflow_core::AssetId;
use mediaflow_engine::store::{Servable, Store, StoreError};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Assets that are remembered; then all are forgotten.
const ASSETS_MAX: usize = 20_000;
/// How long other processes may go by what they remember. Short enough to wait for, long enough to spare the database what everybody
/// looks at.
const MOMENT: Duration = Duration::from_millis(100);

type Found = Arc<[Servable]>;

pub(crate) struct Lookups {
    position: watch::Receiver<u64>,
    is_shared: bool,
    remembered: Mutex<Remembered>,
}

#[derive(Default)]
struct Remembered {
    position: u64,
    found: HashMap<AssetId, (Instant, Found)>,
}

impl Lookups {
    /// `is_shared`: other processes change the same store.
    pub(crate) fn new(position: watch::Receiver<u64>, is_shared: bool) -> Self {
        Self {
            position,
            is_shared,
            remembered: Mutex::default(),
        }
    }

    pub(crate) async fn renditions(
        &self,
        store: &Arc<dyn Store>,
        asset: AssetId,
    ) -> Result<Found, StoreError> {
        let (before, began) = (*self.position.borrow(), Instant::now());
        if let Some((read, found)) = self.at(before).found.get(&asset)
            && !(self.is_shared && read.elapsed() >= MOMENT)
        {
            return Ok(Arc::clone(found));
        }
        let found: Found = store.renditions(asset).await?.into();
        if *self.position.borrow() == before {
            let mut remembered = self.at(before);
            if remembered.found.len() >= ASSETS_MAX {
                remembered.found.clear();
            }
            remembered.found.insert(asset, (began, Arc::clone(&found)));
        }
        Ok(found)
    }

    /// Waits until no process goes by what it read before.
    pub(crate) async fn forgotten(&self) {
        if self.is_shared {
            tokio::time::sleep(MOMENT).await;
        }
    }

    /// What is remembered from `position`; what is from another one is forgotten.
    fn at(&self, position: u64) -> MutexGuard<'_, Remembered> {
        let mut remembered = self
            .remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if remembered.position != position {
            remembered.found.clear();
            remembered.position = position;
        }
        remembered
    }
}
