//! What is asked when somebody scrapes: of the store, of the broker, of the disk.

use super::process::Process;
use super::{
    ACKNOWLEDGED, ANNOUNCED, ARRIVALS, ASSETS, BROKER_FAILURES, BROKER_UP, COMPLETIONS, DEAD,
    DRAIN, FREE, FREE_LEAST, Fractions, Gauges, IMPORTS, IMPORTS_OPEN, IMPORTS_RUNNING, Labels,
    OLDEST, PAUSED, PURGES, PURGES_OVERDUE, READY, RECEIVED, RUNNING, SERVICE_FAILED, SLOTS, STUCK,
    TELLING_FAILURES, TOLD, UNTOLD, WAITING, WEBHOOK_LAG, WORK, WORKERS, add, number, one,
};
use crate::ImportCounts;
use mediaflow_broker::Stats;
use mediaflow_store::{Obstacle, PurgeLoad, QueueLoad, StoreHealth};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::time::Duration;

/// What is asked when somebody scrapes.
#[derive(Debug)]
pub struct Scrape<'a> {
    /// Depths and counts; missing when the store does not answer.
    pub store: Option<&'a StoreHealth>,
    /// Free space, where it is known, and how much there must be.
    pub free_bytes: Option<(u64, u64)>,
    /// What the broker did, and whether it is well; missing without one.
    pub broker: Option<(Stats, bool)>,
    /// What was told outside, and how long the oldest event has waited for it; missing where nothing is told.
    pub outlet: Option<(Stats, Duration)>,
    /// How imports by address went; missing where nothing is fetched.
    pub imports: Option<ImportCounts>,
    /// How long the oldest delivery to a webhook is due; missing where nothing is delivered.
    pub webhooks: Option<Duration>,
    /// Background services and whether their last round failed.
    pub services: &'a [(&'static str, bool)],
}

/// Metrics that are set when somebody scrapes. Those of a store, a disk or a broker that there is not are missing.
#[derive(Debug)]
pub(super) struct Shown {
    ready: Gauges,
    running: Gauges,
    waiting: Gauges,
    dead: Gauges,
    oldest: Fractions<1>,
    work: Fractions<1>,
    drain: Fractions<1>,
    arrivals: Fractions<1>,
    completions: Fractions<1>,
    slots: Gauges,
    workers: Gauges,
    paused: Gauges,
    stuck: Family<Labels<2>, Gauge>,
    assets: Gauges,
    imports: Family<Labels<1>, Counter>,
    imports_running: Family<Labels<0>, Gauge>,
    imports_open: Family<Labels<0>, Gauge>,
    purges: Family<Labels<0>, Gauge>,
    purges_overdue: Fractions<0>,
    free: Family<Labels<0>, Gauge>,
    free_least: Family<Labels<0>, Gauge>,
    broker: [Family<Labels<0>, Counter>; 4],
    broker_up: Family<Labels<0>, Gauge>,
    outlet: [Family<Labels<0>, Counter>; 2],
    untold: Fractions<0>,
    webhook_lag: Fractions<0>,
    service_failed: Gauges,
    process: Process,
}

impl Shown {
    pub(super) fn new(r: &mut Registry) -> Self {
        Self {
            ready: add(r, READY),
            running: add(r, RUNNING),
            waiting: add(r, WAITING),
            dead: add(r, DEAD),
            oldest: add(r, OLDEST),
            work: add(r, WORK),
            drain: add(r, DRAIN),
            arrivals: add(r, ARRIVALS),
            completions: add(r, COMPLETIONS),
            slots: add(r, SLOTS),
            workers: add(r, WORKERS),
            paused: add(r, PAUSED),
            stuck: add(r, STUCK),
            assets: add(r, ASSETS),
            imports: add(r, IMPORTS),
            imports_running: add(r, IMPORTS_RUNNING),
            imports_open: add(r, IMPORTS_OPEN),
            purges: add(r, PURGES),
            purges_overdue: add(r, PURGES_OVERDUE),
            free: add(r, FREE),
            free_least: add(r, FREE_LEAST),
            broker: [ANNOUNCED, RECEIVED, ACKNOWLEDGED, BROKER_FAILURES].map(|d| add(r, d)),
            broker_up: add(r, BROKER_UP),
            outlet: [TOLD, TELLING_FAILURES].map(|d| add(r, d)),
            untold: add(r, UNTOLD),
            webhook_lag: add(r, WEBHOOK_LAG),
            service_failed: add(r, SERVICE_FAILED),
            process: Process::new(r),
        }
    }

