//! The store as the outside meets it: the real one, behind a connection that fails. Every verb goes through here, and
//! the oracle looks at what each of them changed.

use crate::coverage::Met;
use crate::oracle::{Oracle, Wrong};
use crate::plan::Fault;
use crate::seen::{self, Change};
use crate::trace::Trace;
use crate::trouble::Trouble;
use async_trait::async_trait;
use mediaflow_core::{AssetId, BlobId, Decision, TaskId, TaskState, TenantId, UploadId};
use mediaflow_store::{
    Accept, Accepted, AssetPatch, Capacity, Catalog as _, Claimed, Condemned, EventRecord,
    Generation, Intake as _, Lease, Pruning as _, Purge, Relaying as _, ReplayFilter, Report,
    Review as _, Servable, SqliteStore, StoreError, StoreHealth, Swept, Upkeep, Waiting, Walked,
    Work as _,
};
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// A mechanism that is taken away, to see whether the simulator notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// Nothing: the store as it is.
    Nothing,
    /// Whoever reports has the current fence.
    Fencing,
    /// What follows from a commit is done once, right after it, and never again.
    Outbox,
    /// Keys of requests are not kept.
    Idempotency,
    /// Nobody looks for leases that ran out.
    Sweeper,
}

pub(crate) struct Inner {
    pub(crate) oracle: Oracle,
    pub(crate) trace: Trace,
    pub(crate) wrong: Option<Wrong>,
    /// Changes that a broken outbox has to pass on at once.
    pub(crate) unsent: Vec<Change>,
    pub(crate) verbs: u64,
    last: i64,
}

/// The store with everything that can happen to a request.
#[derive(Clone)]
pub(crate) struct Database {
    store: Arc<SqliteStore>,
    trouble: Trouble,
    broken: Broken,
    inner: Arc<Mutex<Inner>>,
}

/// Runs what never waits.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => unreachable!("a store in memory never waits"),
    }
}

impl Database {
    pub(crate) fn new(
        store: Arc<SqliteStore>,
        trouble: Trouble,
        broken: Broken,
        trace: Trace,
    ) -> Self {
        let inner = Inner {
            oracle: Oracle::default(),
            trace,
            wrong: None,
            unsent: Vec::new(),
            verbs: 0,
            last: 0,
        };
        Self {
            store,
            trouble,
            broken,
            inner: Arc::new(Mutex::new(inner)),
        }
    }

    pub(crate) fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn broken(&self) -> Broken {
        self.broken
    }

    pub(crate) fn note(&self, what: std::fmt::Arguments<'_>) {
        self.inner()
            .trace
            .line(self.trouble.clock().true_now(), what);
    }

    pub(crate) fn wrong(&self, wrong: Wrong) {
        self.inner().wrong.get_or_insert(wrong);
    }

