//! What a transaction is going to write, gathered while it decides, for any number of assets.

use super::Session;
use crate::Environment;
use crate::observe;
use crate::paths::Paths;
use mediaflow_core::operation::{Cost, Format};
use mediaflow_core::{
    AssetId, BlobId, Failure, Priority, Run, Sha256, TaskId, TaskState, TenantId, Timestamp,
};
use std::sync::Arc;
use tokio_postgres::types::ToSql;

/// A value bound to a statement that is sent later.
pub(super) type Value = Box<dyn ToSql + Sync + Send>;

/// Values to bind, each in a box.
macro_rules! values {
    ($($value:expr),* $(,)?) => { vec![$(Box::new($value) as $crate::postgres::changes::Value),*] };
}
pub(super) use values;

/// A statement that only rare reports need. These run in their order, after all tasks in hand are written.
pub(super) struct Call {
    pub(super) sql: &'static str,
    pub(super) values: Vec<Value>,
}

/// A fact for the history.
pub(super) struct NewEvent {
    pub(super) tenant: TenantId,
    pub(super) asset: AssetId,
    pub(super) sequence: u64,
    pub(super) id: uuid::Uuid,
    pub(super) kind: &'static str,
    pub(super) data: String,
}

/// An attempt that is over.
pub(super) struct Ended {
    pub(super) task: TaskId,
    pub(super) fence: u64,
    pub(super) outcome: &'static str,
    pub(super) failure: Option<Failure>,
}

/// A task row.
pub(super) struct NewTask {
    pub(super) id: uuid::Uuid,
    pub(super) tenant: TenantId,
    pub(super) asset: AssetId,
    pub(super) generation: u32,
    pub(super) step: usize,
    pub(super) number: u32,
    pub(super) operation: String,
    pub(super) queue: &'static str,
    pub(super) lane: u8,
    pub(super) state: TaskState,
    pub(super) cost: Cost,
    pub(super) priority: Priority,
    pub(super) needs: String,
}

/// A rendition row, new or in the place of another.
pub(super) struct Recorded {
    pub(super) asset: AssetId,
    pub(super) generation: u32,
    pub(super) profile: String,
    pub(super) format: Format,
    pub(super) tenant: TenantId,
    pub(super) dimensions: (u32, u32),
    pub(super) animated: bool,
    pub(super) derivation: Sha256,
    pub(super) blob: BlobId,
}

/// Whether what readers have seen goes away, or only what caches hold of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Withdrawal {
    /// Rows of generations before this one go.
    Before(u32),
    /// All rows go.
    All,
    /// No row goes.
    Hide,
}

/// A new run's row.
pub(super) struct NewRun {
    pub(super) asset: AssetId,
    pub(super) run: Run,
    pub(super) sequence: u64,
    pub(super) recipe: Sha256,
    pub(super) settings: Sha256,
    pub(super) watermark: bool,
    pub(super) focus: Option<String>,
}

/// One step of one run.
pub(super) type StepOf = (AssetId, u32, usize);

/// All that is to be written.
pub(super) struct Changes {
    pub(super) now: Timestamp,
    pub(super) env: Arc<dyn Environment>,
    pub(super) hands: Vec<super::hand::Hand>,
    pub(super) ended: Vec<Ended>,
    pub(super) renditions: Vec<Recorded>,
    /// What operations found out: asset, operation, generation, JSON.
    pub(super) facts: Vec<(AssetId, String, u32, String)>,
    pub(super) orphans: Vec<BlobId>,
    pub(super) purges: Vec<(AssetId, Paths)>,
    /// Of what is published or was the first run, with what is published.
    pub(super) withdrawals: Vec<(AssetId, u32, Withdrawal)>,
    pub(super) calls: Vec<Call>,
    /// Assets whose words have changed.
    pub(super) reindexed: Vec<AssetId>,
    pub(super) runs: Vec<NewRun>,
    pub(super) tasks: Vec<NewTask>,
    pub(super) events: Vec<NewEvent>,
    /// The same, for whoever observes.
    pub(super) news: Vec<observe::Recorded>,
    /// Steps whose one task succeeds without a worker.
    pub(super) by_core: Vec<StepOf>,
    /// Steps whose pending tasks become ready.
    pub(super) released: Vec<StepOf>,
    /// Single tasks that become ready.
    pub(super) queued: Vec<TaskId>,
    /// Tasks that were given back, and are ready with their own rows.
    pub(super) given_back: Vec<TaskId>,
}

impl Changes {
    pub(super) fn new(s: &Session) -> Self {
        Self::at(s.now, Arc::clone(&s.core.env))
    }

    fn at(now: Timestamp, env: Arc<dyn Environment>) -> Self {
        Self {
            now,
            env,
            hands: Vec::new(),
            ended: Vec::new(),
            renditions: Vec::new(),
            facts: Vec::new(),
            orphans: Vec::new(),
            purges: Vec::new(),
            withdrawals: Vec::new(),
            calls: Vec::new(),
            reindexed: Vec::new(),
            runs: Vec::new(),
            tasks: Vec::new(),
            events: Vec::new(),
            news: Vec::new(),
            by_core: Vec::new(),
            released: Vec::new(),
            queued: Vec::new(),
            given_back: Vec::new(),
        }
    }

    /// An empty one for a part that may yet fail.
    pub(super) fn part(&self) -> Self {
        Self::at(self.now, Arc::clone(&self.env))
    }

    /// Takes over what a part wants.
    pub(super) fn append(&mut self, part: Self) {
        self.hands.extend(part.hands);
        self.ended.extend(part.ended);
        self.renditions.extend(part.renditions);
        self.facts.extend(part.facts);
        self.orphans.extend(part.orphans);
        self.purges.extend(part.purges);
        self.withdrawals.extend(part.withdrawals);
        self.calls.extend(part.calls);
        self.reindexed.extend(part.reindexed);
        self.runs.extend(part.runs);
        self.tasks.extend(part.tasks);
        self.events.extend(part.events);
        self.news.extend(part.news);
        self.by_core.extend(part.by_core);
        self.released.extend(part.released);
        self.queued.extend(part.queued);
        self.given_back.extend(part.given_back);
    }

    /// Whether it can be written together with other such changes of the same asset, in any order.
    pub(super) fn commutes(&self) -> bool {
        self.withdrawals.is_empty() && self.calls.is_empty() && self.tasks.is_empty()
    }

    pub(super) fn call(&mut self, sql: &'static str, values: Vec<Value>) {
        self.calls.push(Call { sql, values });
    }
}
