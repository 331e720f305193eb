//! Workers: they claim, say that they live, do their work and report it, and everything in between can be the last thing
//! that they do.

use crate::database::now;
use crate::plan::Fault;
use crate::random::Random;
use crate::recipes;
use crate::work::{self, Made};
use crate::world::{Event, SECOND, World};
use mediaflow_core::{ErrorCode, Failure, Operation, Queue, TaskId, WorkerId};
use mediaflow_store::{
    Capacity, Claimed, Environment as _, Lease, RenditionBlob, Report, StoreError, Work as _,
};
use std::collections::BTreeMap;
use std::time::Duration;
use uuid::Uuid;

/// How long a claim lasts without a heartbeat.
pub(crate) const LEASE: Duration = Duration::from_secs(30);
const MEMORY: u64 = 8 << 30;

struct Held {
    claimed: Claimed,
    /// What is to be reported, once the work is done.
    report: Option<Report>,
    tries: u32,
}

pub(crate) struct Worker {
    id: WorkerId,
    name: String,
    slots: u32,
    /// Which process this is; what an earlier one meant to do does not happen.
    process: u32,
    /// Whether this process is of an older version.
    older: bool,
    up: bool,
    /// Stands still until then.
    still_until: i64,
    held: BTreeMap<(TaskId, u64), Held>,
    /// Whether a claim that was not answered is asked again under its own id.
    asks_again: bool,
    asking: Option<Uuid>,
}

impl Worker {
    pub(crate) fn new(id: Uuid, number: usize, random: &mut Random) -> Self {
        Self {
            id: WorkerId(id),
            name: format!("worker-{number}:1"),
            slots: random.between(1, 3) as u32,
            process: 0,
            older: false,
            up: false,
            still_until: 0,
            held: BTreeMap::new(),
            asks_again: random.chance(500),
            asking: None,
        }
    }

    fn capacity(&self) -> Capacity {
        let used = |queues: &[Queue]| {
            let of = |h: &&Held| {
                queues.contains(&h.claimed.recipe.steps[h.claimed.step].operation.queue())
            };
            self.held.values().filter(of).count() as u32
        };
        let slots = [Queue::BUSY, Queue::WAITING].into_iter();
        let slots = slots
            .map(|q| (q, self.slots.saturating_sub(used(q))))
            .filter(|(_, n)| *n > 0);
        let memory: u64 = self
            .held
            .values()
            .map(|h| h.claimed.cost.memory_bytes)
            .sum();
        Capacity {
            worker: self.id,
            worker_name: self.name.clone(),
            slots: slots.collect(),
            memory_free: MEMORY.saturating_sub(memory),
            memory_total: MEMORY,
            idle: self.held.is_empty(),
            lease: LEASE,
            idle_lane: self.held.is_empty(),
            capabilities: match self.older {
                true => Vec::new(),
                false => vec![recipes::NEWER.to_owned()],
            },
        }
    }
}

impl World {
    /// Whether this process of the worker can act at this moment; what it would do waits while it stands still.
    fn acts(&mut self, worker: usize, process: u32, event: &Event) -> bool {
        let w = &self.workers[worker];
        if !w.up || w.process != process {
            return false;
        }
        if w.still_until > self.now {
            let at = w.still_until;
            self.at(at, event.clone());
            return false;
        }
        true
    }

    /// Whether the worker dies here.
    fn dies(&mut self, worker: usize) -> bool {
        if self.trouble.happens(Fault::Crash) {
            self.db
                .note(format_args!("{} dies", self.workers[worker].name));
            self.die(worker);
            return true;
        }
        if self.trouble.happens(Fault::Pause) {
            let pause = self.random.between(1, 120) as i64 * SECOND;
            self.db.note(format_args!(
                "{} stands still for {pause} ms",
                self.workers[worker].name
            ));
            self.workers[worker].still_until = self.now + pause;
        }
        false
    }

    pub(crate) fn die(&mut self, worker: usize) {
        let w = &mut self.workers[worker];
        w.up = false;
        w.process += 1;
        w.held.clear();
        w.asking = None;
        let pause = self.about(8);
        self.after(pause, Event::Start(worker));
    }

    pub(crate) fn start(&mut self, worker: usize) {
        let older = self.trouble.happens(Fault::Older);
        let w = &mut self.workers[worker];
        if w.up {
            return;
        }
        w.up = true;
        w.older = older;
        w.still_until = 0;
        let process = w.process;
        w.name = format!("worker-{worker}:{process}");
        self.after(0, Event::Poll(worker, process));
        self.after(LEASE.as_millis() as i64 / 3, Event::Beat(worker, process));
    }

