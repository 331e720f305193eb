//! One world: everybody in it, what they do when, and the loop that lets it happen in order of virtual time.

use crate::bytes::Bytes;
use crate::caches::{Cdn, Sink};
use crate::clock::Clock;
use crate::database::{Broken, Database};
use crate::plan::{Fault, Plan};
use crate::random::Random;
use crate::run::{Outcome, Violation};
use crate::trace::Trace;
use crate::trouble::Trouble;
use crate::workers::Worker;
use mediaflow_core::{AssetId, Sha256, TaskId, TenantId};
use mediaflow_store::{Signals as _, SqliteStore};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use uuid::Uuid;

/// Milliseconds.
pub(crate) const SECOND: i64 = 1000;

/// What happens at a moment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    /// Somebody sends a file: its bytes arrive.
    Upload(usize),
    /// They are recorded.
    Record(usize, String),
    /// A worker looks for work. The second number says which process that was, as in all of these.
    Poll(usize, u32),
    /// A wake-up arrives.
    Bell(usize),
    /// An attempt's work is done.
    Finish(usize, u32, TaskId, u64),
    /// An attempt's end is reported, again.
    Report(usize, u32, TaskId, u64),
    /// A worker says which leases it holds.
    Beat(usize, u32),
    /// A worker's process begins.
    Start(usize),
    Sweep,
    Collect,
    Purge,
    Relay,
    Expire,
    Prune,
    /// Somebody looks at an asset.
    Read,
    /// Somebody wants something of an asset.
    Operate,
    /// Something happens to the clock or to the whole process.
    Upset,
    /// Nothing goes wrong any more.
    Calm,
}

/// A file that somebody sends.
#[derive(Debug)]
pub(crate) struct Upload {
    pub(crate) tenant: TenantId,
    pub(crate) name: String,
    pub(crate) content: String,
    pub(crate) key: Option<String>,
    pub(crate) recipe: usize,
    pub(crate) settings: mediaflow_core::RunSettings,
    pub(crate) poison: bool,
    pub(crate) tries: u32,
    /// What its sender was told.
    pub(crate) acknowledged: Vec<AssetId>,
    /// When that was first.
    pub(crate) acknowledged_at: Option<i64>,
}

pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) now: i64,
    pub(crate) random: Random,
    pub(crate) clock: Arc<Clock>,
    pub(crate) trouble: Trouble,
    pub(crate) db: Database,
    pub(crate) bytes: Bytes,
    pub(crate) cdn: Cdn,
    pub(crate) sink: Sink,
    /// Where the walk over assets whose old tasks can go is.
    pub(crate) pruned: Option<AssetId>,
    pub(crate) workers: Vec<Worker>,
    pub(crate) uploads: Vec<Upload>,
    /// What people were told exists, and what its bytes are.
    pub(crate) assets: Vec<(AssetId, TenantId, Sha256)>,
    /// Whether people still want something.
    pub(crate) wishes: u32,
    pub(crate) happened: u64,
    /// Uploads that are under way, or will be.
    pub(crate) arriving: u32,
    /// Whether all work is done, and only what follows from it is left.
    pub(crate) settling: bool,
    /// How long a ready task had to wait for a worker, longest, in milliseconds.
    pub(crate) waited_max: i64,
    /// The store's own signal, which the broker carries to workers.
    ready: tokio::sync::watch::Receiver<u64>,
    heap: BinaryHeap<Reverse<(i64, u64, Event)>>,
    order: u64,
}

