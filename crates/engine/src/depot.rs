//! What a worker needs of everybody else. The engine gives it out of its own store and blobs; a worker on a network of its
//! own has it over gRPC. Neither the worker's loop nor an operation knows which.

use crate::{Cdn, Engine, EngineError};
use async_trait::async_trait;
use mediaflow_blob::Blobs;
use mediaflow_broker::Broker;
use mediaflow_core::{AssetId, ErrorCode, Sha256, TenantId, WorkerId};
use mediaflow_store::{
    BlobRow, Capacity, Claimed, Lease, Presence, RenditionRecord, Report, Reusable, StoreError,
    Track, Wish,
};
use serde_json::Value;
use std::time::Duration;
use tokio::sync::watch;
use uuid::Uuid;

/// Where tasks and bytes come from, and where what was made of them goes.
#[async_trait]
pub trait Depot: Send + Sync {
    /// Changes whenever tasks may have become ready. A hint: whoever waits for it polls as well.
    fn on_ready(&self) -> watch::Receiver<u64>;

    /// What wakes this worker beside that, where there is a broker and the worker reaches it.
    fn broker(&self) -> Option<&Broker>;

    /// As [`mediaflow_store::Work::claim`].
    async fn claim(&self, request: Uuid, capacity: &Capacity) -> Result<Vec<Claimed>, StoreError>;

    /// As [`mediaflow_store::Work::heartbeat`].
    async fn heartbeat(&self, leases: &[Lease], lease: Duration) -> Result<Vec<Lease>, StoreError>;

    /// As [`mediaflow_store::Work::report`].
    async fn report(
        &self,
        lease: Lease,
        report: Report,
        offer: Option<&Capacity>,
    ) -> Result<Vec<Claimed>, StoreError>;

    /// As [`mediaflow_store::Cluster::present`].
    async fn present(&self, worker: &Presence) -> Result<Wish, StoreError>;

    /// As [`mediaflow_store::Cluster::leave`].
    async fn leave(&self, worker: WorkerId) -> Result<(), StoreError>;

    /// Renditions of the task's tenant that were made by one of these derivations and can be recorded again.
    async fn reusable(
        &self,
        task: &Claimed,
        derivations: &[Sha256],
    ) -> Result<Vec<(Sha256, Reusable)>, StoreError>;

    /// Renditions that the task's generation has recorded so far.
    async fn recorded(&self, task: &Claimed)
    -> Result<Vec<(RenditionRecord, BlobRow)>, StoreError>;

    /// Streams that the task's generation has recorded so far.
    async fn made(&self, task: &Claimed)
    -> Result<Vec<(Track, BlobRow, Vec<BlobRow>)>, StoreError>;

    /// What earlier tasks of the generation made of the original for this one.
    async fn pieces(&self, task: &Claimed) -> Result<Vec<BlobRow>, StoreError>;

    /// What a step of the task's generation found out.
    async fn found(&self, task: &Claimed, operation: &str) -> Result<Option<Value>, StoreError>;

    /// The watermark with this digest, as it was pinned for the task's tenant.
    async fn mark(&self, task: &Claimed, sha256: Sha256) -> Result<Option<BlobRow>, StoreError>;

    /// Has the CDN fetch what the task's generation may show; answers how many addresses, or none without a CDN.
    async fn warm(&self, task: &Claimed) -> Result<Option<usize>, EngineError>;

    /// The bytes, as far as this attempt may reach them.
    fn blobs(&self, lease: Lease) -> Blobs;
}

/// The name that a watermark is pinned under.
pub(crate) fn mark_pin(sha256: Sha256) -> String {
    format!("watermark/{sha256}")
}

#[async_trait]
impl Depot for Engine {
    fn on_ready(&self) -> watch::Receiver<u64> {
        self.store().on_ready()
    }

    fn broker(&self) -> Option<&Broker> {
        self.broker()
    }

    async fn claim(&self, request: Uuid, capacity: &Capacity) -> Result<Vec<Claimed>, StoreError> {
        self.store().claim(request, capacity).await
    }

    async fn heartbeat(&self, leases: &[Lease], lease: Duration) -> Result<Vec<Lease>, StoreError> {
        self.store().heartbeat(leases, lease).await
    }

    async fn report(
        &self,
        lease: Lease,
        report: Report,
        offer: Option<&Capacity>,
    ) -> Result<Vec<Claimed>, StoreError> {
        self.store().report(lease, report, offer).await
    }

    async fn present(&self, worker: &Presence) -> Result<Wish, StoreError> {
        self.store().present(worker).await
    }

    async fn leave(&self, worker: WorkerId) -> Result<(), StoreError> {
        self.store().leave(worker).await
    }

    async fn reusable(
        &self,
        task: &Claimed,
        derivations: &[Sha256],
    ) -> Result<Vec<(Sha256, Reusable)>, StoreError> {
        self.store().reusable(task.tenant, derivations).await
    }

    async fn recorded(
        &self,
        task: &Claimed,
    ) -> Result<Vec<(RenditionRecord, BlobRow)>, StoreError> {
        self.store().recorded(task.asset, task.generation).await
    }

    async fn made(
        &self,
        task: &Claimed,
    ) -> Result<Vec<(Track, BlobRow, Vec<BlobRow>)>, StoreError> {
        self.store().made(task.asset, task.generation).await
    }

    async fn pieces(&self, task: &Claimed) -> Result<Vec<BlobRow>, StoreError> {
        self.store().pieces(task.asset, task.generation).await
    }

    async fn found(&self, task: &Claimed, operation: &str) -> Result<Option<Value>, StoreError> {
        self.store()
            .found(task.asset, Some(task.generation), operation)
            .await
    }

    async fn mark(&self, task: &Claimed, sha256: Sha256) -> Result<Option<BlobRow>, StoreError> {
        self.pinned_mark(task.tenant, sha256).await
    }

    async fn warm(&self, task: &Claimed) -> Result<Option<usize>, EngineError> {
        self.warm_generation(task.asset, task.generation).await
    }

    fn blobs(&self, _: Lease) -> Blobs {
        self.blobs().clone()
    }
}

impl Engine {
    /// The watermark with this digest, as it was pinned.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn pinned_mark(
        &self,
        tenant: TenantId,
        sha256: Sha256,
    ) -> Result<Option<BlobRow>, StoreError> {
        self.store().pinned(tenant, &mark_pin(sha256)).await
    }

    /// Has the CDN fetch what a generation may show; answers how many addresses, or none without a CDN.
    ///
    /// # Errors
    /// `distribute.failed` with the first address that it did not take.
    pub async fn warm_generation(
        &self,
        asset: AssetId,
        generation: u32,
    ) -> Result<Option<usize>, EngineError> {
        if matches!(self.cdn(), Cdn::None) {
            return Ok(None);
        }
        // A later generation shows nothing before it is published, to a CDN neither.
        let visible = self.store().renditions(asset).await?;
        let paths: Vec<String> = visible
            .iter()
            .filter(|s| s.rendition.generation == generation)
            .map(|s| {
                let (profile, format) = (&s.rendition.profile, s.rendition.format);
                format!(
                    "/media/{asset}/{}/{profile}.{}",
                    s.rendition.sha256,
                    format.extension()
                )
            })
            .collect();
        let warmed = self.cdn().warm(&paths).await;
        warmed.map_err(|e| EngineError::new(ErrorCode::DistributeFailed, e.to_string()))?;
        Ok(Some(paths.len()))
    }
}
