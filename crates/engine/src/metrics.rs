//! Every metric that MediaFlow has, with its name, its labels and what it says: the reference page and the
//! dashboards follow from this file. What can be asked of the store is asked when somebody scrapes, not counted here.

use crate::ImportCounts;
use mediaflow_broker::Stats;
use mediaflow_core::Timestamp;
use mediaflow_store::{Obstacle, QueueLoad, StoreHealth};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};
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
    STREAMS "mediaflow_http_event_streams" [] "Event streams that are open";
    UPLOADED "mediaflow_upload_bytes_total" [] "Bytes of accepted originals";
    TASKS "mediaflow_tasks_total" ["operation", "outcome"] "Attempts that ended: succeeded, failed or handed_back";
    TASK_TIME "mediaflow_task_duration_seconds" ["operation"] "Time that attempts took";
    TASK_CPU "mediaflow_task_cpu_seconds_total" ["operation"] "Processor time that attempts used, ffmpeg included";
    TASK_CHECK_CPU "mediaflow_task_check_cpu_seconds_total" ["operation"] "Of it, what went into checking what was made";
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
    STUCK "mediaflow_queue_unplaceable" ["queue", "reason"] "Ready tasks that no living worker can take";
    ASSETS "mediaflow_assets" ["state"] "Assets by state";
    IMPORTS "mediaflow_imports_total" ["outcome"] "Tries of imports by address that ended: done, again (another one follows) or failed";
    IMPORTS_RUNNING "mediaflow_imports_running" [] "Imports by address that are being fetched; of the one process that fetches";
    IMPORTS_OPEN "mediaflow_imports_open" [] "Imports by address that have not ended, those that are being fetched included";
    FREE "mediaflow_storage_free_bytes" [] "Bytes that can still be written where originals and renditions are";
    ANNOUNCED "mediaflow_broker_announced_total" [] "Rings for ready tasks that the broker took";
    RECEIVED "mediaflow_broker_received_total" [] "Rings that this process's worker heard";
    ACKNOWLEDGED "mediaflow_broker_acknowledged_total" [] "Rings that were acknowledged, right after the claim that they led to";
    BROKER_FAILURES "mediaflow_broker_failures_total" [] "Requests to the broker that failed; polling goes on";
    BROKER_UP "mediaflow_broker_up" [] "1 when the last request to the broker went well; missing without a broker";
    TOLD "mediaflow_events_told_total" [] "Events that this process told systems outside";
    TELLING_FAILURES "mediaflow_events_failures_total" [] "Times that events could not be told; they wait";
    UNTOLD "mediaflow_events_untold_seconds" [] "How long the oldest event has waited to be told; of the one process that tells";
    SERVICE_FAILED "mediaflow_service_failed" ["service"] "1 when a background service's last round failed";
}

type Labels<const N: usize> = [(&'static str, Cow<'static, str>); N];
type Gauges = Family<Labels<1>, Gauge>;
type Fractions = Family<Labels<1>, Gauge<f64, AtomicU64>>;
type Times<const N: usize> = Family<Labels<N>, Histogram, fn() -> Histogram>;
type Seconds = Counter<f64, AtomicU64>;

/// The text formats that scrapers read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposition {
    /// `text/plain; version=0.0.4`
    Prometheus,
    /// `application/openmetrics-text; version=1.0.0`
    OpenMetrics,
}

/// What is asked when somebody scrapes.
#[derive(Debug)]
pub struct Scrape<'a> {
    /// The present, for ages.
    pub now: Timestamp,
    /// Depths and counts; missing when the store does not answer.
    pub store: Option<&'a StoreHealth>,
    /// Free space, where it is known.
    pub free_bytes: Option<u64>,
    /// What the broker did, and whether it is well; missing without one.
    pub broker: Option<(Stats, bool)>,
    /// What was told outside, and how long the oldest event has waited for it; missing where nothing is told.
    pub outlet: Option<(Stats, Duration)>,
    /// How imports by address went.
    pub imports: ImportCounts,
    /// Background services and whether their last round failed.
    pub services: &'a [(&'static str, bool)],
}

