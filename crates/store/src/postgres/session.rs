//! One verb's transaction, and when it is tried again.

use super::connect::{is_contention, is_outdated};
use super::rows::{named, time};
use super::{Clock, Core};
use crate::moving::Phase;
use crate::observe::{self, Recorded};
use crate::query::{Arg, Query};
use crate::{StoreError, Waiting};
use deadpool_postgres::Object;
use futures_util::future::{BoxFuture, join_all};
use mediaflow_core::Timestamp;
use std::any::type_name_of_val;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

/// Times that a transaction is tried which others are in the way of.
const TRIES_MAX: u32 = 6;

/// The database's time in milliseconds, and whether it takes changes.
const NOW: &str = "SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now,
            (SELECT phase FROM installation) AS phase";

const BEGIN: &str = "BEGIN";
/// Every statement is planned once for all values. PostgreSQL would plan those that find what is ready for each time anew, because
/// with the values it hopes for less, and that was measured to take longer than to run them.
const BEGIN_PLANNED: &str = "BEGIN; SET LOCAL plan_cache_mode = force_generic_plan";

/// A verb at work. It borrows its session, and what its caller lent it for longer than that, which is all that the
/// second argument of a verb tells the compiler.
pub(super) type Working<'s, T> = BoxFuture<'s, Result<T, StoreError>>;
pub(super) type Lent<'s, 'e> = PhantomData<&'s &'e ()>;

pub(super) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// What may be done again when a connection breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// All of it: done twice it is the same as done once.
    Always,
    /// Nothing after COMMIT was sent, because nobody knows whether it was done.
    BeforeCommit,
}

/// What a verb works with: a connection, in a transaction if the verb changes anything.
pub(super) struct Session {
    pub(super) core: Arc<Core>,
    /// When the verb began; for one that only reads, as far as the last transaction told this process.
    pub(super) now: Timestamp,
    /// Tasks that became ready and were not given to anybody.
    pub(super) ready: Vec<Waiting>,
    /// Set when an event was written.
    pub(super) recorded: bool,
    /// What was added to histories.
    pub(super) news: Vec<Recorded>,
    /// Whether changes are taken.
    pub(super) phase: Phase,
    conn: Option<Object>,
    in_transaction: bool,
    committing: bool,
}

impl Session {
    async fn open(core: &Arc<Core>) -> Result<Self, StoreError> {
        let conn = core.pool.get().await?;
        Ok(Self {
            core: Arc::clone(core),
            now: core.now(),
            ready: Vec::new(),
            recorded: false,
            news: Vec::new(),
            phase: Phase::Open,
            conn: Some(conn),
            in_transaction: false,
            committing: false,
        })
    }

    /// Begins a transaction and reads the time.
    async fn begin(&mut self, begin: &str) -> Result<(), StoreError> {
        self.in_transaction = true;
        let statement = self.conn().prepare_cached(NOW).await?;
        let conn = self.conn();
        let (begun, row) = tokio::join!(conn.batch_execute(begin), conn.query_one(&statement, &[]));
        begun?;
        let row = row?;
        let now = time(&row, "now")?;
        self.core.hear_time(now);
        self.now = match self.core.clock {
            Clock::Database => now,
            Clock::Environment => self.core.env.now(),
        };
        self.phase = named(&row, "phase", Phase::parse)?;
        self.phase.may_change()
    }

    async fn commit(&mut self) -> Result<(), StoreError> {
        self.committing = true;
        self.conn().batch_execute("COMMIT").await?;
        self.in_transaction = false;
        observe::committed(&self.news);
        if self.recorded {
            self.core.relay.wants();
        }
        if !self.ready.is_empty() {
            let bells = &self.core.bells;
            bells.ready.send_modify(|n| *n = n.wrapping_add(1));
            for waiting in self.ready.drain(..) {
                // Fails when nobody wants to know.
                let _ = bells.waiting.send(waiting);
            }
            self.core.tell.ready();
        }
        Ok(())
    }

    /// Has all statements prepared anew, on every connection: a migration changed what they answer, and who tries again may be given
    /// any of them.
    fn forget(&self) {
        self.core.pool.forget_statements();
    }

    fn conn(&self) -> &Object {
        self.conn.as_ref().expect("it is only taken when dropped")
    }

    /// All rows that a statement answers.
    pub(super) async fn query(
        &self,
        sql: &str,
        params: Params<'_>,
    ) -> Result<Vec<Row>, StoreError> {
        let statement = self.conn().prepare_cached(sql).await?;
        Ok(self.conn().query(&statement, params).await?)
    }

    /// The one row that a statement answers.
    pub(super) async fn one(&self, sql: &str, params: Params<'_>) -> Result<Row, StoreError> {
        let statement = self.conn().prepare_cached(sql).await?;
        Ok(self.conn().query_one(&statement, params).await?)
    }

    /// The row that a statement answers, or none.
    pub(super) async fn maybe(
        &self,
        sql: &str,
        params: Params<'_>,
    ) -> Result<Option<Row>, StoreError> {
        let statement = self.conn().prepare_cached(sql).await?;
        Ok(self.conn().query_opt(&statement, params).await?)
    }

    /// Runs a statement and answers how many rows it changed.
    pub(super) async fn execute(&self, sql: &str, params: Params<'_>) -> Result<u64, StoreError> {
        let statement = self.conn().prepare_cached(sql).await?;
        Ok(self.conn().execute(&statement, params).await?)
    }

    /// Runs statements that change the database's shape, which nobody prepares.
    pub(super) async fn batch(&self, sql: &str) -> Result<(), StoreError> {
        Ok(self.conn().batch_execute(sql).await?)
    }

