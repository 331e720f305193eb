//! The leases that this worker holds: what the API made for each, to be told back.

use mediaflow_core::BlobId;
use mediaflow_engine::store::{Lease, NewBlob};
use mediaflow_proto::worker::v1 as proto;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One lease.
#[derive(Debug)]
pub(crate) struct Held {
    /// The lease as the API told it.
    pub(crate) lease: proto::Lease,
    /// Rows that were told for it, by key.
    rows: Mutex<HashMap<String, proto::Blob>>,
    /// Seals of what was written for it, by key.
    written: Mutex<HashMap<String, String>>,
}

impl Held {
    pub(crate) fn learn(&self, row: Option<&proto::Blob>) {
        if let Some(row) = row {
            lock(&self.rows).insert(row.key.clone(), row.clone());
        }
    }

    pub(crate) fn row(&self, key: &str) -> Option<proto::Blob> {
        lock(&self.rows).get(key).cloned()
    }

    pub(crate) fn row_of(&self, id: BlobId) -> Option<proto::Blob> {
        let rows = lock(&self.rows);
        rows.values().find(|row| row.id == id.as_bytes()).cloned()
    }

    pub(crate) fn wrote(&self, key: &str, seal: String) {
        lock(&self.written).insert(key.to_owned(), seal);
    }

    /// What the report tells of a blob; the API refuses one that was never given an address.
    pub(crate) fn written(&self, blob: &NewBlob) -> proto::NewBlob {
        let seal = lock(&self.written).get(&blob.key).cloned();
        crate::codec::written_message(blob, seal.unwrap_or_default())
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Leases(Mutex<HashMap<Lease, Arc<Held>>>);

impl Leases {
    pub(crate) fn hold(&self, lease: Lease, told: &proto::Task) {
        let held = Held {
            lease: told.lease.clone().unwrap_or_default(),
            rows: Mutex::default(),
            written: Mutex::default(),
        };
        held.learn(told.original.as_ref());
        lock(&self.0).insert(lease, Arc::new(held));
    }

    pub(crate) fn of(&self, lease: Lease) -> Option<Arc<Held>> {
        lock(&self.0).get(&lease).cloned()
    }

    /// A lease that is held and was told of this key, best this one: what the tasks of one asset share may outlive the one
    /// that fetched it first.
    pub(crate) fn telling(&self, best: Lease, key: &str) -> Option<(Arc<Held>, proto::Blob)> {
        let all = lock(&self.0);
        let others = all.iter().filter(|(lease, _)| **lease != best);
        let mut held = all.get_key_value(&best).into_iter().chain(others);
        held.find_map(|(_, held)| Some((Arc::clone(held), held.row(key)?)))
    }

    pub(crate) fn forget(&self, lease: Lease) {
        lock(&self.0).remove(&lease);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
