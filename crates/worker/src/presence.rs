//! Tells the store that this worker is there, and hears what operators want of it.

use mediaflow_engine::Depot;
use mediaflow_engine::store::{Presence, Wish};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How often. Who says nothing for three times as long counts as gone.
const PAUSE: Duration = Duration::from_secs(5);

/// Tells until `end`, then says farewell. `stop` is cancelled when operators want the process to end.
pub(crate) async fn tell(
    depot: Arc<dyn Depot>,
    presence: Presence,
    wishes: watch::Sender<Wish>,
    stop: CancellationToken,
    end: CancellationToken,
) {
    loop {
        match depot.present(&presence).await {
            Ok(wish) => {
                let is_new = wishes.send_if_modified(|w| std::mem::replace(w, wish) != wish);
                if is_new {
                    tracing::info!(wish = wish.as_str(), "an operator wants something");
                }
                if wish == Wish::Stop {
                    stop.cancel();
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the store did not hear that this worker is there")
            }
        }
        tokio::select! {
            () = end.cancelled() => break,
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
    if let Err(error) = depot.leave(presence.id).await {
        tracing::warn!(%error, "the store did not hear that this worker ends");
    }
}
