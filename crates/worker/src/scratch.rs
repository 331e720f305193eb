//! What the tasks of one asset share: the original's bytes, its decoded pixels and the sizes made of them.
//! A cache in every sense: each task can make all of it anew, anywhere.

use mediaflow_core::AssetId;
use mediaflow_media::image::Pixels;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tempfile::TempDir;

/// Scratch of all assets in work, bounded in bytes.
#[derive(Debug)]
pub(crate) struct Scratch {
    bytes_max: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    entries: HashMap<(AssetId, u32), (Arc<AssetScratch>, u64)>,
    clock: u64,
}

/// One asset's. Locks are held while something is made, so that two tasks never decode the same picture twice.
#[derive(Debug, Default)]
pub(crate) struct AssetScratch {
    original: Mutex<Option<Arc<Vec<u8>>>>,
    pixels: Mutex<Option<Arc<Pixels>>>,
    sizes: Mutex<Option<Arc<Vec<Arc<Pixels>>>>>,
    folder: Mutex<Option<Arc<TempDir>>>,
}

impl Scratch {
    pub(crate) fn new(bytes_max: u64) -> Self {
        Self {
            bytes_max,
            state: Mutex::default(),
        }
    }

    /// The asset's scratch, made where it is missing.
    pub(crate) fn of(&self, asset: AssetId, generation: u32) -> Arc<AssetScratch> {
        let mut state = lock(&self.state);
        state.clock += 1;
        let now = state.clock;
        let entry = state.entries.entry((asset, generation)).or_default();
        entry.1 = now;
        Arc::clone(&entry.0)
    }

    /// Forgets the longest unused entries until the rest fits. Called when a task has ended.
    pub(crate) fn trim(&self) {
        let mut state = lock(&self.state);
        let mut sizes: Vec<_> = state
            .entries
            .iter()
            .filter(|(_, (scratch, _))| Arc::strong_count(scratch) == 1)
            .map(|(key, (scratch, used))| (*used, *key, scratch.bytes()))
            .collect();
        sizes.sort_unstable_by_key(|(used, ..)| *used);
        let mut total: u64 = sizes.iter().map(|(.., bytes)| bytes).sum();
        for (_, key, bytes) in sizes {
            if total <= self.bytes_max && bytes > 0 {
                break;
            }
            state.entries.remove(&key);
            total -= bytes;
        }
    }

    /// Forgets an asset, because nothing more will be asked of it.
    pub(crate) fn forget(&self, asset: AssetId, generation: u32) {
        lock(&self.state).entries.remove(&(asset, generation));
    }
}

impl AssetScratch {
    /// The original's bytes, read where they are missing.
    pub(crate) fn original<E>(
        &self,
        read: impl FnOnce() -> Result<Vec<u8>, E>,
    ) -> Result<Arc<Vec<u8>>, E> {
        keep(&self.original, || read().map(Arc::new))
    }

    /// The folder with the copy of a film that has an index, made where it is missing.
    pub(crate) fn folder<E>(
        &self,
        make: impl FnOnce() -> Result<Arc<TempDir>, E>,
    ) -> Result<Arc<TempDir>, E> {
        keep(&self.folder, make)
    }

    /// The decoded first picture, decoded where it is missing.
    pub(crate) fn pixels<E>(
        &self,
        decode: impl FnOnce() -> Result<Pixels, E>,
    ) -> Result<Arc<Pixels>, E> {
        keep(&self.pixels, || decode().map(Arc::new))
    }

    /// All variants' pixels, in the recipe's order, made where they are missing.
    pub(crate) fn sizes<E>(
        &self,
        make: impl FnOnce() -> Result<Vec<Arc<Pixels>>, E>,
    ) -> Result<Arc<Vec<Arc<Pixels>>>, E> {
        keep(&self.sizes, || make().map(Arc::new))
    }

    fn bytes(&self) -> u64 {
        let original = lock(&self.original).as_ref().map_or(0, |o| o.len());
        let pixels = lock(&self.pixels).as_ref().map_or(0, |p| p.bytes());
        let sizes = lock(&self.sizes)
            .as_ref()
            .map_or(0, |all| all.iter().map(|p| p.bytes()).sum());
        (original + pixels + sizes) as u64
    }
}

fn keep<T: Clone, E>(
    place: &Mutex<Option<T>>,
    make: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    let mut place = lock(place);
    if let Some(kept) = &*place {
        return Ok(kept.clone());
    }
    let made = make()?;
    *place = Some(made.clone());
    Ok(made)
}

/// A panic while something was made leaves the place empty, which is a valid state.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
