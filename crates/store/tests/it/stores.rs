//! The databases that tests run over: how each is made, opened and looked into. Every test runs over every store, but for those
//! that are about one database's own ways.

use crate::check;
use crate::given::{FakeWorld, Given};
use mediaflow_store::{Environment, SqliteStore, Store};
use rusqlite::types::ValueRef;
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

/// Makes a test of each function over each store: `module::sqlite::name`. A function that is in no list is dead code.
macro_rules! on_every_store {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[test]
            fn $test() {
                crate::stores::run(crate::stores::Dbms::Sqlite, super::$test);
            })+
        }
    };
}

/// Which database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dbms {
    Sqlite,
}

/// Runs a test over an empty store; the rows that it leaves behind must agree with each other.
pub(crate) fn run(dbms: Dbms, test: impl AsyncFnOnce(&mut Given)) {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let mut given = Given::on(dbms).await;
        test(&mut given).await;
        check::rows(&given.place.look().await).await;
    });
}

/// Where a database is. It is gone with this value.
pub(crate) enum Place {
    Sqlite { path: PathBuf, _folder: TempDir },
}

impl Place {
    /// One that is empty. Nothing waits for a disk.
    pub(crate) async fn new(dbms: Dbms) -> Self {
        match dbms {
            Dbms::Sqlite => {
                let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
                let folder = folder.unwrap();
                Self::Sqlite {
                    path: folder.path().join("mediaflow.db"),
                    _folder: folder,
                }
            }
        }
    }

    /// As a process does at its start.
    pub(crate) async fn open(&self, world: &Arc<FakeWorld>) -> Arc<dyn Store> {
        let env = Arc::clone(world) as Arc<dyn Environment>;
        match self {
            Self::Sqlite { path, .. } => Arc::new(SqliteStore::open(path, env).unwrap()),
        }
    }

    /// A look at the rows behind the store's back.
    pub(crate) async fn look(&self) -> Database {
        match self {
            Self::Sqlite { path, .. } => {
                let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
                Database::Sqlite(rusqlite::Connection::open_with_flags(path, flags).unwrap())
            }
        }
    }
}

/// A connection that reads.
pub(crate) enum Database {
    Sqlite(rusqlite::Connection),
}

impl Database {
    pub(crate) fn dbms(&self) -> Dbms {
        match self {
            Self::Sqlite(_) => Dbms::Sqlite,
        }
    }

    /// Asks in SQL that both databases understand. A condition is not a value that both write alike; `CASE` makes it one.
    pub(crate) async fn ask<const COLUMNS: usize>(
        &self,
        sql: &str,
    ) -> Vec<[Option<String>; COLUMNS]> {
        match self {
            Self::Sqlite(conn) => {
                let mut statement = conn.prepare_cached(sql).unwrap();
                let found = statement.query_map([], |row| {
                    Ok(std::array::from_fn(|i| text(row.get_ref(i).unwrap())))
                });
                found.unwrap().collect::<Result<_, _>>().unwrap()
            }
        }
    }
}

fn text(value: ValueRef<'_>) -> Option<String> {
    Some(match value {
        ValueRef::Null => return None,
        ValueRef::Integer(n) => n.to_string(),
        ValueRef::Real(x) => x.to_string(),
        ValueRef::Text(text) => str::from_utf8(text).unwrap().to_owned(),
        ValueRef::Blob(bytes) => bytes.iter().map(|b| format!("{b:02x}")).collect(),
    })
}
