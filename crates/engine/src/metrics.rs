//! Every metric that MediaFlow has, with its name, its labels and what it says: the reference page and the
//! dashboards follow from this file. What can be asked of the store is asked when somebody scrapes, not counted here.

mod exposition;
mod observed;
mod process;
mod scrape;

pub use exposition::Exposition;
pub(crate) use observed::age;
pub use scrape::Scrape;

use mediaflow_core::{ErrorCode, Kind};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry, Unit};
use std::borrow::Cow;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// A metric, for the reference page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Described {
    /// As it is scraped, without what a histogram adds.
    pub name: &'static str,
    /// What the numbers are split by.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
}

macro_rules! metrics {
    ($($id:ident $name:literal $labels:tt $help:literal;)*) => {
        $(const $id: Described = Described { name: $name, labels: &$labels, help: $help };)*
        /// Every metric, in the order of the documentation.
        pub const ALL: &[Described] = &[$($id,)*];
    };
}

metrics! {
    BUILD "mediaflow_build_info" ["version"] "Always 1; its label tells which version runs";
    REQUESTS "mediaflow_http_requests_total" ["method", "route", "status"] "Requests answered";
    REQUEST_TIME "mediaflow_http_request_duration_seconds" ["method", "route"] "Time from a request's head to its answer's head, uploads with their body";
    PROBLEMS "mediaflow_http_problems_total" ["route", "code"] "Requests answered with an error, by its code";
    STREAMS "mediaflow_http_event_streams" [] "Event streams that are open";
    UPLOADS "mediaflow_uploads_total" ["kind"] "Uploads that became assets, by whatever way they came";
    UPLOADED "mediaflow_upload_bytes_total" [] "Bytes of accepted originals";
    UPLOAD_TIME "mediaflow_upload_duration_seconds" ["way"] "Time from an upload's beginning until its asset was recorded";
    UPLOAD_REFUSALS "mediaflow_upload_refusals_total" ["code"] "Uploads that were refused or broke off, by code";
    VIEWABLE_TIME "mediaflow_asset_viewable_duration_seconds" [] "Time from an upload's answer until its asset could be shown, of first generations";
    READY_TIME "mediaflow_asset_ready_duration_seconds" [] "Time from an upload's answer until everything was made, of first generations";
    RECORDED "mediaflow_events_recorded_total" ["type"] "Events that this process recorded in the histories of assets";
    TASKS "mediaflow_tasks_total" ["operation", "outcome", "code"] "Attempts that ended: succeeded, failed with a code, or handed_back";
    TASK_QUEUED "mediaflow_task_queue_duration_seconds" ["operation"] "Time that tasks were ready before they were claimed";
    TASK_TIME "mediaflow_task_duration_seconds" ["operation"] "Time that attempts took";
    TASK_TOTAL "mediaflow_task_total_duration_seconds" ["operation"] "Time from being ready until the attempt's end was recorded";
    TASK_CPU "mediaflow_task_cpu_seconds_total" ["operation"] "Processor time that attempts used, ffmpeg included";
    TASK_CHECK_CPU "mediaflow_task_check_cpu_seconds_total" ["operation"] "Of it, what went into checking what was made";
    RETRIES "mediaflow_task_retries_total" ["operation"] "Attempts that began and were not their task's first";
    LEASES "mediaflow_worker_leases" [] "Tasks that this process's worker holds";
    LEASES_LOST "mediaflow_worker_leases_lost_total" [] "Leases that were taken from this process's worker while it worked";
    OVERTAKEN "mediaflow_worker_reports_overtaken_total" [] "Results that were dropped, because the task was claimed again or cancelled";
    LEASES_EXPIRED "mediaflow_leases_expired_total" [] "Leases that ran out, of whichever worker; their tasks count an attempt";
    BEATS_FAILED "mediaflow_worker_heartbeat_failures_total" [] "Heartbeats that the store did not take";
    MEMORY "mediaflow_worker_memory_bytes" [] "Memory that running tasks were given";
    MEMORY_LIMIT "mediaflow_worker_memory_limit_bytes" [] "Memory that all tasks together may have";
    SCRATCH "mediaflow_worker_scratch_bytes" ["place"] "What is kept between the tasks of assets, in memory by no running task, and on disk";
    SCRATCH_LIMIT "mediaflow_worker_scratch_limit_bytes" ["place"] "What may be kept there";
    SANDBOX "mediaflow_sandbox_refusals_total" ["code"] "Decoders and encoders that the sandbox did not start or ended";
    STORE_TIME "mediaflow_store_verb_duration_seconds" ["verb"] "Time until the database answered, waiting for it included";
    STORE_ERRORS "mediaflow_store_errors_total" ["verb", "code"] "Verbs that did nothing, by code";
    BLOB_TIME "mediaflow_blob_request_duration_seconds" ["action"] "Time until bytes were written, opened, read or deleted, retries included";
    BLOB_ERRORS "mediaflow_blob_errors_total" ["action", "reason"] "Requests for bytes that failed";
    BLOB_RETRIES "mediaflow_blob_retries_total" [] "Requests that an object store did not do at once";
    READY "mediaflow_queue_ready" ["queue"] "Tasks that could be claimed";
    RUNNING "mediaflow_queue_running" ["queue"] "Tasks that are being worked on";
    WAITING "mediaflow_queue_waiting" ["queue"] "Tasks that wait for a retry time or a person";
    DEAD "mediaflow_queue_dead" ["queue"] "Tasks that failed for good and were not replayed";
    OLDEST "mediaflow_queue_oldest_ready_seconds" ["queue"] "How long the oldest claimable task has waited; 0 without one";
    WORK "mediaflow_queue_work_seconds" ["queue"] "How long one slot would need for what is ready, by what attempts took lately";
    DRAIN "mediaflow_queue_drain_seconds" ["queue"] "How long the workers that there are would need for it; missing when there are none";
    ARRIVALS "mediaflow_queue_arrivals_per_second" ["queue"] "Tasks that became ready, over the last five minutes";
    COMPLETIONS "mediaflow_queue_completions_per_second" ["queue"] "Attempts that ended, over the last five minutes";
    SLOTS "mediaflow_queue_slots" ["queue"] "Tasks that living workers take at the same time, if they do nothing else";
    WORKERS "mediaflow_queue_workers" ["queue"] "Workers that live and serve it";
    PAUSED "mediaflow_queue_paused" ["queue"] "1 while an operator has switched its claims off";
    STUCK "mediaflow_queue_unplaceable" ["queue", "reason"] "Ready tasks that no living worker can take";
    ASSETS "mediaflow_assets" ["state"] "Assets by state";
    IMPORTS "mediaflow_imports_total" ["outcome"] "Tries of imports by address that ended: done, again (another one follows) or failed";
    IMPORTS_RUNNING "mediaflow_imports_running" [] "Imports by address that are being fetched; of the one process that fetches";
    IMPORTS_OPEN "mediaflow_imports_open" [] "Imports by address that have not ended, those that are being fetched included; counted up to 10000";
    PURGES "mediaflow_purges_waiting" [] "Changes that caches were not told of yet; counted up to 10000";
    PURGES_OVERDUE "mediaflow_purges_overdue_seconds" [] "How long the first of them is due";
    PURGES_FAILED "mediaflow_purge_failures_total" [] "Purges that the CDN did not take; they are tried again";
    FREE "mediaflow_storage_free_bytes" [] "Bytes that can still be written where originals and renditions are";
    FREE_LEAST "mediaflow_storage_free_limit_bytes" [] "Free bytes below which uploads are refused";
    ANNOUNCED "mediaflow_broker_announced_total" [] "Rings for ready tasks that the broker took";
    RECEIVED "mediaflow_broker_received_total" [] "Rings that this process's worker heard";
    ACKNOWLEDGED "mediaflow_broker_acknowledged_total" [] "Rings that were acknowledged, right after the claim that they led to";
    BROKER_FAILURES "mediaflow_broker_failures_total" [] "Requests to the broker that failed; polling goes on";
    BROKER_UP "mediaflow_broker_up" [] "1 when the last request to the broker went well; missing without a broker";
    TOLD "mediaflow_events_told_total" [] "Events that this process told systems outside";
    TELLING_FAILURES "mediaflow_events_failures_total" [] "Times that events could not be told; they wait";
    UNTOLD "mediaflow_events_untold_seconds" [] "How long the oldest event has waited to be told; of the one process that tells";
    WEBHOOKS "mediaflow_webhook_deliveries_total" ["outcome"] "Attempts to deliver an event to a webhook: delivered, retried (another one follows) or failed (given up)";
    WEBHOOK_LAG "mediaflow_webhook_lag_seconds" [] "How long the oldest delivery is due, of webhooks whose deliveries do not fail; of the one process that delivers";
    SERVICE_FAILED "mediaflow_service_failed" ["service"] "1 when a background service's last round failed";
    PROCESS_CPU "process_cpu_seconds_total" [] "Processor time of this process and of the programs that it has waited for";
    PROCESS_MEMORY "process_resident_memory_bytes" [] "Memory of this process";
    PROCESS_FILES "process_open_fds" [] "Files and connections that it has open";
    PROCESS_FILES_MAX "process_max_fds" [] "Files and connections that it may have open";
    PROCESS_START "process_start_time_seconds" [] "When it started, in seconds since 1970";
}