impl World {
    pub(crate) fn new(
        plan: Plan,
        store: Arc<SqliteStore>,
        clock: Arc<Clock>,
        broken: Broken,
        whole: bool,
    ) -> Self {
        let mut random = Random::new(plan.seed ^ 0xa076_1d64_78bd_642f);
        clock.reset(random.fork());
        let trouble = Trouble::new(&plan, random.fork(), Arc::clone(&clock));
        let mut ready = store.on_ready();
        ready.mark_unchanged();
        let db = Database::new(store, trouble.clone(), broken, Trace::new(whole));
        db.rows(crate::seen::empty);
        let mut world = Self {
            now: 0,
            clock,
            db,
            bytes: Bytes::new(trouble.clone()),
            cdn: Cdn::new(trouble.clone()),
            sink: Sink::default(),
            pruned: None,
            workers: Vec::new(),
            uploads: Vec::new(),
            assets: Vec::new(),
            wishes: 0,
            happened: 0,
            arriving: 0,
            settling: false,
            waited_max: 0,
            heap: BinaryHeap::new(),
            order: 0,
            ready,
            trouble,
            random,
            plan,
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        for number in 0..self.plan.workers as usize {
            let id = Uuid::from_u128(number as u128 + 1);
            self.workers.push(Worker::new(id, number, &mut self.random));
            let at = self.random.below(3000) as i64;
            self.at(at, Event::Start(number));
        }
        self.send_uploads();
        for (event, within) in [
            (Event::Sweep, 5),
            (Event::Collect, 60),
            (Event::Purge, 10),
            (Event::Relay, 10),
            (Event::Expire, 200),
            (Event::Prune, 200),
            (Event::Read, 20),
            (Event::Upset, 60),
        ] {
            let at = self.random.between(1, within) as i64 * SECOND;
            self.at(at, event);
        }
        if self.plan.faults().contains(&Fault::Operators) {
            self.wishes = self.random.between(1, 12) as u32;
            let at = self.random.between(1, 20) as i64 * SECOND;
            self.at(at, Event::Operate);
        }
        self.at(self.plan.trouble_s as i64 * SECOND, Event::Calm);
    }

    pub(crate) fn at(&mut self, at: i64, event: Event) {
        self.order += 1;
        self.arriving += u32::from(matches!(event, Event::Upload(_) | Event::Record(..)));
        self.heap.push(Reverse((at, self.order, event)));
    }

    pub(crate) fn after(&mut self, pause: i64, event: Event) {
        self.at(self.now + pause, event);
    }

    /// A pause of up to twice this many seconds, in milliseconds.
    pub(crate) fn about(&mut self, seconds: u64) -> i64 {
        self.random.between(1, seconds * 2000) as i64
    }

    /// Lets everything happen up to that moment, or until `until` holds after an event. Answers whether it did.
    pub(crate) fn run(&mut self, end: i64, until: impl Fn(&Self) -> bool) -> bool {
        while !self.is_wrong() {
            if until(self) {
                return true;
            }
            let Some(Reverse((at, _, event))) = self.heap.pop() else {
                return false;
            };
            if at > end {
                self.order += 1;
                self.heap.push(Reverse((at, self.order, event)));
                return false;
            }
            self.now = self.now.max(at);
            self.clock.set(self.now);
            self.happened += 1;
            self.happen(event);
            self.send_at_once();
            if self.ready.has_changed().unwrap_or_default() {
                self.ready.mark_unchanged();
                self.ring();
            }
        }
        false
    }

    pub(crate) fn is_wrong(&self) -> bool {
        self.db.inner().wrong.is_some()
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Upload(which) => {
                self.arriving -= 1;
                self.upload(which);
            }
            Event::Record(which, key) => {
                self.arriving -= 1;
                self.record(which, &key);
            }
            Event::Poll(worker, process) => self.poll(worker, process),
            Event::Bell(worker) => self.hear(worker),
            Event::Finish(worker, process, task, fence) => {
                self.finish(worker, process, (task, fence))
            }
            Event::Report(worker, process, task, fence) => {
                self.report(worker, process, (task, fence))
            }
            Event::Beat(worker, process) => self.beat(worker, process),
            Event::Start(worker) => self.start(worker),
            Event::Sweep => self.sweep(),
            Event::Collect => self.collect(),
            Event::Purge => self.purge(),
            Event::Relay => self.relay_events(),
            Event::Expire => self.expire(),
            Event::Prune => self.prune(),
            Event::Read => self.read(),
            Event::Operate => self.operate(),
            Event::Upset => self.upset(),
            Event::Calm => {
                self.db.note(format_args!("nothing goes wrong any more"));
                self.trouble.end();
                self.upgrade();
            }
        }
    }

    fn upset(&mut self) {
        if self.trouble.is_over() {
            return;
        }
        if self.trouble.happens(Fault::ClockJump) {
            let by = self.random.between(0, 7200) as i64 * SECOND - 3600 * SECOND;
            self.db
                .note(format_args!("the store's clock jumps by {by} ms"));
            self.clock.jump(by);
        }
        if self.trouble.happens(Fault::Restart) {
            self.db.note(format_args!(
                "the process dies, and another opens the database"
            ));
            for worker in 0..self.workers.len() {
                self.die(worker);
            }
            self.db.reopen();
        }
        let pause = self.about(10);
        self.after(pause, Event::Upset);
    }

    /// What is to be told of it.
    pub(crate) fn outcome(self) -> Outcome {
        let mut inner = self.db.inner();
        let inner = &mut *inner;
        let ready_at_ms = self.uploads.iter().map(|u| {
            let first = u.acknowledged.first()?;
            inner.oracle.ready_at.get(first).copied()
        });
        let ready_at_ms = ready_at_ms.collect();
        let acknowledged_at_ms = self.uploads.iter().map(|u| u.acknowledged_at).collect();
        let trace = std::mem::replace(&mut inner.trace, Trace::new(false));
        let digest = trace.digest();
        let violation = inner.wrong.take().map(|what| Violation {
            what,
            trace: trace.end(),
        });
        Outcome {
            digest,
            events: self.happened,
            verbs: inner.verbs,
            transitions: inner.oracle.transitions,
            faults: self.trouble.happened(),
            coverage: inner.oracle.coverage.clone(),
            lasted_ms: self.now,
            waited_ms_max: self.waited_max,
            ready_at_ms,
            acknowledged_at_ms,
            violation,
        }
    }
}
