//! The loop: claim what fits, run it, report, take what the report offers.

use crate::WorkerConfig;
use crate::attempt::{Attempt, Spent, timed_out};
use crate::budget::{Budget, Share};
use crate::heartbeat::{Leases, beat};
use crate::ops;
use crate::presence::tell;
use crate::scratch::Scratch;
use crate::threads::MediaThreads;
use crate::toolbox::Toolbox;
use mediaflow_core::trace::TraceId;
use mediaflow_core::{ErrorCode, Failure, FailureKind, Operation, WorkerId};
use mediaflow_engine::broker::{Delivery, Listener};
use mediaflow_engine::metrics::{Ended, Metrics, WorkerLoad};
use mediaflow_engine::store::{
    Capacity, Claimed, Environment as _, Lease, Presence, Report, StoreError, Wish,
};
use mediaflow_engine::{Depot, SystemEnvironment};
use mediaflow_media::sandbox;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;
use tracing::field::Empty;
use uuid::Uuid;

/// A process's worker.
pub struct Worker {
    shared: Arc<Shared>,
}

/// What a worker is doing at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Activity {
    /// Tasks that run.
    pub running: u32,
}

struct Shared {
    depot: Arc<dyn Depot>,
    toolbox: Arc<Toolbox>,
    config: WorkerConfig,
    id: WorkerId,
    name: String,
    capabilities: Vec<String>,
    budget: Arc<Budget>,
    leases: Arc<Leases>,
    scratch: Scratch,
    threads: MediaThreads,
    metrics: Arc<Metrics>,
    freed: Notify,
    wish: watch::Sender<Wish>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Worker {
    /// Starts its threads; claims nothing yet. `name` is shown with each attempt.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub fn new(
        depot: Arc<dyn Depot>,
        toolbox: Toolbox,
        config: WorkerConfig,
        name: String,
        metrics: Arc<Metrics>,
        stop: CancellationToken,
    ) -> std::io::Result<Self> {
        let shared = Shared {
            capabilities: toolbox.capabilities(&config.capabilities),
            toolbox: Arc::new(toolbox),
            id: WorkerId(SystemEnvironment.id()),
            depot,
            name,
            budget: Budget::new(&config),
            leases: Arc::default(),
            scratch: Scratch::new(config.scratch_bytes, config.scratch_disk_bytes),
            threads: MediaThreads::start(config.cpu_slots())?,
            metrics,
            freed: Notify::new(),
            wish: watch::Sender::new(Wish::Work),
            tasks: TaskTracker::new(),
            stop,
            config,
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// What it is doing.
    pub fn activity(&self) -> Activity {
        Activity {
            running: self.shared.budget.running(),
        }
    }

    /// Works until `stop` is cancelled; then claims nothing more, hands back what has not ended within
    /// `drain`, and returns.
    pub async fn run(self, drain: Duration) {
        let shared = self.shared;
        let beating = CancellationToken::new();
        let heart = tokio::spawn(beat(
            Arc::clone(&shared.depot),
            Arc::clone(&shared.leases),
            shared.config.lease(),
            Arc::clone(&shared.metrics),
            beating.clone(),
        ));
        let present = tokio::spawn(tell(
            Arc::clone(&shared.depot),
            shared.presence(),
            shared.wish.clone(),
            shared.stop.clone(),
            beating.clone(),
        ));
        let mut ready = shared.depot.on_ready();
        let mut wish = shared.wish.subscribe();
        shared.tell_load();
        let mut listener = None;
        let mut rung = Vec::new();
        loop {
            ready.mark_unchanged();
            shared.claim().await;
            // The store was asked, so nobody else needs to hear it: also when there was no room, or others were faster.
            rung.drain(..).for_each(Delivery::acknowledge);
            // Who claims nothing must not hear what others are waiting for.
            match shared.depot.broker() {
                Some(broker) if shared.is_claiming() => {
                    listener.get_or_insert_with(|| broker.listen(&shared.config.queues));
                }
                _ => listener = None,
            }
            tokio::select! {
                () = shared.stop.cancelled() => break,
                heard = hear(listener.as_mut()) => rung = heard,
                _ = ready.changed() => {}
                () = shared.freed.notified() => {}
                _ = wish.changed() => {}
                () = tokio::time::sleep(Duration::from_millis(shared.config.poll_ms)) => {}
            }
        }
        shared.tasks.close();
        if tokio::time::timeout(drain, shared.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!("some tasks did not end in time; their leases are left to expire");
        }
        beating.cancel();
        // They only ever end by the token.
        let _ = heart.await;
        let _ = present.await;
    }
}

impl Shared {
    fn presence(&self) -> Presence {
        Presence {
            id: self.id,
            name: self.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            queues: self.config.queues.clone(),
            cpu: self.config.cpu_slots(),
            network: self.config.network,
            capabilities: self.capabilities.clone(),
            memory_bytes: self.budget.memory_total(),
            started_at: SystemEnvironment.now(),
        }
    }

    /// Whether it may take on more.
    fn is_claiming(&self) -> bool {
        !self.stop.is_cancelled() && *self.wish.borrow() == Wish::Work
    }

    async fn claim(self: &Arc<Self>) {
        if !self.is_claiming() {
            return;
        }
        let mut share = self.budget.take_all();
        let capacity = self.capacity(&share);
        if capacity.slots.is_empty() {
            return;
        }
        match self.depot.claim(Uuid::new_v4(), &capacity).await {
            Ok(claimed) => self.start_all(claimed, &mut share),
            Err(error) => tracing::warn!(%error, "claiming failed; trying again"),
        }
    }

    fn capacity(&self, share: &Share) -> Capacity {
        let idle = self.budget.running() == 0;
        Capacity {
            worker: self.id,
            worker_name: self.name.clone(),
            slots: share.slots(),
            memory_free: share.memory(),
            memory_total: self.budget.memory_total(),
            idle,
            lease: self.config.lease(),
            idle_lane: idle,
            capabilities: self.capabilities.clone(),
        }
    }

    fn start_all(self: &Arc<Self>, claimed: Vec<Claimed>, share: &mut Share) {
        for task in claimed {
            let own = share.split(&task);
            let shared = Arc::clone(self);
            // An offered task is no part of the one that was reported.
            let span = tracing::info_span!(
                parent: None,
                "task",
                correlation_id = %task.correlation_id,
                trace_id = %TraceId::of(&task.correlation_id),
                asset = %task.asset,
                generation = task.generation,
                task = %task.lease.task,
                step = %task.recipe.steps[task.step].name,
                operation = task.recipe.steps[task.step].operation.name(),
                number = task.number,
                attempt = task.attempt,
                worker = self.name,
                outcome = Empty,
                error = Empty,
            );
            self.tasks
                .spawn(async move { shared.attempt(task, own).await }.instrument(span));
        }
    }

    async fn attempt(self: Arc<Self>, task: Claimed, own: Share) {
        let began = Instant::now();
        let held = self.leases.hold(task.lease);
        let operation = task.recipe.steps[task.step].operation.name();
        // The store's clock may be another one than ours: then it is never less than nothing.
        let waited = SystemEnvironment.now().since(task.ready_at);
        self.metrics.task_began(operation, task.attempt, waited);
        self.tell_load();
        let (asset, generation, lease) = (task.asset, task.generation, task.lease);
        let is_last = task.recipe.steps[task.step].operation == Operation::Distribute;
        let spent = Arc::new(Spent::default());
        let (report, own) = self
            .run_operation(task, held.lost.clone(), own, &spent)
            .await;
        let (outcome, code) = match &report {
            Report::Succeeded(_) => ("succeeded", None),
            Report::Failed(failure) if failure.kind == FailureKind::Deferred => {
                ("handed_back", Some(failure.code))
            }
            Report::Failed(failure) => {
                tracing::info!(code = %failure.code, reason = %failure.message, "an attempt failed");
                ("failed", Some(failure.code))
            }
            Report::HandedBack => ("handed_back", None),
        };
        let span = tracing::Span::current();
        span.record("outcome", outcome);
        if let Some(code) = code.filter(|_| outcome == "failed") {
            span.record("error", code.as_str());
        }
        self.metrics.task_ended(&Ended {
            operation,
            outcome,
            code,
            took: began.elapsed(),
            cpu_seconds: spent.seconds(),
        });
        if is_last {
            self.scratch.forget(asset, generation);
        }
        self.scratch.trim();
        self.report(lease, report, own, &held.lost).await;
        let took = waited + began.elapsed();
        self.metrics.task_recorded(operation, took);
        drop(held);
        self.tell_load();
        self.freed.notify_one();
    }

    async fn run_operation(
        self: &Arc<Self>,
        task: Claimed,
        lost: CancellationToken,
        own: Share,
        spent: &Arc<Spent>,
    ) -> (Report, Share) {
        if task.cost.memory_bytes > self.budget.memory_total() {
            let message = format!(
                "the task needs about {} MiB and this worker has {} MiB for all tasks (worker.memory_bytes less worker.scratch_bytes)",
                task.cost.memory_bytes >> 20,
                self.budget.memory_total() >> 20
            );
            return (
                Report::Failed(Failure::permanent(ErrorCode::LimitMemory, message)),
                own,
            );
        }
        let task = match ops::with_source(&*self.depot, task).await {
            Ok(task) => task,
            Err(failure) => return (Report::Failed(failure), own),
        };
        let scratch = self.scratch.of(task.asset, task.generation);
        let attempt = Attempt::new(
            task,
            Arc::clone(&self.depot),
            Arc::clone(&self.toolbox),
            scratch,
            lost.clone(),
            Arc::clone(spent),
        );
        let stopped = Arc::clone(&attempt.stopped);
        let deadline = tokio::time::Instant::from_std(attempt.deadline);
        let threads = self.threads.clone();
        // The share moves with the work: memory and slot are free again only when a thread that
        // cannot be interrupted has really ended.
        let work = tokio::spawn(
            async move {
                let outcome = ops::run(Arc::new(attempt), &threads).await;
                (outcome, own)
            }
            .in_current_span(),
        );
        let ended = tokio::select! {
            done = work => match done {
                Ok((Ok(output), own)) => (Report::Succeeded(output), own),
                Ok((Err(failure), own)) => (Report::Failed(failure), own),
                Err(_) => (Report::Failed(Failure {
                    code: ErrorCode::DecoderCrashed,
                    message: "the operation panicked".into(),
                    kind: FailureKind::Crash,
                }), self.budget.nothing()),
            },
            () = tokio::time::sleep_until(deadline + Duration::from_secs(1)) => (Report::Failed(timed_out()), self.budget.nothing()),
            () = lost.cancelled() => (Report::HandedBack, self.budget.nothing()),
            () = self.stopped() => (Report::HandedBack, self.budget.nothing()),
        };
        stopped.store(true, Ordering::Relaxed);
        ended
    }

    fn tell_load(&self) {
        let (scratch, disk) = self.scratch.held();
        let load = WorkerLoad {
            leases: self.leases.count(),
            memory: (self.budget.memory_used(), self.budget.memory_total()),
            scratch: (scratch, self.config.scratch_bytes),
            scratch_disk: (disk, self.config.scratch_disk_bytes),
        };
        self.metrics.worker(&load, &sandbox::refusals());
    }

    /// When the process ends, work that is not done soon is handed back: that costs no attempt.
    async fn stopped(&self) {
        self.stop.cancelled().await;
        tokio::time::sleep(HAND_BACK_AFTER).await;
    }

    /// Reports until the store has taken it, and starts what it offers.
    async fn report(
        self: &Arc<Self>,
        lease: Lease,
        report: Report,
        own: Share,
        lost: &CancellationToken,
    ) {
        let mut share = own.finished();
        let mut pause = Duration::from_millis(100);
        loop {
            share.join(self.budget.take_all());
            let capacity = self.capacity(&share);
            let offer = (self.is_claiming() && !capacity.slots.is_empty()).then_some(&capacity);
            match self.depot.report(lease, report.clone(), offer).await {
                Ok(offered) => return self.start_all(offered, &mut share),
                // A task that is not there any more was ended by others long ago.
                Err(StoreError::StaleFence | StoreError::TaskNotFound) => {
                    self.metrics.report_overtaken();
                    tracing::info!("the attempt was overtaken; its result is dropped");
                    return;
                }
                Err(StoreError::BlobCondemned) => {
                    let failure = Failure::transient(
                        ErrorCode::StorageUnavailable,
                        "a reused rendition was just collected",
                    );
                    let again = self.depot.report(lease, Report::Failed(failure), None);
                    let again = again.await;
                    if let Err(error) = again {
                        tracing::warn!(%error, "the attempt's end was not recorded; its lease will expire");
                    }
                    return;
                }
                Err(error) if lost.is_cancelled() || self.stop.is_cancelled() => {
                    tracing::warn!(%error, "the attempt's end was not recorded; its lease will expire");
                    return;
                }
                Err(error) => {
                    tracing::warn!(%error, "reporting failed; trying again");
                    share = self.budget.nothing();
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(5));
                }
            }
        }
    }
}

/// What rang, as much as came together; nothing ever where there is no broker.
async fn hear(listener: Option<&mut Listener>) -> Vec<Delivery> {
    match listener {
        Some(listener) => listener.next_many(RUNG_MAX).await,
        None => std::future::pending().await,
    }
}

/// Rings that one claim answers.
const RUNG_MAX: usize = 64;
/// How long running tasks may go on after the process was told to stop.
const HAND_BACK_AFTER: Duration = Duration::from_secs(5);