type Labels<const N: usize> = [(&'static str, Cow<'static, str>); N];
type Gauges = Family<Labels<1>, Gauge>;
type Fractions<const N: usize> = Family<Labels<N>, Gauge<f64, AtomicU64>>;
type Times<const N: usize> = Family<Labels<N>, Histogram, fn() -> Histogram>;
type Seconds = Counter<f64, AtomicU64>;

/// The process's metrics. Share it behind an `Arc`.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    scraping: Mutex<()>,
    requests: Family<Labels<3>, Counter>,
    request_time: Times<2>,
    problems: Family<Labels<2>, Counter>,
    streams: Gauge,
    uploads: Family<Labels<1>, Counter>,
    uploaded: Counter,
    upload_time: Times<1>,
    upload_refusals: Family<Labels<1>, Counter>,
    tasks: Family<Labels<3>, Counter>,
    task_queued: Times<1>,
    task_time: Times<1>,
    task_total: Times<1>,
    task_cpu: Family<Labels<1>, Seconds>,
    task_check_cpu: Family<Labels<1>, Seconds>,
    retries: Family<Labels<1>, Counter>,
    worker: Worker,
    leases_expired: Counter,
    sandbox: Family<Labels<1>, Counter>,
    purges_failed: Counter,
    webhooks: Family<Labels<1>, Counter>,
    observed: observed::Observed,
    shown: scrape::Shown,
}

