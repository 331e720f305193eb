//! What the engine listens to instead of asking again and again.

use tokio::sync::watch;

/// Signals given after a commit. They are hints: whoever waits for them polls as well.
pub trait Signals: Send + Sync {
    /// Changes whenever tasks became ready; the number means nothing.
    fn on_ready(&self) -> watch::Receiver<u64>;

    /// The position of the newest committed event.
    fn on_event(&self) -> watch::Receiver<u64>;
}
