//! How many imports by address this process is at, and how its tries ended: for the metrics.

use mediaflow_store::ImportNext;
use std::sync::atomic::{AtomicU64, Ordering};

/// The numbers of one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ImportCounts {
    /// At work.
    pub running: u64,
    /// Tries after which it was an asset.
    pub done: u64,
    /// Tries after which another one follows.
    pub again: u64,
    /// Imports that were given up.
    pub failed: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Tally {
    running: AtomicU64,
    done: AtomicU64,
    again: AtomicU64,
    failed: AtomicU64,
}

impl Tally {
    pub(crate) fn running(&self, number: usize) {
        self.running.store(number as u64, Ordering::Relaxed);
    }

    pub(super) fn ended(&self, next: ImportNext) {
        let of = match next {
            ImportNext::Done(_) => &self.done,
            ImportNext::Again(_) => &self.again,
            ImportNext::Failed => &self.failed,
        };
        of.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn counts(&self) -> ImportCounts {
        let now = |of: &AtomicU64| of.load(Ordering::Relaxed);
        ImportCounts {
            running: now(&self.running),
            done: now(&self.done),
            again: now(&self.again),
            failed: now(&self.failed),
        }
    }
}
