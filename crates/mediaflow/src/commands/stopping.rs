//! How a server stops: at a signal or an operator's wish, with time for what runs.

use crate::fault::Fault;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long work and requests that run may go on after the signal to stop.
pub(super) const DRAIN: Duration = Duration::from_secs(10);

/// SIGTERM and SIGINT: the first stops, the second ends at once.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(super) fn listen() -> Result<Self, Fault> {
        let hear = |kind| signal(kind).map_err(|e| Fault::failed(format!("signals: {e}")));
        Ok(Self {
            terminate: hear(SignalKind::terminate())?,
            interrupt: hear(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Returns with the first; from then on the next one ends the process.
    async fn first(mut self) {
        self.next().await;
        tokio::spawn(async move {
            self.next().await;
            tracing::warn!("a second signal: ending at once; nothing that was accepted is lost");
            std::process::exit(130);
        });
    }
}

/// Waits until this process is to stop, says so to everything that has `stopping`, and lets requests end.
pub(super) async fn until_stopped(
    signals: Signals,
    stopping: &CancellationToken,
    http: JoinHandle<()>,
) {
    tokio::select! {
        () = signals.first() => {}
        // An operator wants this worker's process to end.
        () = stopping.cancelled() => {}
    }
    tracing::info!(
        "stopping: no new work; what runs may end within {} s",
        DRAIN.as_secs()
    );
    stopping.cancel();
    if tokio::time::timeout(DRAIN, http).await.is_err() {
        tracing::warn!("some connections did not end in time and are dropped");
    }
}
