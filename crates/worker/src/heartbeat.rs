//! Keeps leases alive, and tells attempts whose lease is lost to stop.

use mediaflow_engine::Depot;
use mediaflow_engine::metrics::Metrics;
use mediaflow_engine::store::Lease;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The leases that this worker holds.
#[derive(Default)]
pub(crate) struct Leases(Mutex<HashMap<Lease, CancellationToken>>);

impl Leases {
    /// Holds a lease until the answer is dropped; its token is cancelled when the lease is lost.
    pub(crate) fn hold(self: &Arc<Self>, lease: Lease) -> Held {
        let lost = CancellationToken::new();
        self.lock().insert(lease, lost.clone());
        Held {
            leases: Arc::clone(self),
            lease,
            lost,
        }
    }

    fn all(&self) -> Vec<Lease> {
        self.lock().keys().copied().collect()
    }

    /// How many.
    pub(crate) fn count(&self) -> u64 {
        self.lock().len() as u64
    }

    fn lose(&self, lost: &[Lease]) {
        let held = self.lock();
        for token in lost.iter().filter_map(|lease| held.get(lease)) {
            token.cancel();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Lease, CancellationToken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A held lease.
pub(crate) struct Held {
    leases: Arc<Leases>,
    pub(crate) lease: Lease,
    pub(crate) lost: CancellationToken,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.leases.lock().remove(&self.lease);
    }
}

/// Beats until stopped. An error is no reason to stop the work: the store decides when a lease is over.
pub(crate) async fn beat(
    depot: Arc<dyn Depot>,
    leases: Arc<Leases>,
    lease: Duration,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(lease / 3) => {}
        }
        let held = leases.all();
        if held.is_empty() {
            continue;
        }
        match depot.heartbeat(&held, lease).await {
            Ok(lost) => {
                metrics.leases_lost(lost.len());
                leases.lose(&lost);
            }
            Err(error) => {
                metrics.heartbeat_failed();
                tracing::warn!(%error, "a heartbeat was not taken");
            }
        }
    }
}
