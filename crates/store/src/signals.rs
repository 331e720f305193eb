//! What the engine listens to instead of asking again and again.

use mediaflow_core::{AssetId, Queue, TaskId};
use tokio::sync::{broadcast, watch};

/// Waiting tasks that are kept for those who have not looked yet. Who looks too late misses some.
pub(crate) const WAITING_MAX: usize = 1024;

/// A task that can be claimed, and where it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// Which.
    pub task: TaskId,
    /// Whose.
    pub asset: AssetId,
    /// The kind of worker that it waits for.
    pub queue: Queue,
    /// Its lane: 0 is the most urgent.
    pub lane: u8,
}

/// Signals given after a commit. They are hints: whoever waits for them polls as well.
pub trait Signals: Send + Sync {
    /// Changes whenever tasks became ready; the number means nothing.
    fn on_ready(&self) -> watch::Receiver<u64>;

    /// Each task that became ready by a verb of this process and was not given to anybody in the same transaction.
    fn on_waiting(&self) -> broadcast::Receiver<Waiting>;

    /// The position of the newest committed event.
    fn on_event(&self) -> watch::Receiver<u64>;
}
