//! What the tasks of one asset share: the original's bytes, its decoded pixels and the sizes made of them in memory,
//! the copy of a film that has an index and what was fetched of an original in an object store on the disk. A cache in every sense: each task can make all of it anew, anywhere.

use crate::partial::Partial;
use mediaflow_core::AssetId;
use mediaflow_media::image::Pixels;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tempfile::TempDir;

/// Of the disk, what one film that is fetched in parts may take before its next task begins it anew.
const PARTIAL_SHARE: u64 = 64;

/// Scratch of all assets in work, bounded in bytes.
#[derive(Debug)]
pub(crate) struct Scratch {
    bytes_max: u64,
    disk_bytes_max: u64,
    state: Mutex<State>,
    /// What the last trimming left, in memory and on disk.
    left: [AtomicU64; 2],
}

#[derive(Debug, Default)]
struct State {
    entries: HashMap<(AssetId, u32), (Arc<AssetScratch>, u64)>,
    clock: u64,
}

/// One asset's. Locks are held while something is made, so that two tasks never decode the same picture twice.
#[derive(Debug)]
pub(crate) struct AssetScratch {
    partial_bytes_max: u64,
    original: Mutex<Option<Arc<Vec<u8>>>>,
    pixels: Mutex<Option<Arc<Pixels>>>,
    sizes: Mutex<Option<Arc<Vec<Arc<Pixels>>>>>,
    copy: Mutex<Option<Arc<TempDir>>>,
    copied_bytes: AtomicU64,
    fetched: Mutex<Option<Arc<TempDir>>>,
    fetched_bytes: AtomicU64,
    partials: [InParts; 2],
}

/// A file of which only parts are here.
#[derive(Debug, Default)]
struct InParts {
    file: Mutex<Option<Arc<Partial>>>,
    only_whole: AtomicBool,
}

/// Which file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// The upload.
    Original,
    /// The copy of it that has an index.
    Copy,
}

/// What lies on the disk of one asset, in parts and whole.
type Files = ([Option<Arc<Partial>>; 2], [Option<Arc<TempDir>>; 2]);

impl Scratch {
    pub(crate) fn new(bytes_max: u64, disk_bytes_max: u64) -> Self {
        Self {
            bytes_max,
            disk_bytes_max,
            state: Mutex::default(),
            left: Default::default(),
        }
    }

    /// Bytes in memory that no running task uses, and bytes on disk, as of the last trimming.
    pub(crate) fn held(&self) -> (u64, u64) {
        let [memory, disk] = self.left.each_ref().map(|l| l.load(Ordering::Relaxed));
        (memory, disk)
    }

    /// The asset's scratch, made where it is missing.
    pub(crate) fn of(&self, asset: AssetId, generation: u32) -> Arc<AssetScratch> {
        let mut state = lock(&self.state);
        state.clock += 1;
        let now = state.clock;
        let share = self.disk_bytes_max / PARTIAL_SHARE;
        let make = || (Arc::new(AssetScratch::new(share)), 0);
        let entry = state
            .entries
            .entry((asset, generation))
            .or_insert_with(make);
        entry.1 = now;
        Arc::clone(&entry.0)
    }

    /// Forgets what was not used for longest until the rest fits, but nothing that a task is using. Called when a
    /// task has ended.
    pub(crate) fn trim(&self) {
        // Files are removed when nobody waits for the lock any more.
        let mut removed = Vec::new();
        let mut state = lock(&self.state);
        let mut unused: Vec<_> = state
            .entries
            .iter()
            .filter(|(_, (scratch, _))| Arc::strong_count(scratch) == 1)
            .map(|(key, (scratch, used))| (*used, *key, Arc::clone(scratch)))
            .collect();
        unused.sort_unstable_by_key(|(used, ..)| *used);
        let mut held: u64 = unused.iter().map(|(.., scratch)| scratch.bytes()).sum();
        let entries = state.entries.values();
        let mut on_disk: u64 = entries.map(|(scratch, _)| scratch.disk_bytes()).sum();
        for (_, key, scratch) in unused {
            if held > self.bytes_max {
                held -= scratch.bytes();
                scratch.forget_pictures();
            }
            if on_disk > self.disk_bytes_max {
                on_disk -= scratch.disk_bytes();
                removed.push(scratch.take_files());
            }
            if scratch.bytes() == 0 && scratch.disk_bytes() == 0 {
                state.entries.remove(&key);
            }
        }
        drop(state);
        for (left, bytes) in self.left.iter().zip([held, on_disk]) {
            left.store(bytes, Ordering::Relaxed);
        }
    }

    /// Forgets an asset, because nothing more will be asked of it.
    pub(crate) fn forget(&self, asset: AssetId, generation: u32) {
        lock(&self.state).entries.remove(&(asset, generation));
    }
}

