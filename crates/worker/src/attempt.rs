//! One attempt: what an operation may ask while it runs.

use crate::ops::failure::{from_blob, from_engine};
use crate::scratch::AssetScratch;
use crate::toolbox::Toolbox;
use mediaflow_core::{ErrorCode, Failure, Sha256};
use mediaflow_engine::Depot;
use mediaflow_engine::blob::{BlobKey, Blobs, Written};
use mediaflow_engine::store::{BlobRow, Claimed, NewBlob};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// Processor time of an attempt, in nanoseconds: of media threads and of ffmpeg.
#[derive(Default)]
pub(crate) struct Spent {
    /// For what it makes.
    pub(crate) making: Arc<AtomicU64>,
    /// For checking it.
    pub(crate) checking: Arc<AtomicU64>,
}

impl Spent {
    /// Seconds altogether, and of them those for checking.
    pub(crate) fn seconds(&self) -> (f64, f64) {
        let seconds = |ns: &AtomicU64| ns.load(Ordering::Relaxed) as f64 / 1e9;
        let checking = seconds(&self.checking);
        (seconds(&self.making) + checking, checking)
    }
}

/// A claimed task with everything that running it needs.
pub(crate) struct Attempt {
    pub(crate) task: Claimed,
    pub(crate) depot: Arc<dyn Depot>,
    /// The bytes, as far as this attempt reaches them.
    pub(crate) blobs: Blobs,
    pub(crate) toolbox: Arc<Toolbox>,
    pub(crate) scratch: Arc<AssetScratch>,
    pub(crate) lost: CancellationToken,
    pub(crate) deadline: Instant,
    /// Becomes true when the lease is lost: programs that run for it end.
    pub(crate) stopped: Arc<AtomicBool>,
    pub(crate) spent: Arc<Spent>,
    outputs: AtomicUsize,
}

impl Attempt {
    pub(crate) fn new(
        task: Claimed,
        depot: Arc<dyn Depot>,
        toolbox: Arc<Toolbox>,
        scratch: Arc<AssetScratch>,
        lost: CancellationToken,
        spent: Arc<Spent>,
    ) -> Self {
        let deadline = Instant::now() + task.recipe.steps[task.step].timeout();
        Self {
            blobs: depot.blobs(task.lease),
            task,
            depot,
            toolbox,
            scratch,
            lost,
            deadline,
            stopped: Arc::default(),
            spent,
            outputs: AtomicUsize::new(0),
        }
    }

    /// Whether going on makes sense. Asked between pieces of work that cannot be interrupted.
    ///
    /// # Errors
    /// When the lease is lost or the time is over.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if self.lost.is_cancelled() {
            return Err(Failure::transient(
                ErrorCode::FenceStale,
                "the lease was taken away",
            ));
        }
        if Instant::now() >= self.deadline {
            return Err(timed_out());
        }
        Ok(())
    }

    /// The original's bytes. Blocks.
    pub(crate) fn original(&self) -> Result<Arc<Vec<u8>>, Failure> {
        self.scratch.original(|| {
            let original = &self.task.original;
            let bytes = self.read(original)?;
            if bytes.len() as u64 != original.bytes {
                let message = format!(
                    "the original has {} bytes on disk, {} were recorded",
                    bytes.len(),
                    original.bytes
                );
                return Err(Failure::permanent(ErrorCode::StorageCorrupt, message));
            }
            // Bytes that came over a network are ours only when their digest is.
            if matches!(self.blobs, Blobs::Objects(_)) {
                self.check_original(Sha256::of(&bytes))?;
            }
            Ok(bytes)
        })
    }

    /// The bytes of a blob. Blocks.
    pub(crate) fn read(&self, blob: &BlobRow) -> Result<Vec<u8>, Failure> {
        let key: BlobKey = blob.key.parse().map_err(|e| from_blob(&e))?;
        let bytes = self.blobs.read_all(&key);
        bytes.map_err(|e| from_blob(&e))
    }

    /// # Errors
    /// When the original's bytes are not those that were recorded. They are read again by the next attempt, because
    /// they may have changed on their way.
    pub(crate) fn check_original(&self, found: Sha256) -> Result<(), Failure> {
        let expected = self.task.original.sha256;
        if found == expected {
            return Ok(());
        }
        let message = format!("the original's bytes have SHA-256 {found}, {expected} was recorded");
        Err(Failure::transient(ErrorCode::StorageCorrupt, message))
    }

    /// Writes outputs under keys of this attempt alone and makes them durable. Blocks.
    pub(crate) fn write(&self, outputs: &[Vec<u8>]) -> Result<Vec<NewBlob>, Failure> {
        self.check()?;
        let lease = self.task.lease;
        let first = self.outputs.fetch_add(outputs.len(), Ordering::Relaxed);
        let named: Vec<(BlobKey, &[u8])> = outputs
            .iter()
            .enumerate()
            .map(|(i, bytes)| {
                (
                    BlobKey::output(lease.task.0, lease.fence, first + i),
                    bytes.as_slice(),
                )
            })
            .collect();
        let written = self.blobs.put_all(&named).map_err(|e| from_blob(&e))?;
        Ok(written.into_iter().map(new_blob).collect())
    }

    /// Keeps a file that the attempt has in its scratch, under a key of its own. Blocks.
    pub(crate) fn keep(&self, file: &Path) -> Result<NewBlob, Failure> {
        self.check()?;
        let lease = self.task.lease;
        let number = self.outputs.fetch_add(1, Ordering::Relaxed);
        let key = BlobKey::output(lease.task.0, lease.fence, number);
        let kept = self.blobs.put_file(&key, file);
        kept.map(new_blob).map_err(|e| from_blob(&e))
    }

    /// The configured mark's bytes, as they were when the run began.
    pub(crate) async fn mark(&self) -> Result<Option<Vec<u8>>, Failure> {
        let Some(settings) = &self.task.settings.watermark else {
            return Ok(None);
        };
        let row = self.depot.mark(&self.task, settings.sha256).await;
        let row = row.map_err(|e| from_engine(e.into()))?;
        let row = row.ok_or_else(|| {
            Failure::permanent(ErrorCode::StorageCorrupt, "the watermark's bytes are gone")
        })?;
        let key: BlobKey = row.key.parse().map_err(|e| from_blob(&e))?;
        let bytes = self.blobs.get(&key).await.map_err(|e| from_blob(&e))?;
        Ok(Some(bytes.to_vec()))
    }
}

fn new_blob(written: Written) -> NewBlob {
    NewBlob {
        sha256: Sha256(written.sha256),
        bytes: written.bytes,
        key: written.key.as_str().to_owned(),
    }
}

/// What an attempt that took too long reports.
pub(crate) fn timed_out() -> Failure {
    Failure::transient(
        ErrorCode::Timeout,
        "the attempt took longer than its step allows",
    )
}
