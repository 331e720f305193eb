//! Verbs of processes that share a store: who works, and what operators want of them.

use crate::StoreError;
use async_trait::async_trait;
use mediaflow_core::{AssetId, Queue, TaskId, Timestamp, WorkerId};
use std::time::Duration;

/// How long a worker is remembered that says nothing.
pub(crate) const REMEMBERED: Duration = Duration::from_secs(3600);

/// Three times as long as workers leave between two signs of life: who says nothing for longer counts as gone.
pub(crate) const SILENCE_MAX: Duration = Duration::from_secs(15);

/// Whether a worker that was heard of then lives now.
pub(crate) fn is_living(seen_at: Timestamp, now: Timestamp) -> bool {
    now.since(seen_at) <= SILENCE_MAX
}

/// What operators want of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Wish {
    /// That it works.
    #[default]
    Work,
    /// That it claims nothing more, ends what it has, and waits.
    Drain,
    /// That it does so and its process ends.
    Stop,
}

impl Wish {
    /// The name in databases.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Work => "work",
            Self::Drain => "drain",
            Self::Stop => "stop",
        }
    }

    /// The wish of that name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Work, Self::Drain, Self::Stop]
            .into_iter()
            .find(|w| w.as_str() == name)
    }
}

/// A worker as it tells of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence {
    /// New with each start.
    pub id: WorkerId,
    /// For people: `host:pid`, as each attempt records it.
    pub name: String,
    /// Of its program.
    pub version: String,
    /// What it serves.
    pub queues: Vec<Queue>,
    /// Media tasks that it takes at the same time.
    pub cpu: u32,
    /// Tasks that wait for somebody else that it takes at the same time.
    pub network: u32,
    /// What it can do; sorted.
    pub capabilities: Vec<String>,
    /// Memory that it has for tasks, in bytes.
    pub memory_bytes: u64,
    /// When it began.
    pub started_at: Timestamp,
}

/// A worker that was heard of lately.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerRecord {
    /// What it told.
    pub presence: Presence,
    /// What operators want of it.
    pub wish: Wish,
    /// When it told.
    pub seen_at: Timestamp,
    /// Whether it said nothing since for so long that it counts as gone, by the store's clock.
    pub is_gone: bool,
    /// What it works on, the longest first.
    pub tasks: Vec<RunningTask>,
}

/// A task that a worker holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningTask {
    /// Which.
    pub id: TaskId,
    /// Whose.
    pub asset: AssetId,
    /// What it does.
    pub operation: String,
    /// Since when.
    pub started_at: Timestamp,
}

/// Verbs of processes that share a store.
#[async_trait]
pub trait Cluster: Send + Sync {
    /// Takes or keeps a duty that one process at a time has, for `time` from now. False while another one has it.
    async fn lead(&self, duty: &str, process: WorkerId, time: Duration)
    -> Result<bool, StoreError>;

    /// A worker says that it is there, and hears what is wanted of it.
    async fn present(&self, worker: &Presence) -> Result<Wish, StoreError>;

    /// A worker ends and is listed no more.
    async fn leave(&self, worker: WorkerId) -> Result<(), StoreError>;

    /// Those that said something in the last hour, by name.
    async fn workers(&self) -> Result<Vec<WorkerRecord>, StoreError>;

    /// Those that live and are to work.
    async fn at_work(&self) -> Result<Vec<Presence>, StoreError>;

    /// Tells a worker what is wanted of it; it hears that when it next says that it is there.
    /// Answers whether there is such a worker.
    async fn wish(&self, worker: WorkerId, wish: Wish) -> Result<bool, StoreError>;
}