/// The process's metrics. Share it behind an `Arc`.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    scraping: Mutex<()>,
    requests: Family<Labels<3>, Counter>,
    request_time: Times<2>,
    streams: Gauge,
    uploaded: Counter,
    tasks: Family<Labels<2>, Counter>,
    task_time: Times<1>,
    task_cpu: Family<Labels<1>, Seconds>,
    task_check_cpu: Family<Labels<1>, Seconds>,
    ready: Gauges,
    running: Gauges,
    waiting: Gauges,
    dead: Gauges,
    oldest: Fractions,
    work: Fractions,
    drain: Fractions,
    arrivals: Fractions,
    completions: Fractions,
    slots: Gauges,
    workers: Gauges,
    stuck: Family<Labels<2>, Gauge>,
    assets: Gauges,
    free: Gauge,
    imports: Family<Labels<1>, Counter>,
    imports_running: Gauge,
    imports_open: Gauge,
    broker: [Counter; 4],
    broker_up: Family<Labels<0>, Gauge>,
    outlet: [Counter; 2],
    untold: Family<Labels<0>, Gauge<f64, AtomicU64>>,
    service_failed: Gauges,
}

impl Metrics {
    /// Metrics of a process of this version.
    pub fn new(version: &str) -> Self {
        let mut new = Self {
            registry: Registry::default(),
            scraping: Mutex::default(),
            requests: Family::default(),
            request_time: Family::new_with_constructor(request_buckets),
            streams: Gauge::default(),
            uploaded: Counter::default(),
            tasks: Family::default(),
            task_time: Family::new_with_constructor(task_buckets),
            task_cpu: Family::default(),
            task_check_cpu: Family::default(),
            ready: Family::default(),
            running: Family::default(),
            waiting: Family::default(),
            dead: Family::default(),
            oldest: Family::default(),
            work: Family::default(),
            drain: Family::default(),
            arrivals: Family::default(),
            completions: Family::default(),
            slots: Family::default(),
            workers: Family::default(),
            stuck: Family::default(),
            assets: Family::default(),
            free: Gauge::default(),
            imports: Family::default(),
            imports_running: Gauge::default(),
            imports_open: Gauge::default(),
            broker: Default::default(),
            broker_up: Family::default(),
            outlet: Default::default(),
            untold: Family::default(),
            service_failed: Family::default(),
        };
        let build = Gauges::default();
        build.get_or_create(&one(BUILD, version)).set(1);
        new.add(BUILD, build);
        new.add(REQUESTS, new.requests.clone());
        new.add(REQUEST_TIME, new.request_time.clone());
        new.add(STREAMS, new.streams.clone());
        new.add(UPLOADED, new.uploaded.clone());
        new.add(TASKS, new.tasks.clone());
        new.add(TASK_TIME, new.task_time.clone());
        new.add(TASK_CPU, new.task_cpu.clone());
        new.add(TASK_CHECK_CPU, new.task_check_cpu.clone());
        new.add(READY, new.ready.clone());
        new.add(RUNNING, new.running.clone());
        new.add(WAITING, new.waiting.clone());
        new.add(DEAD, new.dead.clone());
        new.add(OLDEST, new.oldest.clone());
        new.add(WORK, new.work.clone());
        new.add(DRAIN, new.drain.clone());
        new.add(ARRIVALS, new.arrivals.clone());
        new.add(COMPLETIONS, new.completions.clone());
        new.add(SLOTS, new.slots.clone());
        new.add(WORKERS, new.workers.clone());
        new.add(STUCK, new.stuck.clone());
        new.add(ASSETS, new.assets.clone());
        new.add(FREE, new.free.clone());
        new.add(IMPORTS, new.imports.clone());
        new.add(IMPORTS_RUNNING, new.imports_running.clone());
        new.add(IMPORTS_OPEN, new.imports_open.clone());
        let counted = [ANNOUNCED, RECEIVED, ACKNOWLEDGED, BROKER_FAILURES];
        for (described, counter) in counted.into_iter().zip(new.broker.clone()) {
            new.add(described, counter);
        }
        new.add(BROKER_UP, new.broker_up.clone());
        for (described, counter) in [TOLD, TELLING_FAILURES].into_iter().zip(new.outlet.clone()) {
            new.add(described, counter);
        }
        new.add(UNTOLD, new.untold.clone());
        new.add(SERVICE_FAILED, new.service_failed.clone());
        new
    }

    fn add(&mut self, described: Described, metric: impl Metric) {
        // The encoder appends `_total` to counters itself.
        let name = described.name.trim_end_matches("_total");
        self.registry.register(name, described.help, metric);
    }