/// What the process's worker holds and what it lost. Nothing of it is shown where there is none.
#[derive(Debug)]
struct Worker {
    leases: Family<Labels<0>, Gauge>,
    leases_lost: Family<Labels<0>, Counter>,
    overtaken: Family<Labels<0>, Counter>,
    beats_failed: Family<Labels<0>, Counter>,
    memory: Family<Labels<0>, Gauge>,
    memory_limit: Family<Labels<0>, Gauge>,
    scratch: Gauges,
    scratch_limit: Gauges,
}

/// What a worker uses of what it may, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WorkerLoad {
    /// Tasks that it holds.
    pub leases: u64,
    /// Memory that they were given, and may be given.
    pub memory: (u64, u64),
    /// Memory between the tasks of assets, and what it may be.
    pub scratch: (u64, u64),
    /// The same on disk.
    pub scratch_disk: (u64, u64),
}

/// An attempt that ended.
#[derive(Debug, Clone, Copy)]
pub struct Ended<'a> {
    /// What was done.
    pub operation: &'a str,
    /// `succeeded`, `failed` or `handed_back`.
    pub outcome: &'static str,
    /// Of one that failed.
    pub code: Option<ErrorCode>,
    /// What it took.
    pub took: Duration,
    /// Seconds of processors altogether, and of them what checking took.
    pub cpu_seconds: (f64, f64),
}

impl Metrics {
    /// Metrics of a process of this version.
    pub fn new(version: &str) -> Self {
        let mut registry = Registry::default();
        let r = &mut registry;
        let build: Gauges = add(r, BUILD);
        build.get_or_create(&one(BUILD, version.to_owned())).set(1);
        Self {
            scraping: Mutex::default(),
            requests: add(r, REQUESTS),
            request_time: add_times(r, REQUEST_TIME, request_buckets),
            problems: add(r, PROBLEMS),
            streams: add(r, STREAMS),
            uploads: add(r, UPLOADS),
            uploaded: add(r, UPLOADED),
            upload_time: add_times(r, UPLOAD_TIME, upload_buckets),
            upload_refusals: add(r, UPLOAD_REFUSALS),
            tasks: add(r, TASKS),
            task_queued: add_times(r, TASK_QUEUED, waiting_buckets),
            task_time: add_times(r, TASK_TIME, task_buckets),
            task_total: add_times(r, TASK_TOTAL, waiting_buckets),
            task_cpu: add(r, TASK_CPU),
            task_check_cpu: add(r, TASK_CHECK_CPU),
            retries: add(r, RETRIES),
            worker: Worker {
                leases: add(r, LEASES),
                leases_lost: add(r, LEASES_LOST),
                overtaken: add(r, OVERTAKEN),
                beats_failed: add(r, BEATS_FAILED),
                memory: add(r, MEMORY),
                memory_limit: add(r, MEMORY_LIMIT),
                scratch: add(r, SCRATCH),
                scratch_limit: add(r, SCRATCH_LIMIT),
            },
            leases_expired: add(r, LEASES_EXPIRED),
            sandbox: add(r, SANDBOX),
            purges_failed: add(r, PURGES_FAILED),
            webhooks: add(r, WEBHOOKS),
            observed: observed::Observed::new(r),
            shown: scrape::Shown::new(r),
            registry,
        }
    }