    /// All rows that a list's statement finds, which is planned for its values and not kept.
    pub(super) async fn list(&self, query: &Query) -> Result<Vec<Row>, StoreError> {
        let (sql, params) = bound(query);
        Ok(self.conn().query_typed(&sql, &params).await?)
    }

    /// Runs statements one after the other without waiting between them; answers each one's rows.
    pub(super) async fn all(
        &self,
        calls: &[(&str, Params<'_>)],
    ) -> Result<Vec<Vec<Row>>, StoreError> {
        let conn = self.conn();
        let mut ready = Vec::with_capacity(calls.len());
        for (sql, params) in calls {
            // Prepared before any is sent, or one that is known would overtake one that is new.
            ready.push((conn.prepare_cached(sql).await?, *params));
        }
        let sent = ready
            .iter()
            .map(|(statement, params)| conn.query(statement, params));
        let answers = join_all(sent).await;
        Ok(answers.into_iter().collect::<Result<_, _>>()?)
    }
}

/// The database's time.
pub(super) async fn now(conn: &Object) -> Result<Timestamp, StoreError> {
    time(&conn.query_one(NOW, &[]).await?, "now")
}

/// A list's statement with its places numbered, and the values for them.
pub(super) fn bound(query: &Query) -> (String, Vec<(&(dyn ToSql + Sync), Type)>) {
    let mut sql = String::with_capacity(query.sql.len() + 16);
    for (n, part) in query.sql.split('?').enumerate() {
        if n > 0 {
            sql.push_str(&format!("${n}"));
        }
        sql.push_str(part);
    }
    (sql, query.args.iter().map(typed).collect())
}

fn typed(arg: &Arg) -> (&(dyn ToSql + Sync), Type) {
    match arg {
        Arg::Id(id) => (id, Type::UUID),
        Arg::Text(text) => (text, Type::TEXT),
        Arg::Number(number) => (number, Type::INT8),
        Arg::Real(number) => (number, Type::FLOAT8),
        Arg::Flag(flag) => (flag, Type::BOOL),
    }
}

impl Drop for Session {
    /// A transaction that was not committed is undone before anybody else gets its connection.
    fn drop(&mut self) {
        let Some(conn) = self.conn.take() else { return };
        if !self.in_transaction {
            return;
        }
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) if !conn.is_closed() => {
                runtime.spawn(async move {
                    if conn.batch_execute("ROLLBACK").await.is_err() {
                        drop(Object::take(conn));
                    }
                });
            }
            _ => drop(Object::take(conn)),
        }
    }
}

pub(super) async fn write<'e, T>(
    core: &Arc<Core>,
    repeat: Repeat,
    verb: impl for<'s> Fn(&'s mut Session, Lent<'s, 'e>) -> Working<'s, T>,
) -> Result<T, StoreError> {
    let closure = type_name_of_val(&verb);
    observe::timed(closure, transact(core, BEGIN, repeat, verb)).await
}

/// The same for a verb that is called all the time, and whose statements find their rows by keys.
pub(super) async fn write_often<'e, T>(
    core: &Arc<Core>,
    repeat: Repeat,
    verb: impl for<'s> Fn(&'s mut Session, Lent<'s, 'e>) -> Working<'s, T>,
) -> Result<T, StoreError> {
    let closure = type_name_of_val(&verb);
    observe::timed(closure, transact(core, BEGIN_PLANNED, repeat, verb)).await
}

async fn transact<'e, T>(
    core: &Arc<Core>,
    begin: &str,
    repeat: Repeat,
    verb: impl for<'s> Fn(&'s mut Session, Lent<'s, 'e>) -> Working<'s, T>,
) -> Result<T, StoreError> {
    let mut tries = 0;
    let mut broke = false;
    loop {
        tries += 1;
        let mut session = Session::open(core).await?;
        let done = match session.begin(begin).await {
            Ok(()) => verb(&mut session, PhantomData).await,
            Err(error) => Err(error),
        };
        let error = match done {
            Ok(answer) => match session.commit().await {
                Ok(()) => return Ok(answer),
                Err(error) => error,
            },
            Err(error) => error,
        };
        let may_be_done = session.committing && repeat == Repeat::BeforeCommit;
        match &error {
            _ if is_outdated(&error) && tries < TRIES_MAX => session.forget(),
            _ if is_contention(&error) && tries < TRIES_MAX => {
                drop(session);
                pause(core, tries).await;
            }
            StoreError::Unavailable(_) if !broke && !may_be_done && session.conn().is_closed() => {
                broke = true;
            }
            _ => return Err(error),
        }
    }
}

pub(super) async fn read<'e, T>(
    core: &Arc<Core>,
    query: impl for<'s> Fn(&'s Session, Lent<'s, 'e>) -> Working<'s, T>,
) -> Result<T, StoreError> {
    let closure = type_name_of_val(&query);
    observe::timed(closure, look(core, query)).await
}

async fn look<'e, T>(
    core: &Arc<Core>,
    query: impl for<'s> Fn(&'s Session, Lent<'s, 'e>) -> Working<'s, T>,
) -> Result<T, StoreError> {
    let session = Session::open(core).await?;
    match query(&session, PhantomData).await {
        Err(error) if is_outdated(&error) => {
            session.forget();
            query(&session, PhantomData).await
        }
        Err(StoreError::Unavailable(_)) if session.conn().is_closed() => {
            drop(session);
            query(&Session::open(core).await?, PhantomData).await
        }
        answer => answer,
    }
}

/// Longer with each try, and for each one a little else, so that the same two do not meet again.
async fn pause(core: &Core, tries: u32) {
    let most = 4u64 << tries;
    let ms = u64::from(core.env.jitter()) * most / u64::from(u32::MAX);
    tokio::time::sleep(Duration::from_millis(ms)).await;
}
