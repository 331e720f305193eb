//! The store on PostgreSQL: many processes, one cluster.
//!
//! Every verb is one transaction at READ COMMITTED. Locks are taken in one order: the runs of the assets at hand by
//! asset, their tasks by id, blobs, and last the virtual times of tenants, which everyone wants. What many callers
//! want at the same moment is done together, with as many statements as for one.

mod address;
mod begin;
mod blobs;
mod captions;
mod catalog;
mod changes;
mod claim;
mod cluster;
mod connect;
mod deliveries;
mod effects;
mod events;
mod flush;
mod frozen;
mod hand;
mod health;
mod imports;
mod indexing;
mod intake;
mod keys;
mod limits;
mod live;
mod measuring;
mod migrate;
mod output;
mod overview;
mod parts;
mod pins;
#[cfg(test)]
mod plans;
mod premises;
mod pruning;
mod queue;
mod record;
mod relay;
mod relaying;
mod report;
mod review;
mod rows;
mod search;
mod session;
mod shown;
mod streams;
mod switches;
mod tasks;
mod tell;
mod tokens;
mod turns;
mod unit;
mod upkeep;
mod uploads;
mod webhooks;
mod withdraw;
mod words;
mod work;

use crate::frozen::Frozen;
use crate::schema::Wanted;
use crate::signals::WAITING_MAX;
use crate::{Accepted, Claimed, Environment, Signals, StoreError, Waiting};
use connect::Pool;
use intake::Upload;
use mediaflow_core::{TenantId, Timestamp};
use queue::Queue;
use relay::Relay;
use report::Reported;
use std::collections::HashSet;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tell::Tell;
use tokio::sync::{broadcast, watch};

pub use premises::PostgresPremises;
use session::{Lent, Repeat, Session, Working};

/// Whose time leases and everything else go by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// The database's, the same for all processes.
    Database,
    /// The environment's, for tests that move it.
    Environment,
}

/// How a database is used.
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    /// Most connections of this process.
    pub connections: usize,
    /// A statement that takes longer is given up.
    pub statement_timeout: Duration,
    /// Whose time counts.
    pub clock: Clock,
    /// Whether processes tell each other through the database that tasks became ready; a broker may do that instead.
    pub tells_ready: bool,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            connections: 10,
            statement_timeout: Duration::from_secs(30),
            clock: Clock::Database,
            tells_ready: true,
        }
    }
}

/// MediaFlow's truth in a PostgreSQL database that many processes share.
///
/// Opening it voids no leases: other processes may hold them.
pub struct PostgresStore {
    core: Arc<Core>,
}

/// What verbs and background tasks share.
struct Core {
    pool: Pool,
    env: Arc<dyn Environment>,
    clock: Clock,
    /// By how many milliseconds the clock that counts is ahead of the environment's.
    ahead_ms: AtomicI64,
    frozen: Frozen,
    bells: Bells,
    relay: Relay,
    tell: Arc<Tell>,
    reports: Queue<Reported, Vec<Claimed>>,
    uploads: Queue<Upload, Accepted>,
    /// Those whose rows are known to be there.
    tenants: Mutex<HashSet<TenantId>>,
}

impl Core {
    /// The time that counts.
    fn now(&self) -> Timestamp {
        let ahead = self.ahead_ms.load(Ordering::Relaxed);
        Timestamp(self.env.now().0.saturating_add(ahead))
    }

    /// The database's time at this moment.
    fn hear_time(&self, now: Timestamp) {
        if self.clock == Clock::Database {
            let ahead = now.0.saturating_sub(self.env.now().0);
            self.ahead_ms.store(ahead, Ordering::Relaxed);
        }
    }
}

/// Signals that are raised after a commit.
struct Bells {
    ready: watch::Sender<u64>,
    waiting: broadcast::Sender<Waiting>,
    event: watch::Sender<u64>,
}

impl PostgresStore {
    /// Opens the database at `url` (`postgres://user@host/name`), making or migrating its tables as needed.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it cannot be reached, [`StoreError::Database`] when it is of a newer version
    /// or the URL cannot be read.
    pub async fn open(
        url: &str,
        env: Arc<dyn Environment>,
        options: PostgresOptions,
    ) -> Result<Self, StoreError> {
        let pool = Pool::new(url, &options)?;
        let mut conn = pool.get().await?;
        migrate::migrate(&mut conn, Wanted::Harmless).await?;
        let row = conn.query_one("SELECT * FROM installation", &[]).await?;
        premises::installation(&row)?.may_start()?;
        let position = relay::end(&conn).await?;
        let now = session::now(&conn).await?;
        drop(conn);
        let (reports, reported) = Queue::new("report");
        let (uploads, uploaded) = Queue::new("accept");
        let core = Arc::new(Core {
            pool,
            env,
            clock: options.clock,
            ahead_ms: AtomicI64::new(0),
            frozen: Frozen::default(),
            bells: Bells {
                ready: watch::Sender::new(0),
                waiting: broadcast::Sender::new(WAITING_MAX),
                event: watch::Sender::new(position),
            },
            relay: Relay::default(),
            tell: Arc::new(Tell::new(options.tells_ready)),
            reports,
            uploads,
            tenants: Mutex::default(),
        });
        core.hear_time(now);
        reported.start(&core, report::end_all);
        uploaded.start(&core, intake::take_all);
        relay::start(&core);
        tell::start(&core);
        Ok(Self { core })
    }

    /// Runs a verb that changes something in a transaction, again where that is safe and helps.
    async fn write<'e, T>(
        &self,
        repeat: Repeat,
        verb: impl for<'s> Fn(&'s mut Session, Lent<'s, 'e>) -> Working<'s, T>,
    ) -> Result<T, StoreError> {
        session::write(&self.core, repeat, verb).await
    }

    /// Runs a verb that only reads, once more if its connection broke. Each statement sees what was committed before it.
    async fn read<'e, T>(
        &self,
        query: impl for<'s> Fn(&'s Session, Lent<'s, 'e>) -> Working<'s, T>,
    ) -> Result<T, StoreError> {
        session::read(&self.core, query).await
    }
}

impl Signals for PostgresStore {
    fn on_ready(&self) -> watch::Receiver<u64> {
        self.core.bells.ready.subscribe()
    }

    fn on_waiting(&self) -> broadcast::Receiver<Waiting> {
        self.core.bells.waiting.subscribe()
    }

    fn on_event(&self) -> watch::Receiver<u64> {
        self.core.bells.event.subscribe()
    }
}