    /// From now on this process's stores and blobs are counted here, unless they are counted elsewhere already.
    pub fn observe(&self) {
        mediaflow_store::observe(self.observed.clone());
        mediaflow_blob::observe(self.observed.clone());
    }

    /// A request was answered, with a `problem` if that has one. `route` is the pattern, never the path: labels must stay few.
    pub fn request(
        &self,
        method: &'static str,
        route: &str,
        (status, problem): (u16, Option<ErrorCode>),
        seconds: f64,
    ) {
        let route = || Cow::Owned(route.to_owned());
        let status = Cow::Owned(status.to_string());
        let labels = [
            ("method", method.into()),
            ("route", route()),
            ("status", status),
        ];
        self.requests.get_or_create(&labels).inc();
        let labels = [("method", method.into()), ("route", route())];
        self.request_time.get_or_create(&labels).observe(seconds);
        if let Some(code) = problem {
            let labels = [("route", route()), ("code", code.as_str().into())];
            self.problems.get_or_create(&labels).inc();
        }
    }

    /// The number of open event streams; up when one opens, down when it ends.
    pub fn streams(&self) -> &Gauge {
        &self.streams
    }

    /// An upload of so many bytes became an asset, and took so long; `way` is how it came.
    pub fn uploaded(&self, kind: Kind, bytes: u64, way: &'static str, took: Duration) {
        let labels = one(UPLOADS, kind.as_str());
        self.uploads.get_or_create(&labels).inc();
        self.uploaded.inc_by(bytes);
        let labels = one(UPLOAD_TIME, way);
        let time = self.upload_time.get_or_create(&labels);
        time.observe(took.as_secs_f64());
    }

    /// An upload became nothing.
    pub fn upload_refused(&self, code: ErrorCode) {
        let labels = one(UPLOAD_REFUSALS, code.as_str());
        self.upload_refusals.get_or_create(&labels).inc();
    }

    /// A worker begins an attempt at a task that was ready for `waited`.
    pub fn task_began(&self, operation: &str, attempt: u32, waited: Duration) {
        let labels = one(TASK_QUEUED, operation.to_owned());
        let queued = self.task_queued.get_or_create(&labels);
        queued.observe(waited.as_secs_f64());
        let retries = self.retries.get_or_create(&labels);
        retries.inc_by(u64::from(attempt > 1));
    }

    /// An attempt ended.
    pub fn task_ended(&self, ended: &Ended<'_>) {
        let name = || Cow::Owned(ended.operation.to_owned());
        let labels = [
            ("operation", name()),
            ("outcome", ended.outcome.into()),
            ("code", ended.code.map_or("", ErrorCode::as_str).into()),
        ];
        self.tasks.get_or_create(&labels).inc();
        let labels = [("operation", name())];
        let time = self.task_time.get_or_create(&labels);
        time.observe(ended.took.as_secs_f64());
        let (all, checking) = ended.cpu_seconds;
        self.task_cpu.get_or_create(&labels).inc_by(all.max(0.0));
        let checked = self.task_check_cpu.get_or_create(&labels);
        checked.inc_by(checking.max(0.0));
    }

    /// An attempt's end was recorded, so long after its task became ready.
    pub fn task_recorded(&self, operation: &str, took: Duration) {
        let labels = one(TASK_TOTAL, operation.to_owned());
        let total = self.task_total.get_or_create(&labels);
        total.observe(took.as_secs_f64());
    }

