//! Which renditions readers may see, remembered for as long as nothing at all has happened.
//!
//! Every change of what may be seen records an event, and the store gives the signal before it answers whoever
//! changed it. So what was read at one position of the feed is true until the position rises, and what is rejected
//! or deleted is gone with the answer that says so.

use mediaflow_core::AssetId;
use mediaflow_engine::store::{Servable, Store, StoreError};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Assets that are remembered; then all are forgotten.
const ASSETS_MAX: usize = 20_000;

type Found = Arc<[Servable]>;

pub(crate) struct Lookups {
    position: watch::Receiver<u64>,
    remembered: Mutex<Remembered>,
}

#[derive(Default)]
struct Remembered {
    position: u64,
    found: HashMap<AssetId, Found>,
}

impl Lookups {
    pub(crate) fn new(position: watch::Receiver<u64>) -> Self {
        Self {
            position,
            remembered: Mutex::default(),
        }
    }

    pub(crate) async fn renditions(
        &self,
        store: &Arc<dyn Store>,
        asset: AssetId,
    ) -> Result<Found, StoreError> {
        let before = *self.position.borrow();
        if let Some(found) = self.at(before).found.get(&asset) {
            return Ok(Arc::clone(found));
        }
        let found: Found = store.renditions(asset).await?.into();
        if *self.position.borrow() == before {
            let mut remembered = self.at(before);
            if remembered.found.len() >= ASSETS_MAX {
                remembered.found.clear();
            }
            remembered.found.insert(asset, Arc::clone(&found));
        }
        Ok(found)
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
