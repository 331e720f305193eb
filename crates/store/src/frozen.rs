//! Recipes and settings as runs froze them: stored once by digest, read once per process.

use crate::StoreError;
use mediaflow_core::{Recipe, RunSettings, Sha256};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// More distinct recipes than any installation has at work; beyond it everything is read anew.
const KEPT_MAX: usize = 256;

/// What was read already. A digest never changes its meaning, so nothing here goes stale.
#[derive(Default)]
pub(crate) struct Frozen {
    pub(crate) recipes: Kept<Recipe>,
    pub(crate) settings: Kept<RunSettings>,
}

/// One sort of what was read.
pub(crate) struct Kept<T>(Mutex<HashMap<Sha256, Arc<T>>>);

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: serde::de::DeserializeOwned> Kept<T> {
    /// What was kept under this digest.
    pub(crate) fn get(&self, hash: Sha256) -> Option<Arc<T>> {
        self.lock().get(&hash).cloned()
    }

    /// Keeps what the database has under this digest.
    pub(crate) fn keep(&self, hash: Sha256, json: &str) -> Result<Arc<T>, StoreError> {
        let value =
            Arc::new(serde_json::from_str(json).map_err(|e| StoreError::Database(Box::new(e)))?);
        let mut map = self.lock();
        if map.len() >= KEPT_MAX {
            map.clear();
        }
        map.insert(hash, Arc::clone(&value));
        Ok(value)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Sha256, Arc<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