impl AssetScratch {
    fn new(partial_bytes_max: u64) -> Self {
        Self {
            partial_bytes_max,
            original: Mutex::default(),
            pixels: Mutex::default(),
            sizes: Mutex::default(),
            copy: Mutex::default(),
            copied_bytes: AtomicU64::default(),
            fetched: Mutex::default(),
            fetched_bytes: AtomicU64::default(),
            partials: Default::default(),
        }
    }

    /// The file as one that has only parts of it, begun where there is none and where the one that is there has
    /// grown past its share: who uses that keeps it until then. Nothing where it can only be used whole.
    pub(crate) fn partial<E>(
        &self,
        whose: Whose,
        begin: impl FnOnce() -> Result<Option<Partial>, E>,
    ) -> Result<Option<Arc<Partial>>, E> {
        let InParts { file, only_whole } = &self.partials[whose as usize];
        let mut place = lock(file);
        if only_whole.load(Ordering::Relaxed) {
            return Ok(None);
        }
        if let Some(kept) = &*place
            && kept.bytes() <= self.partial_bytes_max
        {
            return Ok(Some(Arc::clone(kept)));
        }
        *place = begin()?.map(Arc::new);
        if place.is_none() {
            self.use_whole(whose);
        }
        Ok(place.clone())
    }

    /// Parts of the file are not enough, or there is no telling them.
    pub(crate) fn use_whole(&self, whose: Whose) {
        let only_whole = &self.partials[whose as usize].only_whole;
        only_whole.store(true, Ordering::Relaxed);
    }

    /// The original's bytes, read where they are missing.
    pub(crate) fn original<E>(
        &self,
        read: impl FnOnce() -> Result<Vec<u8>, E>,
    ) -> Result<Arc<Vec<u8>>, E> {
        keep(&self.original, || read().map(Arc::new))
    }

    /// The folder with the copy of a film that has an index, made where it is missing; `make` also tells its bytes.
    pub(crate) fn copy<E>(
        &self,
        make: impl FnOnce() -> Result<(Arc<TempDir>, u64), E>,
    ) -> Result<Arc<TempDir>, E> {
        keep(&self.copy, || {
            let (folder, bytes) = make()?;
            self.copied_bytes.store(bytes, Ordering::Relaxed);
            Ok(folder)
        })
    }

    /// The folder with the original as a file, fetched where it is missing; `fetch` also tells its bytes.
    pub(crate) fn fetched<E>(
        &self,
        fetch: impl FnOnce() -> Result<(Arc<TempDir>, u64), E>,
    ) -> Result<Arc<TempDir>, E> {
        keep(&self.fetched, || {
            let (folder, bytes) = fetch()?;
            self.fetched_bytes.store(bytes, Ordering::Relaxed);
            Ok(folder)
        })
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

    fn disk_bytes(&self) -> u64 {
        // Who holds it is only beginning one, and others shall not wait for that.
        let bytes = |parts: &InParts| Some(parts.file.try_lock().ok()?.as_ref()?.bytes());
        let partial: u64 = self.partials.iter().filter_map(bytes).sum();
        let whole = [&self.copied_bytes, &self.fetched_bytes];
        partial + whole.map(|b| b.load(Ordering::Relaxed)).iter().sum::<u64>()
    }

    fn take_files(&self) -> Files {
        self.copied_bytes.store(0, Ordering::Relaxed);
        self.fetched_bytes.store(0, Ordering::Relaxed);
        let whole = [lock(&self.copy).take(), lock(&self.fetched).take()];
        let partials = self.partials.each_ref();
        (partials.map(|parts| lock(&parts.file).take()), whole)
    }

    fn forget_pictures(&self) {
        *lock(&self.original) = None;
        *lock(&self.pixels) = None;
        *lock(&self.sizes) = None;
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use std::convert::Infallible;
    use uuid::Uuid;

    fn copied(scratch: &AssetScratch, bytes: u64) -> std::path::PathBuf {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let kept = scratch.copy(|| Ok::<_, Infallible>((folder, bytes)));
        kept.unwrap().path().to_owned()
    }

    #[test]
    fn copies_stay_while_they_fit_and_go_by_their_last_use_but_never_while_in_use() {
        let scratch = Scratch::new(0, 100);
        let ids: Vec<AssetId> = (0..4).map(|_| AssetId(Uuid::new_v4())).collect();
        let folders: Vec<_> = ids[..3]
            .iter()
            .map(|id| copied(&scratch.of(*id, 1), 40))
            .collect();
        let first = scratch.of(ids[0], 1);
        assert_eq!(copied(&first, 40), folders[0], "it is there already");
        drop(first);
        scratch.trim();
        let there = || folders.iter().map(|f| f.exists()).collect::<Vec<_>>();
        assert_eq!(there(), [true, false, true], "the second was used first");

        let used = [scratch.of(ids[0], 1), scratch.of(ids[2], 1)];
        let large = copied(&scratch.of(ids[3], 1), 500);
        scratch.trim();
        assert_eq!(there(), [true, false, true]);
        assert!(!large.exists(), "what is larger than all goes at once");
        drop(used);
        scratch.forget(ids[0], 1);
        assert_eq!(there(), [false, false, true]);
    }
}