    /// The last worker of an older version is stopped, and a newer one started.
    pub(crate) fn upgrade(&mut self) {
        for worker in 0..self.workers.len() {
            if self.workers[worker].up && self.workers[worker].older {
                self.die(worker);
            }
        }
    }

    pub(crate) fn poll(&mut self, worker: usize, process: u32) {
        if !self.acts(worker, process, &Event::Poll(worker, process)) {
            return;
        }
        if self.settling {
            return;
        }
        let pause = self.plan.poll_s as i64 * SECOND;
        self.after(pause, Event::Poll(worker, process));
        self.claim(worker);
    }

    /// A wake-up came: a hint, that somebody who is busy or gone does not hear.
    pub(crate) fn hear(&mut self, worker: usize) {
        let w = &self.workers[worker];
        if w.up && w.still_until <= self.now {
            self.claim(worker);
        }
    }

    /// Rings for everybody, after something became ready.
    pub(crate) fn ring(&mut self) {
        for worker in 0..self.workers.len() {
            if self.trouble.happens(Fault::BellLost) {
                continue;
            }
            let late = if self.trouble.happens(Fault::BellLate) {
                self.about(60)
            } else {
                0
            };
            self.after(late + 5, Event::Bell(worker));
            if self.trouble.happens(Fault::BellTwice) {
                let late = self.about(5);
                self.after(late, Event::Bell(worker));
            }
        }
    }

    fn claim(&mut self, worker: usize) {
        let w = &self.workers[worker];
        let capacity = w.capacity();
        if capacity.slots.is_empty() || self.dies(worker) {
            return;
        }
        let w = &mut self.workers[worker];
        let request = w.asking.take().unwrap_or_else(|| self.clock.id());
        match self.db.claim(request, &capacity) {
            Ok(claimed) => self.begin_all(worker, claimed),
            Err(_) if self.workers[worker].asks_again => {
                self.workers[worker].asking = Some(request)
            }
            Err(_) => {}
        }
    }

    fn begin_all(&mut self, worker: usize, claimed: Vec<Claimed>) {
        for task in claimed {
            let key = (task.lease.task, task.lease.fence);
            if self.workers[worker].held.contains_key(&key) {
                continue;
            }
            let waited = self.clock.now().since(task.ready_at).as_millis() as i64;
            self.waited_max = self.waited_max.max(waited);
            let process = self.workers[worker].process;
            let work = match self.random.below(12) {
                0 => self.random.between(20, 90) as i64 * SECOND,
                1 => 1,
                _ => self.random.between(50, 6000) as i64,
            };
            self.after(work, Event::Finish(worker, process, key.0, key.1));
            let held = Held {
                claimed: task,
                report: None,
                tries: 0,
            };
            self.workers[worker].held.insert(key, held);
        }
    }

    pub(crate) fn beat(&mut self, worker: usize, process: u32) {
        if !self.acts(worker, process, &Event::Beat(worker, process)) {
            return;
        }
        if self.settling {
            return;
        }
        let mut pause = LEASE.as_millis() as i64 / 3;
        if self.trouble.happens(Fault::Drift) {
            pause *= self.random.between(2, 5) as i64;
        }
        self.after(pause, Event::Beat(worker, process));
        let held = &self.workers[worker].held;
        let leases: Vec<Lease> = held
            .keys()
            .map(|&(task, fence)| Lease { task, fence })
            .collect();
        if leases.is_empty() {
            return;
        }
        // A worker that stood still and does not listen goes on with what it lost.
        if let Ok(lost) = self.db.heartbeat(&leases, LEASE)
            && self.random.chance(700)
        {
            for lease in lost {
                self.workers[worker].held.remove(&(lease.task, lease.fence));
            }
        }
    }

    pub(crate) fn finish(&mut self, worker: usize, process: u32, key: (TaskId, u64)) {
        let (task, fence) = key;
        if !self.acts(
            worker,
            process,
            &Event::Finish(worker, process, task, fence),
        ) || self.dies(worker)
        {
            return;
        }
        let Some(held) = self.workers[worker].held.get(&key) else {
            return;
        };
        let claimed = held.claimed.clone();
        let report = self.work(worker, &claimed);
        // It may have died, or stand still, between its bytes and its report.
        let Some(held) = self.workers[worker].held.get_mut(&key) else {
            return;
        };
        held.report = Some(report);
        let still = self.workers[worker].still_until - self.now;
        match still > 0 {
            true => self.after(still, Event::Report(worker, process, task, fence)),
            false => self.report(worker, process, key),
        }
    }