    /// Looks at rows, without anything going wrong.
    pub(crate) fn rows<T: Send + 'static>(
        &self,
        look: impl FnMut(&rusqlite::Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Option<T> {
        match now(self.store.inspect(look)) {
            Ok(found) => Some(found),
            Err(error) => {
                self.wrong(format!("the rows cannot be looked at: {error}"));
                None
            }
        }
    }

    /// Asks without anything going wrong, for what only the simulator wants to know.
    pub(crate) fn store(&self) -> &SqliteStore {
        &self.store
    }

    /// One verb with all that can happen to it.
    fn verb<T>(
        &self,
        name: &str,
        verb: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        if self.trouble.happens(Fault::Unreachable) {
            self.note(format_args!("{name}: unreachable"));
            return Err(StoreError::Database("simulated: no connection".into()));
        }
        let full = self.trouble.happens(Fault::DiskFull);
        if full {
            let (after, all_of_it) = (self.trouble.below(6), self.trouble.below(3) == 0);
            self.rows(move |conn| seen::fill(conn, after, all_of_it));
        }
        let result = now(verb);
        if full {
            self.rows(seen::relieve);
        }
        self.look(name, result.as_ref().err());
        if result.is_ok() && self.trouble.happens(Fault::AnswerLost) {
            self.note(format_args!("{name}: its answer is lost"));
            return Err(StoreError::Database(
                "simulated: the answer was lost".into(),
            ));
        }
        result
    }

    /// A verb that only reads, with all that can happen to it.
    fn query<T>(
        &self,
        name: &str,
        verb: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.inner().verbs += 1;
        if self.trouble.happens(Fault::Unreachable) {
            self.note(format_args!("{name}: unreachable"));
            return Err(StoreError::Database("simulated: no connection".into()));
        }
        self.note(format_args!("{name}"));
        now(verb)
    }

    fn look(&self, name: &str, error: Option<&StoreError>) {
        let last = self.inner().last;
        let Some((last, changes)) = self.rows(move |conn| seen::since(conn, last)) else {
            return;
        };
        let mut inner = self.inner();
        let inner = &mut *inner;
        inner.last = last;
        inner.verbs += 1;
        let at = self.trouble.clock().true_now();
        match error {
            None => inner.trace.line(at, format_args!("{name}")),
            Some(error) => inner.trace.line(at, format_args!("{name}: {error}")),
        }
        for change in &changes {
            inner.trace.line(at, format_args!("  {change:?}"));
        }
        if let Some(error) = error {
            let bug = error.to_string().contains("a bug stopped");
            if bug || !changes.is_empty() {
                inner
                    .wrong
                    .get_or_insert(format!("{name} failed ({error}) and changed {changes:?}"));
            }
        }
        if let Err(wrong) = inner.oracle.look(at, name, &changes) {
            inner.wrong.get_or_insert(wrong);
        }
        if self.broken == Broken::Outbox {
            inner.unsent.extend(changes);
        }
    }

    pub(crate) fn accept(&self, mut accept: Accept) -> Result<Accepted, StoreError> {
        if self.broken == Broken::Idempotency {
            accept.idempotency = None;
        }
        self.verb("accept", self.store.accept(accept))
    }

    pub(crate) fn claim(
        &self,
        request: uuid::Uuid,
        capacity: &Capacity,
    ) -> Result<Vec<Claimed>, StoreError> {
        let before = self.inner().oracle.transitions;
        let claimed = self.verb("claim", self.store.claim(request, capacity))?;
        self.hold(&claimed, capacity);
        let mut inner = self.inner();
        if inner.oracle.transitions == before {
            for task in &claimed {
                inner.oracle.meets(Met::Claim, task.lease.task);
            }
        }
        drop(inner);
        Ok(claimed)
    }

    /// What was given out is running, with this fence, and can be done by whoever got it.
    fn hold(&self, claimed: &[Claimed], capacity: &Capacity) {
        let mut inner = self.inner();
        for task in claimed {
            let can = |c: &&str| capacity.capabilities.iter().any(|own| own == c);
            if let Some(missing) = task.recipe.requires(task.step).iter().find(|c| !can(c)) {
                inner.wrong.get_or_insert(format!(
                    "{:?} was given to a worker without {missing}",
                    task.lease
                ));
            }
            let seen = inner.oracle.tasks.get(&task.lease.task);
            let valid =
                seen.is_some_and(|s| s.state == TaskState::Running && s.fence == task.lease.fence);
            if !valid {
                inner
                    .wrong
                    .get_or_insert(format!("{:?} was given out and is not held", task.lease));
            }
        }
    }

    pub(crate) fn heartbeat(
        &self,
        leases: &[Lease],
        lease: Duration,
    ) -> Result<Vec<Lease>, StoreError> {
        for lease in leases {
            self.inner().oracle.meets(Met::Heartbeat, lease.task);
        }
        let lost = self.verb("heartbeat", self.store.heartbeat(leases, lease))?;
        for lease in leases {
            if lost.contains(lease) == self.is_valid(*lease) {
                self.wrong(format!("a heartbeat of {lease:?} had the wrong answer"));
            }
        }
        Ok(lost)
    }

    fn is_valid(&self, lease: Lease) -> bool {
        let inner = self.inner();
        let seen = inner.oracle.tasks.get(&lease.task);
        seen.is_some_and(|s| s.state == TaskState::Running && s.fence == lease.fence)
    }

    pub(crate) fn report(
        &self,
        lease: Lease,
        report: Report,
        offer: Option<&Capacity>,
    ) -> Result<Vec<Claimed>, StoreError> {
        let met = match &report {
            Report::Succeeded(_) => Met::Success,
            Report::Failed(_) => Met::Failure,
            Report::HandedBack => Met::HandBack,
        };
        self.inner().oracle.meets(met, lease.task);
        let valid = self.is_valid(lease);
        let mut shown = lease;
        if self.broken == Broken::Fencing
            && let Some(task) = self.inner().oracle.tasks.get(&lease.task)
        {
            shown.fence = task.fence;
        }
        let before = self.inner().oracle.transitions;
        let result = self.verb("report", self.store.report(shown, report, offer));
        let key = (lease.task, lease.fence);
        let mut inner = self.inner();
        // Its answer may have been lost, so what happened tells, and not what was answered.
        if valid && inner.oracle.transitions > before {
            inner.oracle.taken.insert(key);
        }
        let known = valid || inner.oracle.taken.contains(&key);
        match &result {
            Ok(_) if !known => {
                inner
                    .wrong
                    .get_or_insert(format!("the old fence of {lease:?} was taken"));
            }
            Err(StoreError::StaleFence) if known => {
                inner
                    .wrong
                    .get_or_insert(format!("the good report of {lease:?} was refused"));
            }
            _ => {}
        }
        drop(inner);
        if let (Ok(offered), Some(capacity)) = (&result, offer) {
            self.hold(offered, capacity);
        }
        result
    }

    pub(crate) fn decide(
        &self,
        tenant: TenantId,
        asset: AssetId,
        decision: Decision,
    ) -> Result<(), StoreError> {
        self.inner().oracle.meets_all(Met::Decide, asset);
        let done = self.store.decide(tenant, asset, decision, None, "key:ann");
        self.verb("decide", done)
    }

    pub(crate) fn replay(&self, tenant: TenantId, task: TaskId) -> Result<bool, StoreError> {
        self.inner().oracle.meets(Met::Replay, task);
        self.verb("replay", self.store.replay(tenant, task))
    }

    pub(crate) fn replay_all(&self, tenant: TenantId) -> Result<u32, StoreError> {
        let filter = ReplayFilter::default();
        self.verb("replay all", self.store.replay_all(tenant, &filter, 100))
    }

    pub(crate) fn reprocess(
        &self,
        tenant: TenantId,
        asset: AssetId,
        new: Generation,
    ) -> Result<u32, StoreError> {
        self.inner().oracle.meets_all(Met::Reprocess, asset);
        let begun = self.verb("reprocess", self.store.reprocess(tenant, asset, new))?;
        if let Some(seen) = self.inner().oracle.assets.get_mut(&asset) {
            seen.oldest = seen.oldest.max(begun);
        }
        Ok(begun)
    }

    pub(crate) fn delete(&self, tenant: TenantId, asset: AssetId) -> Result<(), StoreError> {
        self.inner().oracle.meets_all(Met::Delete, asset);
        self.verb("delete", self.store.delete(tenant, asset))?;
        if let Some(seen) = self.inner().oracle.assets.get_mut(&asset) {
            seen.deleted = true;
        }
        Ok(())
    }

    pub(crate) fn update(
        &self,
        tenant: TenantId,
        asset: AssetId,
        patch: AssetPatch,
    ) -> Result<(), StoreError> {
        self.verb("update", self.store.update(tenant, asset, patch))
            .map(|_| ())
    }

    pub(crate) fn untold(&self, outlet: &str, limit: u32) -> Result<Vec<EventRecord>, StoreError> {
        self.query("untold", self.store.untold(outlet, limit))
    }

    pub(crate) fn told(&self, outlet: &str, position: u64) -> Result<(), StoreError> {
        self.verb("told", self.store.told(outlet, position))
    }

    pub(crate) fn prune_events(&self, age: Duration, outlet: &str) -> Result<bool, StoreError> {
        let outlets = [outlet];
        self.verb("prune events", self.store.prune_events(age, &outlets))
    }

    pub(crate) fn prune_tasks(
        &self,
        age: Duration,
        after: Option<AssetId>,
        limit: u32,
    ) -> Result<Walked, StoreError> {
        let walked = self.verb("prune tasks", self.store.prune_tasks(age, after, limit));
        // Its answer may have been lost, so what is left tells.
        if let Some(left) = self.rows(seen::tasks)
            && let Err(wrong) = self.inner().oracle.forget(&left)
        {
            self.wrong(wrong);
        }
        walked
    }

    pub(crate) fn renditions(&self, asset: AssetId) -> Result<Vec<Servable>, StoreError> {
        now(self.store.renditions(asset))
    }

    /// The process died, and another one opened the database.
    pub(crate) fn reopen(&self) {
        if let Err(error) = now(self.store.void_leases()) {
            self.wrong(format!("the database cannot be opened again: {error}"));
        }
        self.look("reopen", None);
    }
}

#[async_trait]
impl Upkeep for Database {
    async fn sweep(&self, limit: u32) -> Result<Swept, StoreError> {
        if self.broken == Broken::Sweeper {
            return Ok(Swept::default());
        }
        self.verb("sweep", self.store.sweep(limit))
    }

