//! The store on SQLite: one process, one file, one writer.
//!
//! A verb that changes anything runs on the writer's thread, a verb that only reads on one of the readers'
//! threads; none of them blocks the runtime. Deleting needs a little space itself: the log keeps what it once
//! grew to, so that there is some left when the disk is full.

mod blobs;
mod captions;
mod catalog;
mod claim;
mod cluster;
mod deliveries;
mod effects;
mod events;
mod frozen;
mod imports;
mod intake;
mod keys;
mod limits;
mod live;
mod lock;
mod measuring;
mod memory;
mod migrate;
mod output;
mod overview;
mod phase;
mod pieces;
#[cfg(test)]
mod plans;
mod premises;
mod pruning;
mod reader;
mod record;
mod relaying;
mod renditions;
mod review;
mod rows;
mod search;
mod shown;
mod streams;
mod switches;
mod task;
mod tasks;
mod tokens;
mod upkeep;
mod uploads;
mod webhooks;
mod work;
mod writer;

use crate::frozen::Frozen;
use crate::signals::WAITING_MAX;
use crate::{Environment, Signals, StoreError, Waiting, observe};
use cluster::Present;
use reader::Readers;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::any::type_name_of_val;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::{broadcast, watch};
use writer::{Bells, Session, Writer};

pub use premises::SqlitePremises;

const READERS: usize = 4;
/// Distinct statements that a connection keeps prepared.
const STATEMENTS_MAX: usize = 256;

/// MediaFlow's truth in one SQLite file.
///
/// It belongs to one process: opening it takes a lock, and whatever was running is counted as lost.
pub struct SqliteStore {
    // Fields are dropped in this order: the lock goes last.
    readers: Option<Readers>,
    writer: Writer,
    frozen: Arc<Frozen>,
    bells: Arc<Bells>,
    env: Arc<dyn Environment>,
    present: Arc<Present>,
    _lock: Option<File>,
}

impl SqliteStore {
    /// Opens the database at `path`, making or migrating it as needed. Blocks; meant for the start of a process.
    ///
    /// # Errors
    /// [`StoreError::Locked`] when another process has it open, [`StoreError::Full`] when it cannot be
    /// written, [`StoreError::Database`] when it is damaged or of a newer version.
    pub fn open(path: &Path, env: Arc<dyn Environment>) -> Result<Self, StoreError> {
        let lock = lock::take(path)?;
        let conn = Connection::open(path)?;
        conn.pragma_update(None, "journal_mode", "wal")?;
        let readers = || {
            let connections = (0..READERS).map(|_| {
                let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
                let conn = Connection::open_with_flags(path, flags)?;
                prepare(&conn, 16)?;
                Ok(conn)
            });
            let connections = connections.collect::<Result<_, StoreError>>()?;
            Readers::start(connections).map_err(|e| StoreError::Database(Box::new(e)))
        };
        Self::start(conn, env, Some(lock), |_| readers().map(Some))
    }

    /// A database that is gone when it is dropped, for tests and simulation. It has no threads: every verb runs
    /// where it is called, and is done when its future is first polled.
    ///
    /// # Errors
    /// When memory cannot be had.
    pub fn open_in_memory(env: Arc<dyn Environment>) -> Result<Self, StoreError> {
        Self::start(Connection::open_in_memory()?, env, None, |_| Ok(None))
    }

    /// Whatever runs is counted as lost, as when a process opens the database after another one died.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn void_leases(&self) -> Result<(), StoreError> {
        self.write(void_leases).await
    }

    /// Looks at the rows themselves, outside of any verb: for tests and simulation, which check what verbs do not tell.
    ///
    /// # Errors
    /// Those of `look`, and when the database does not answer.
    pub async fn inspect<T: Send + 'static>(
        &self,
        mut look: impl FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.write(move |s| Ok(look(s.conn)?)).await
    }

    fn start(
        mut conn: Connection,
        env: Arc<dyn Environment>,
        lock: Option<File>,
        readers: impl FnOnce(&Connection) -> Result<Option<Readers>, StoreError>,
    ) -> Result<Self, StoreError> {
        prepare(&conn, 64)?;
        migrate::migrate(&mut conn, env.now())?;
        phase::installation(&conn)?.may_start()?;
        let frozen = Arc::<Frozen>::default();
        {
            let tx = conn.unchecked_transaction()?;
            let session = Session::new(&tx, &*env, &frozen);
            void_leases(&session)?;
            session.memory.write(&tx)?;
            tx.commit()?;
        }
        let readers = readers(&conn)?;
        let bells = Arc::new(Bells {
            ready: watch::Sender::new(0),
            waiting: broadcast::Sender::new(WAITING_MAX),
            event: watch::Sender::new(events::end(&conn)?),
        });
        let writer = match &readers {
            None => Writer::inline(
                conn,
                Arc::clone(&env),
                Arc::clone(&frozen),
                Arc::clone(&bells),
            ),
            Some(_) => Writer::start(
                conn,
                Arc::clone(&env),
                Arc::clone(&frozen),
                Arc::clone(&bells),
            )
            .map_err(|e| StoreError::Database(Box::new(e)))?,
        };
        Ok(Self {
            readers,
            writer,
            frozen,
            bells,
            env,
            present: Arc::default(),
            _lock: lock,
        })
    }

    async fn write<T: Send + 'static>(
        &self,
        verb: impl FnMut(&Session<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let closure = type_name_of_val(&verb);
        observe::timed(closure, self.writer.run(verb)).await
    }

    async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection, &Frozen) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        match &self.readers {
            Some(readers) => {
                let closure = type_name_of_val(&query);
                let frozen = Arc::clone(&self.frozen);
                let reading = readers.run(move |conn| query(conn, &frozen));
                observe::timed(closure, reading).await
            }
            None => {
                // Alone in its transaction, it is never done again.
                let mut query = Some(query);
                let once = move |s: &Session<'_>| {
                    let query = query.take().expect("a verb runs once where it is alone");
                    query(s.conn, s.frozen)
                };
                self.write(once).await
            }
        }
    }
}

impl Signals for SqliteStore {
    fn on_ready(&self) -> watch::Receiver<u64> {
        self.bells.ready.subscribe()
    }

    fn on_waiting(&self) -> broadcast::Receiver<Waiting> {
        self.bells.waiting.subscribe()
    }

    fn on_event(&self) -> watch::Receiver<u64> {
        self.bells.event.subscribe()
    }
}

/// What every connection needs; a commit is durable when it returns, even if the power fails.
fn prepare(conn: &Connection, cache_mib: i64) -> Result<(), StoreError> {
    conn.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    // Without this every new value bound beside a partial index has its statement planned again, which
    // was measured to cost most of a verb's time.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    conn.busy_timeout(std::time::Duration::from_secs(5))?;
    conn.pragma_update(None, "synchronous", "full")?;
    conn.pragma_update(None, "foreign_keys", true)?;
    conn.pragma_update(None, "cache_size", -1024 * cache_mib)?;
    conn.pragma_update(None, "temp_store", "memory")?;
    conn.pragma_update(None, "journal_size_limit", 64 << 20)?;
    Ok(())
}

/// Whoever held a lease here was a thread of a process that is gone.
fn void_leases(s: &Session<'_>) -> Result<(), StoreError> {
    for task in task::running(s.conn)? {
        work::lose(s, task)?;
    }
    Ok(())
}
