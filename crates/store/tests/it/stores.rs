//! The databases that tests run over: how each is made, opened and looked into. Every test runs over every store, but for those
//! that are about one database's own ways.

use crate::check;
use crate::given::{FakeWorld, Given};
use mediaflow_servers::Postgres;
use mediaflow_store::{Clock, Environment, PostgresOptions, PostgresStore, SqliteStore, Store};
use rusqlite::types::ValueRef;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::OnceCell;
use tokio_postgres::{NoTls, SimpleQueryMessage};

/// Makes a test of each function over each store: `module::sqlite::name`. A function that is in no list is dead code.
macro_rules! on_every_store {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[test]
            fn $test() {
                crate::stores::run(crate::stores::Dbms::Sqlite, super::$test);
            })+
        }

        mod postgres {
            $(#[test]
            fn $test() {
                crate::stores::run(crate::stores::Dbms::Postgres, super::$test);
            })+
        }
    };
}

/// Which database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dbms {
    Sqlite,
    Postgres,
}

/// One server for all tests, which have a database each, made from one whose schema is there already.
static SERVER: LazyLock<Server> = LazyLock::new(|| Server {
    postgres: Postgres::start(&["max_connections=300"]),
    template: OnceCell::new(),
    databases: AtomicU32::new(0),
});

struct Server {
    postgres: Postgres,
    template: OnceCell<()>,
    databases: AtomicU32,
}

impl Server {
    /// A new database's URL.
    async fn database(&self) -> String {
        let migrated = self.template.get_or_init(async || {
            let url = self.postgres.database("migrated");
            let world = Arc::<FakeWorld>::default();
            let store = PostgresStore::open(&url, world, PostgresOptions::default()).await;
            drop(store.unwrap());
            // A database with connections is nobody's template, and those of a pool end a little later.
            let admin = connect(&self.postgres.url("postgres")).await;
            let sql = "SELECT 1 FROM pg_stat_activity WHERE datname = 'migrated'";
            while !admin.query(sql, &[]).await.unwrap().is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        migrated.await;
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let admin = connect(&self.postgres.url("postgres")).await;
        let sql = format!("CREATE DATABASE {name} TEMPLATE migrated");
        admin.batch_execute(&sql).await.unwrap();
        self.postgres.url(&name)
    }
}

pub(crate) async fn connect(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    // It ends with the client.
    tokio::spawn(connection);
    client
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
    Postgres { url: String },
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
            Dbms::Postgres => Self::Postgres {
                url: SERVER.database().await,
            },
        }
    }

    /// As a process does at its start.
    pub(crate) async fn open(&self, world: &Arc<FakeWorld>) -> Arc<dyn Store> {
        let env = Arc::clone(world) as Arc<dyn Environment>;
        match self {
            Self::Sqlite { path, .. } => Arc::new(SqliteStore::open(path, env).unwrap()),
            Self::Postgres { url } => {
                let options = PostgresOptions {
                    connections: 4,
                    clock: Clock::Environment,
                    ..PostgresOptions::default()
                };
                let store = PostgresStore::open(url, env, options).await;
                Arc::new(store.unwrap())
            }
        }
    }

    /// A look at the rows behind the store's back.
    pub(crate) async fn look(&self) -> Database {
        match self {
            Self::Sqlite { path, .. } => {
                let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
                Database::Sqlite(rusqlite::Connection::open_with_flags(path, flags).unwrap())
            }
            Self::Postgres { url } => Database::Postgres(connect(url).await),
        }
    }
}

/// A connection that reads.
pub(crate) enum Database {
    Sqlite(rusqlite::Connection),
    Postgres(tokio_postgres::Client),
}

impl Database {
    pub(crate) fn dbms(&self) -> Dbms {
        match self {
            Self::Sqlite(_) => Dbms::Sqlite,
            Self::Postgres(_) => Dbms::Postgres,
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
            Self::Postgres(client) => {
                let messages = client.simple_query(sql).await.unwrap();
                let rows = messages.iter().filter_map(|message| match message {
                    SimpleQueryMessage::Row(row) => Some(row),
                    _ => None,
                });
                rows.map(|row| std::array::from_fn(|i| row.get(i).map(str::to_owned)))
                    .collect()
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