    /// What this process's worker holds now, and how often its sandbox refused, by code.
    pub fn worker(&self, load: &WorkerLoad, refusals: &[(&'static str, u64)]) {
        let worker = &self.worker;
        let set = |gauge: &Gauge, value: u64| {
            gauge.set(number(value));
        };
        set(&worker.leases.get_or_create(&[]), load.leases);
        let (now, most) = load.memory;
        set(&worker.memory.get_or_create(&[]), now);
        set(&worker.memory_limit.get_or_create(&[]), most);
        for (place, (now, most)) in [("memory", load.scratch), ("disk", load.scratch_disk)] {
            let labels = one(SCRATCH, place);
            set(&worker.scratch.get_or_create(&labels), now);
            set(&worker.scratch_limit.get_or_create(&labels), most);
        }
        // Shown from the first scrape on: what was never there cannot be seen to rise.
        for counter in [&worker.leases_lost, &worker.overtaken, &worker.beats_failed] {
            drop(counter.get_or_create(&[]));
        }
        for (code, times) in refusals {
            let counter = self.sandbox.get_or_create(&one(SANDBOX, *code));
            counter.inc_by(times.saturating_sub(counter.get()));
        }
    }

    /// Leases were taken from this process's worker.
    pub fn leases_lost(&self, leases: usize) {
        let counter = self.worker.leases_lost.get_or_create(&[]);
        counter.inc_by(leases as u64);
    }

    /// A worker's result was not wanted any more.
    pub fn report_overtaken(&self) {
        self.worker.overtaken.get_or_create(&[]).inc();
    }

    /// A heartbeat was not taken.
    pub fn heartbeat_failed(&self) {
        self.worker.beats_failed.get_or_create(&[]).inc();
    }

    /// Leases ran out.
    pub fn leases_expired(&self, leases: u32) {
        self.leases_expired.inc_by(u64::from(leases));
    }

    /// A purge was not taken.
    pub fn purge_failed(&self) {
        self.purges_failed.inc();
    }

    /// An event was sent to a webhook: `delivered`, `retried` or `failed`.
    pub fn webhook_tried(&self, outcome: &'static str) {
        let labels = one(WEBHOOKS, outcome);
        self.webhooks.get_or_create(&labels).inc();
    }

    /// Everything, as text. `scrape` is what gauges show.
    pub fn expose(&self, scrape: &Scrape<'_>, exposition: Exposition) -> String {
        let _alone = self
            .scraping
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        self.shown.look(scrape);
        if scrape.webhooks.is_some() {
            // Shown from the first scrape on: what was never there cannot be seen to rise.
            for outcome in ["delivered", "retried", "failed"] {
                drop(self.webhooks.get_or_create(&one(WEBHOOKS, outcome)));
            }
        }
        let mut text = String::with_capacity(32 << 10);
        encode(&mut text, &self.registry).expect("a String takes everything");
        exposition.written(text)
    }
}

fn add<M: Metric + Clone + Default>(registry: &mut Registry, described: Described) -> M {
    let metric = M::default();
    register(registry, described, metric.clone());
    metric
}

fn add_times<const N: usize>(
    registry: &mut Registry,
    described: Described,
    buckets: fn() -> Histogram,
) -> Times<N> {
    let metric = Times::new_with_constructor(buckets);
    register(registry, described, metric.clone());
    metric
}

fn register(registry: &mut Registry, described: Described, metric: impl Metric) {
    // The encoder appends `_total` to counters itself, and units to everything.
    let name = described.name.trim_end_matches("_total");
    let units = [("_seconds", Unit::Seconds), ("_bytes", Unit::Bytes)];
    let unit = units.into_iter().find(|(end, _)| name.ends_with(end));
    match unit {
        Some((end, unit)) => {
            let name = name.trim_end_matches(end);
            registry.register_with_unit(name, described.help, unit, metric);
        }
        None => registry.register(name, described.help, metric),
    }
}

fn one(described: Described, value: impl Into<Cow<'static, str>>) -> Labels<1> {
    [(described.labels[0], value.into())]
}

fn number(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// From half a millisecond to a minute: delivery at one end, uploads of large files at the other.
fn request_buckets() -> Histogram {
    Histogram::new([
        0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0,
    ])
}

/// From a picture on a loopback connection to a film that takes half a day.
fn upload_buckets() -> Histogram {
    Histogram::new([
        0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 300.0, 1800.0, 7200.0, 43_200.0,
    ])
}

/// From a thumbnail to a squeeze of a very large picture.
fn task_buckets() -> Histogram {
    Histogram::new([
        0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0, 600.0,
    ])
}

/// From at once to a night's queue; 1 minute and 5 minutes are what objectives ask.
fn waiting_buckets() -> Histogram {
    Histogram::new([
        0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 21_600.0,
    ])
}

#[cfg(test)]
mod tests;
