//! What stores and blobs tell of their work.

use super::{
    BLOB_ERRORS, BLOB_RETRIES, BLOB_TIME, Labels, READY_TIME, RECORDED, STORE_ERRORS, STORE_TIME,
    Times, VIEWABLE_TIME, add, add_times, one, waiting_buckets,
};
use mediaflow_core::{ErrorCode, EventType};
use mediaflow_store::Recorded;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use uuid::Uuid;

#[derive(Debug, Clone)]
pub(super) struct Observed {
    verbs: Times<1>,
    store_errors: Family<Labels<2>, Counter>,
    recorded: Family<Labels<1>, Counter>,
    viewable: Times<0>,
    ready: Times<0>,
    requests: Times<1>,
    blob_errors: Family<Labels<2>, Counter>,
    retries: Counter,
}

impl Observed {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let recorded: Family<Labels<1>, Counter> = add(registry, RECORDED);
        // What was never there cannot be seen to rise from nothing.
        for kind in EventType::ALL {
            drop(recorded.get_or_create(&one(RECORDED, kind.as_str())));
        }
        Self {
            verbs: add_times(registry, STORE_TIME, verb_buckets),
            store_errors: add(registry, STORE_ERRORS),
            recorded,
            viewable: add_times(registry, VIEWABLE_TIME, waiting_buckets),
            ready: add_times(registry, READY_TIME, waiting_buckets),
            requests: add_times(registry, BLOB_TIME, blob_buckets),
            blob_errors: add(registry, BLOB_ERRORS),
            retries: add(registry, BLOB_RETRIES),
        }
    }
}

impl mediaflow_store::Observe for Observed {
    fn verb(&self, name: &'static str, took: Duration, failed: Option<ErrorCode>) {
        let time = self.verbs.get_or_create(&one(STORE_TIME, name));
        time.observe(took.as_secs_f64());
        if let Some(code) = failed {
            let labels = [("verb", name.into()), ("code", code.as_str().into())];
            self.store_errors.get_or_create(&labels).inc();
        }
    }

    fn recorded(&self, event: Recorded) {
        let labels = one(RECORDED, event.kind.as_str());
        self.recorded.get_or_create(&labels).inc();
        let time = match event.kind {
            EventType::AssetViewable => &self.viewable,
            EventType::AssetReady => &self.ready,
            _ => return,
        };
        // Of a later run nobody here knows when it began.
        if event.generation == 1
            && let Some(age) = age(event.asset.0)
        {
            time.get_or_create(&[]).observe(age.as_secs_f64());
        }
    }
}

impl mediaflow_blob::Observe for Observed {
    fn request(&self, action: &'static str, took: Duration, failed: Option<&'static str>) {
        let time = self.requests.get_or_create(&one(BLOB_TIME, action));
        time.observe(took.as_secs_f64());
        if let Some(reason) = failed {
            let labels = [("action", action.into()), ("reason", reason.into())];
            self.blob_errors.get_or_create(&labels).inc();
        }
    }

    fn retry(&self) {
        self.retries.inc();
    }
}

/// How long ago an id was given, which ids of version 7 tell.
pub(crate) fn age(id: Uuid) -> Option<Duration> {
    let (seconds, nanos) = id.get_timestamp()?.to_unix();
    let given = UNIX_EPOCH + Duration::new(seconds, nanos);
    SystemTime::now().duration_since(given).ok()
}

/// From a read in SQLite to a statement's time limit.
fn verb_buckets() -> Histogram {
    Histogram::new([
        0.0002, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0,
    ])
}

/// From a cached file to a large one on its way into a bucket.
fn blob_buckets() -> Histogram {
    Histogram::new([
        0.0002, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0, 120.0,
    ])
}
