//! `[worker]`: what this process takes on.

use mediaflow_core::Queue;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// `[worker]`: what this process takes on at the same time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WorkerConfig {
    /// The queues that this process serves: `image`, `video`, `network` (classifiers and CDNs).
    #[schemars(with = "Vec<String>")]
    pub queues: Vec<Queue>,
    /// What this process can do beside what it finds out itself (what its ffmpeg encodes: `hevc`, `vp9`, `av1`), for example
    /// `gpu`. Steps of recipes name what they need in `requires`, and go only where that is.
    pub capabilities: Vec<String>,
    /// Media tasks at the same time; 0 takes one for each processor.
    pub cpu: u32,
    /// Memory for media tasks, in bytes. A task is started only when its estimate fits; one whose estimate
    /// exceeds all of it fails with `limit.memory`.
    pub memory_bytes: u64,
    /// Of that memory, what may hold originals and decoded pixels between the tasks of one asset.
    pub scratch_bytes: u64,
    /// Disk for originals of films and sound that are fetched from an object store, and for copies of films whose
    /// containers have no index, in bytes. Of films only parts are fetched where that can be, and one film keeps at most
    /// a 64th of this for its next task; the others are fetched whole, and copied once while they fit, each copy as large
    /// as its original. Those that tasks are using may exceed it. In the folder `scratch` of the data folder.
    pub scratch_disk_bytes: u64,
    /// Tasks that wait for somebody else (classifiers, CDNs) at the same time.
    pub network: u32,
    /// How long a lease lasts without a heartbeat, in seconds; heartbeats come three times as often.
    pub lease_s: u64,
    /// How often ready tasks are looked for when nothing wakes the worker, in milliseconds.
    pub poll_ms: u64,
}

impl Default for WorkerConfig {
    fn default() -> Self {
        Self {
            queues: Queue::ALL.to_vec(),
            capabilities: Vec::new(),
            cpu: 0,
            memory_bytes: 2 << 30,
            scratch_bytes: 256 << 20,
            scratch_disk_bytes: 16 << 30,
            network: 16,
            lease_s: 30,
            poll_ms: 1000,
        }
    }
}

impl WorkerConfig {
    /// # Errors
    /// Names the setting and what it should be.
    pub fn check(&self) -> Result<(), String> {
        if self.queues.is_empty() {
            return Err("worker.queues must be image, video, network or some of them".into());
        }
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
        let is_bad = |name: &&String| name.is_empty() || !name.chars().all(is_name);
        if let Some(bad) = self.capabilities.iter().find(is_bad) {
            return Err(format!(
                "worker.capabilities has {bad:?}; each must be of lower-case letters, digits, `-` and `_`"
            ));
        }
        if self.memory_bytes < 128 << 20 {
            return Err("worker.memory_bytes must be at least 134217728 (128 MiB)".into());
        }
        if self.scratch_bytes > self.memory_bytes / 2 {
            return Err("worker.scratch_bytes must be at most half of worker.memory_bytes".into());
        }
        if !(3..=3600).contains(&self.lease_s) {
            return Err("worker.lease_s must be 3 to 3600".into());
        }
        if !(10..=60_000).contains(&self.poll_ms) {
            return Err("worker.poll_ms must be 10 to 60000".into());
        }
        if self.network == 0 {
            return Err("worker.network must be at least 1".into());
        }
        Ok(())
    }

    /// Media tasks at the same time.
    pub fn cpu_slots(&self) -> u32 {
        if self.cpu > 0 {
            return self.cpu;
        }
        processors()
    }

    pub(crate) fn lease(&self) -> Duration {
        Duration::from_secs(self.lease_s)
    }
}

/// Processors of this machine, or what a quota leaves of them.
pub(crate) fn processors() -> u32 {
    std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(1))
}