    /// A request was answered. `route` is the pattern, never the path: labels must stay few.
    pub fn request(&self, method: &'static str, route: &str, status: u16, seconds: f64) {
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
    }

    /// The number of open event streams; up when one opens, down when it ends.
    pub fn streams(&self) -> &Gauge {
        &self.streams
    }

    /// An original of this size was accepted.
    pub fn uploaded(&self, bytes: u64) {
        self.uploaded.inc_by(bytes);
    }

    /// An attempt ended after `seconds`. `cpu_seconds` are those of processors altogether, and of
    /// them what checking took.
    pub fn task_finished(
        &self,
        operation: &str,
        outcome: &str,
        seconds: f64,
        cpu_seconds: (f64, f64),
    ) {
        let name = || Cow::Owned(operation.to_owned());
        let labels = [
            ("operation", name()),
            ("outcome", Cow::Owned(outcome.to_owned())),
        ];
        self.tasks.get_or_create(&labels).inc();
        let labels = [("operation", name())];
        self.task_time.get_or_create(&labels).observe(seconds);
        self.task_cpu
            .get_or_create(&labels)
            .inc_by(cpu_seconds.0.max(0.0));
        self.task_check_cpu
            .get_or_create(&labels)
            .inc_by(cpu_seconds.1.max(0.0));
    }

    /// Everything, as text. `scrape` is what gauges show.
    pub fn expose(&self, scrape: &Scrape<'_>, exposition: Exposition) -> String {
        let _alone = self
            .scraping
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        self.look(scrape);
        let mut text = String::with_capacity(16 << 10);
        encode(&mut text, &self.registry).expect("a String takes everything");
        match exposition {
            Exposition::OpenMetrics => text,
            Exposition::Prometheus => classic(&text),
        }
    }

    fn look(&self, scrape: &Scrape<'_>) {
        let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        for queue in scrape.store.iter().flat_map(|s| &s.queues) {
            let labels = one(READY, queue.queue.as_str());
            self.ready.get_or_create(&labels).set(number(queue.ready));
            self.running
                .get_or_create(&labels)
                .set(number(queue.running));
            self.waiting
                .get_or_create(&labels)
                .set(number(queue.waiting));
            self.dead.get_or_create(&labels).set(number(queue.dead));
            let age = queue.oldest_ready_at.map(|at| scrape.now.since(at));
            self.oldest
                .get_or_create(&labels)
                .set(age.unwrap_or_default().as_secs_f64());
            self.scale(queue, &labels);
        }
        for (state, count) in scrape.store.iter().flat_map(|s| &s.assets) {
            let labels = one(ASSETS, state.as_str());
            self.assets.get_or_create(&labels).set(number(*count));
        }
        if let Some(free) = scrape.free_bytes {
            self.free.set(number(free));
        }
        let imports = scrape.imports;
        for (outcome, now) in [
            ("done", imports.done),
            ("again", imports.again),
            ("failed", imports.failed),
        ] {
            let counter = self.imports.get_or_create(&one(IMPORTS, outcome)).clone();
            count(&[counter], &[now]);
        }
        self.imports_running.set(number(imports.running));
        if let Some(store) = scrape.store {
            self.imports_open.set(number(store.imports));
        }
        if let Some((stats, is_up)) = scrape.broker {
            let now = [
                stats.announced,
                stats.received,
                stats.acknowledged,
                stats.failures,
            ];
            count(&self.broker, &now);
            self.broker_up.get_or_create(&[]).set(i64::from(is_up));
        }
        if let Some((stats, untold)) = scrape.outlet {
            count(&self.outlet, &[stats.announced, stats.failures]);
            let untold = untold.as_secs_f64();
            self.untold.get_or_create(&[]).set(untold);
        }
        for (service, failed) in scrape.services {
            let labels = one(SERVICE_FAILED, service);
            let gauge = self.service_failed.get_or_create(&labels);
            gauge.set(i64::from(*failed));
        }
    }