    pub(super) fn look(&self, scrape: &Scrape<'_>) {
        self.process.look();
        if let Some(store) = scrape.store {
            self.store(store);
        }
        if let Some((free, least)) = scrape.free_bytes {
            self.free.get_or_create(&[]).set(number(free));
            self.free_least.get_or_create(&[]).set(number(least));
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
        if let Some(imports) = scrape.imports {
            self.imports(imports);
        }
        if let Some(lag) = scrape.webhooks {
            self.webhook_lag.get_or_create(&[]).set(lag.as_secs_f64());
        }
        for (service, failed) in scrape.services {
            let labels = one(SERVICE_FAILED, *service);
            let gauge = self.service_failed.get_or_create(&labels);
            gauge.set(i64::from(*failed));
        }
    }

    fn store(&self, store: &StoreHealth) {
        let now = store.at;
        for queue in &store.queues {
            let labels = one(READY, queue.queue.as_str());
            let set = |family: &Gauges, value: u64| {
                family.get_or_create(&labels).set(number(value));
            };
            set(&self.ready, queue.ready);
            set(&self.running, queue.running);
            set(&self.waiting, queue.waiting);
            set(&self.dead, queue.dead);
            set(&self.slots, queue.slots.into());
            set(&self.workers, queue.workers.into());
            set(&self.paused, queue.paused.into());
            let age = queue.oldest_ready_at.map(|at| now.since(at));
            self.oldest
                .get_or_create(&labels)
                .set(age.unwrap_or_default().as_secs_f64());
            self.scale(queue, &labels);
        }
        for (state, count) in &store.assets {
            let labels = one(ASSETS, state.as_str());
            self.assets.get_or_create(&labels).set(number(*count));
        }
        self.imports_open
            .get_or_create(&[])
            .set(number(store.imports));
        let PurgeLoad {
            waiting, due_at, ..
        } = store.purges;
        self.purges.get_or_create(&[]).set(number(waiting));
        let overdue = due_at.map(|at| now.since(at)).unwrap_or_default();
        let gauge = self.purges_overdue.get_or_create(&[]);
        gauge.set(overdue.as_secs_f64());
    }

    fn imports(&self, now: ImportCounts) {
        for (outcome, now) in [
            ("done", now.done),
            ("again", now.again),
            ("failed", now.failed),
        ] {
            let counter = self.imports.get_or_create(&one(IMPORTS, outcome));
            counter.inc_by(now.saturating_sub(counter.get()));
        }
        self.imports_running
            .get_or_create(&[])
            .set(number(now.running));
    }

    /// What clusters are scaled by.
    fn scale(&self, queue: &QueueLoad, labels: &Labels<1>) {
        let set = |family: &Fractions<1>, value: f64| {
            family.get_or_create(labels).set(value);
        };
        set(&self.work, queue.work_seconds());
        set(&self.arrivals, queue.arrival_rate());
        set(&self.completions, queue.completion_rate());
        match queue.drain_seconds() {
            Some(seconds) => set(&self.drain, seconds),
            None => drop(self.drain.remove(labels)),
        }
        for obstacle in [Obstacle::NoQueue, Obstacle::NoCapability] {
            let stuck = queue.stuck.iter().filter(|s| s.obstacle == obstacle);
            let labels = [
                ("queue", labels[0].1.clone()),
                ("reason", obstacle.as_str().into()),
            ];
            let tasks: u64 = stuck.map(|s| s.tasks).sum();
            self.stuck.get_or_create(&labels).set(number(tasks));
        }
    }
}

/// Brings counters up to what somebody else has counted.
fn count(counters: &[Family<Labels<0>, Counter>], now: &[u64]) {
    for (counter, now) in counters.iter().zip(now) {
        let counter = counter.get_or_create(&[]);
        counter.inc_by(now.saturating_sub(counter.get()));
    }
}