    fn work(&mut self, worker: usize, claimed: &Claimed) -> Report {
        let transient = |code, message: &str| Report::Failed(Failure::transient(code, message));
        let operation = &claimed.recipe.steps[claimed.step].operation;
        let is_poison = self.is_poison(claimed.original.sha256);
        if is_poison && !matches!(operation, Operation::Moderate | Operation::Distribute) {
            self.db
                .note(format_args!("{} dies of a file", self.workers[worker].name));
            self.die(worker);
            return Report::HandedBack;
        }
        if self
            .random
            .chance(if self.trouble.is_over() { 0 } else { 30 })
        {
            return Report::HandedBack;
        }
        if self.trouble.happens(Fault::Breaks) {
            return Report::Failed(work::failure(&mut self.random));
        }
        let original = &claimed.original;
        if self.bytes.read(&original.key, original.sha256).is_err() {
            if !self.bytes.holds(&original.key, original.sha256) && self.db_holds(claimed.lease) {
                self.db.wrong(format!(
                    "the original of {} is gone while it is worked on",
                    claimed.asset
                ));
            }
            return transient(ErrorCode::StorageUnavailable, "the original cannot be read");
        }
        let mut made = work::make(claimed, &mut self.random);
        if self.trouble.happens(Fault::Lie) {
            if made.output.tracks.is_empty() || self.random.chance(500) {
                // The output is decoded before it is reported, and is not what it should be.
                return transient(ErrorCode::OutputInvalid, "the output is cut short");
            }
            // Another encoder: the store is told, and refuses.
            made.output.tracks[0].init.sha256 = mediaflow_core::Sha256::of(b"another encoder");
            made.bytes[0].1 = b"another encoder".to_vec();
        }
        self.reuse(claimed, &mut made);
        for (key, content) in &made.bytes {
            if self.bytes.put(key, content).is_err() {
                return transient(ErrorCode::StorageUnavailable, "an output cannot be written");
            }
            if self.dies(worker) {
                return Report::HandedBack;
            }
        }
        Report::Succeeded(made.output)
    }

    fn db_holds(&self, lease: Lease) -> bool {
        let inner = self.db.inner();
        let seen = inner.oracle.tasks.get(&lease.task);
        seen.is_some_and(|s| {
            s.state == mediaflow_core::TaskState::Running && s.fence == lease.fence
        })
    }

    /// Takes what another run made, where there is such a thing.
    fn reuse(&mut self, claimed: &Claimed, made: &mut Made) {
        let is_resize = matches!(
            claimed.recipe.steps[claimed.step].operation,
            Operation::Resize(_)
        );
        if !is_resize || !self.random.chance(300) {
            return;
        }
        let wanted: Vec<_> = made
            .output
            .renditions
            .iter()
            .map(|r| r.derivation)
            .collect();
        let found = now(self.db.store().reusable(claimed.tenant, &wanted)).unwrap_or_default();
        for (derivation, reusable) in found {
            for rendition in made
                .output
                .renditions
                .iter_mut()
                .filter(|r| r.derivation == derivation)
            {
                rendition.blob = RenditionBlob::Existing(reusable.blob.id);
            }
        }
    }

    pub(crate) fn report(&mut self, worker: usize, process: u32, key: (TaskId, u64)) {
        let (task, fence) = key;
        let again = Event::Report(worker, process, task, fence);
        if !self.acts(worker, process, &again) || self.dies(worker) {
            return;
        }
        let capacity = self.workers[worker].capacity();
        let Some(held) = self.workers[worker].held.get_mut(&key) else {
            return;
        };
        let Some(report) = held.report.clone() else {
            return;
        };
        held.tries += 1;
        let tries = held.tries;
        let lease = Lease { task, fence };
        let capacity = self
            .random
            .chance(700)
            .then_some(capacity)
            .filter(|c| !c.slots.is_empty());
        match self.db.report(lease, report, capacity.as_ref()) {
            Ok(offered) => {
                self.begin_all(worker, offered);
                // Somebody in between sends it twice.
                if self.trouble.happens(Fault::BellTwice) {
                    let pause = self.about(40);
                    self.after(pause, again);
                    return;
                }
                self.workers[worker].held.remove(&key);
            }
            Err(StoreError::StaleFence | StoreError::TaskNotFound) => {
                self.workers[worker].held.remove(&key);
            }
            Err(StoreError::BlobCondemned) => {
                let failure = Failure::transient(
                    ErrorCode::StorageUnavailable,
                    "a reused rendition was collected",
                );
                if let Some(held) = self.workers[worker].held.get_mut(&key) {
                    held.report = Some(Report::Failed(failure));
                }
                self.after(10, again);
            }
            Err(_) => {
                let pause = 100 << tries.min(6);
                self.after(pause, again);
            }
        }
    }
}