    /// What clusters are scaled by.
    fn scale(&self, queue: &QueueLoad, labels: &Labels<1>) {
        let set = |family: &Fractions, value: f64| {
            family.get_or_create(labels).set(value);
        };
        set(&self.work, queue.work_seconds());
        set(&self.arrivals, queue.arrival_rate());
        set(&self.completions, queue.completion_rate());
        match queue.drain_seconds() {
            Some(seconds) => set(&self.drain, seconds),
            None => drop(self.drain.remove(labels)),
        }
        self.slots.get_or_create(labels).set(queue.slots.into());
        self.workers.get_or_create(labels).set(queue.workers.into());
        for obstacle in [Obstacle::NoQueue, Obstacle::NoCapability] {
            let stuck = queue.stuck.iter().filter(|s| s.obstacle == obstacle);
            let labels = [
                ("queue", labels[0].1.clone()),
                ("reason", obstacle.as_str().into()),
            ];
            let tasks: u64 = stuck.map(|s| s.tasks).sum();
            let tasks = i64::try_from(tasks).unwrap_or(i64::MAX);
            self.stuck.get_or_create(&labels).set(tasks);
        }
    }
}

/// Brings counters up to what somebody else has counted.
fn count(counters: &[Counter], now: &[u64]) {
    for (counter, now) in counters.iter().zip(now) {
        counter.inc_by(now.saturating_sub(counter.get()));
    }
}

fn one(described: Described, value: &str) -> Labels<1> {
    [(described.labels[0], Cow::Owned(value.to_owned()))]
}

/// From half a millisecond to a minute: delivery at one end, uploads of large files at the other.
fn request_buckets() -> Histogram {
    Histogram::new([
        0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0,
    ])
}

/// From a thumbnail to a squeeze of a very large picture.
fn task_buckets() -> Histogram {
    Histogram::new([
        0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0, 600.0,
    ])
}

/// The older format names a counter with its `_total` also where it describes it, and has no end mark.
fn classic(text: &str) -> String {
    let counter = MetricType::Counter.as_str();
    let counters: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(counter))
        .collect();
    let mut classic = String::with_capacity(text.len());
    for line in text.lines().filter(|l| *l != "# EOF") {
        let described = line
            .strip_prefix("# HELP ")
            .or_else(|| line.strip_prefix("# TYPE "));
        let name = described.and_then(|d| counters.iter().find(|name| d.starts_with(**name)));
        match name {
            Some(name) => {
                let (before, after) = line.split_at(7 + name.len() - 1);
                classic.extend([before, "_total", after]);
            }
            None => classic.push_str(line),
        }
        classic.push('\n');
    }
    classic
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing() -> Scrape<'static> {
        Scrape {
            now: Timestamp(0),
            store: None,
            free_bytes: Some(7),
            broker: None,
            outlet: None,
            imports: ImportCounts::default(),
            services: &[("sweeper", true)],
        }
    }

    #[test]
    fn both_formats_say_the_same_in_their_own_way() {
        let metrics = Metrics::new("1.2.3");
        metrics.request("GET", "/healthz", 200, 0.002);
        metrics.task_finished("image.resize", "succeeded", 0.1, (0.08, 0.0));
        let open = metrics.expose(&nothing(), Exposition::OpenMetrics);
        assert!(open.ends_with("# EOF\n"));
        assert!(open.contains("# TYPE mediaflow_http_requests counter\n"));
        let classic = metrics.expose(&nothing(), Exposition::Prometheus);
        assert!(!classic.contains("EOF"));
        assert!(classic.contains("# TYPE mediaflow_http_requests_total counter\n"));
        assert!(classic.contains("# HELP mediaflow_http_requests_total Requests answered.\n"));
        assert!(classic.contains("# TYPE mediaflow_http_request_duration_seconds histogram\n"));
        for line in [
            "mediaflow_http_requests_total{method=\"GET\",route=\"/healthz\",status=\"200\"} 1\n",
            "mediaflow_service_failed{service=\"sweeper\"} 1\n",
            "mediaflow_storage_free_bytes 7\n",
            "mediaflow_build_info{version=\"1.2.3\"} 1\n",
        ] {
            assert!(
                open.contains(line) && classic.contains(line),
                "{line}{classic}"
            );
        }
    }

    #[test]
    fn every_metric_is_described_once() {
        let metrics = Metrics::new("1");
        metrics.request("GET", "/healthz", 200, 0.002);
        metrics.task_finished("image.resize", "succeeded", 0.1, (0.08, 0.0));
        let text = metrics.expose(&nothing(), Exposition::Prometheus);
        let exposed: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("# HELP ")?.split(' ').next())
            .collect();
        assert!(exposed.len() > 5, "{text}");
        for name in exposed {
            let described = ALL.iter().filter(|d| d.name == name).count();
            assert_eq!(described, 1, "{name}");
        }
    }
}