    async fn unclaimed(&self, age: Duration, limit: u32) -> Result<Vec<Waiting>, StoreError> {
        self.query("unclaimed", self.store.unclaimed(age, limit))
    }

    async fn condemn(&self, grace: Duration, limit: u32) -> Result<Vec<Condemned>, StoreError> {
        self.verb("condemn", self.store.condemn(grace, limit))
    }

    async fn forget(&self, blob: BlobId) -> Result<(), StoreError> {
        self.verb("forget", self.store.forget(blob))
    }

    async fn known_keys(&self, keys: &[String]) -> Result<Vec<String>, StoreError> {
        self.query("known keys", self.store.known_keys(keys))
    }

    async fn is_leased(&self, task: TaskId, fence: u64) -> Result<bool, StoreError> {
        self.query("is leased", self.store.is_leased(task, fence))
    }

    async fn open_among(&self, ids: &[UploadId]) -> Result<Vec<UploadId>, StoreError> {
        self.query("open among", self.store.open_among(ids))
    }

    async fn purges(&self, limit: u32) -> Result<Vec<Purge>, StoreError> {
        self.query("purges", self.store.purges(limit))
    }

    async fn purged(&self, id: i64, again_after: Option<Duration>) -> Result<(), StoreError> {
        self.verb("purged", self.store.purged(id, again_after))
    }

    async fn expire(
        &self,
        rejected_after: Duration,
        idempotency_after: Duration,
    ) -> Result<u32, StoreError> {
        self.verb(
            "expire",
            self.store.expire(rejected_after, idempotency_after),
        )
    }

    async fn health(&self) -> Result<StoreHealth, StoreError> {
        self.store.health().await
    }
}
