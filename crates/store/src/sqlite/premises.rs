//! A database that moves, opened beside the process that may work with it: SQLite lets several processes do that, and every
//! transaction of the working one looks at the phase.

use super::phase::installation;
use super::rows::id;
use super::search::index_words;
use super::{SqliteStore, lock, migrate, prepare};
use crate::moving::table::{Kind, ROWS_TOGETHER, Row, Table, Value};
use crate::moving::{ASSETS_WITH, Installation, TABLES};
use crate::{BlobRow, MigrationState, StoreError};
use mediaflow_core::{AssetId, BlobId, Sha256, Timestamp};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, ToSql, params, params_from_iter};
use std::collections::HashSet;
use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;
use uuid::Uuid;

/// A database that moves.
#[derive(Debug)]
pub struct SqlitePremises {
    conn: Arc<Mutex<Connection>>,
    /// Held where rows arrive: no other process may open it meanwhile.
    _lock: Option<File>,
}

impl SqlitePremises {
    pub(crate) fn open(path: &Path, arrives: bool, now: Timestamp) -> Result<Self, StoreError> {
        if !arrives && !path.exists() {
            return Err(StoreError::Database("there is no such database".into()));
        }
        let is_pending = |m: &crate::MigrationRecord| m.state == MigrationState::Pending;
        let is_old = SqliteStore::migrations(path)?.iter().any(is_pending);
        let lock = match arrives || is_old {
            true => Some(lock::take(path)?),
            false => None,
        };
        let mut conn = Connection::open(path)?;
        conn.pragma_update(None, "journal_mode", "wal")?;
        prepare(&conn, 64)?;
        migrate::migrate(&mut conn, now)?;
        Ok(Self {
            conn: Arc::new(Mutex::new(conn)),
            _lock: lock.filter(|_| arrives),
        })
    }

    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let conn = Arc::clone(&self.conn);
        let done = tokio::task::spawn_blocking(move || {
            work(&conn.lock().unwrap_or_else(PoisonError::into_inner))
        });
        done.await
            .unwrap_or_else(|e| Err(StoreError::Database(Box::new(e))))
    }

    pub(crate) async fn installation(&self) -> Result<Installation, StoreError> {
        self.with(installation).await
    }

    pub(crate) async fn enter(&self, installation: &Installation) -> Result<(), StoreError> {
        let to = installation.clone();
        self.with(move |conn| {
            conn.prepare_cached(
                "UPDATE installation SET phase = ?1, peer = ?2, place = ?3, since = ?4",
            )?
            .execute(params![
                to.phase.as_str(),
                to.peer.map(Uuid::into_bytes),
                to.place,
                to.since.map(|t| t.0)
            ])?;
            Ok(())
        })
        .await
    }

    pub(crate) async fn count(&self, sql: &'static str) -> Result<u64, StoreError> {
        self.with(move |conn| Ok(conn.query_row(sql, [], |row| row.get(0))?))
            .await
    }

    pub(crate) async fn execute(&self, sql: &'static str) -> Result<(), StoreError> {
        self.with(move |conn| Ok(conn.execute_batch(sql)?)).await
    }

    pub(crate) async fn blobs_after(
        &self,
        after: Uuid,
        limit: u32,
    ) -> Result<Vec<BlobRow>, StoreError> {
        self.with(move |conn| {
            let mut statement = conn.prepare_cached(
                "SELECT id, sha256, bytes, key FROM blobs WHERE condemned_at IS NULL AND id > ?1 ORDER BY id LIMIT ?2",
            )?;
            let read = |row: &rusqlite::Row<'_>| {
                Ok(BlobRow {
                    id: BlobId(Uuid::from_bytes(row.get(0)?)),
                    sha256: Sha256(row.get(1)?),
                    bytes: row.get(2)?,
                    key: row.get(3)?,
                })
            };
            let found = statement.query_map(params![after.into_bytes(), limit], read)?;
            Ok(found.collect::<Result<_, _>>()?)
        })
        .await
    }

    pub(crate) async fn assets_with(&self, blob: Uuid) -> Result<Vec<Uuid>, StoreError> {
        self.with(move |conn| {
            let mut statement = conn.prepare_cached(&ASSETS_WITH.replace("$1", "?1"))?;
            let read = |row: &rusqlite::Row<'_>| Ok(Uuid::from_bytes(row.get(0)?));
            let found = statement.query_map([blob.into_bytes()], read)?;
            Ok(found.collect::<Result<_, _>>()?)
        })
        .await
    }

    pub(crate) async fn arrived(&self, blobs: &[Uuid]) -> Result<HashSet<Uuid>, StoreError> {
        let blobs = blobs.to_vec();
        self.with(move |conn| {
            let mut statement = conn.prepare_cached("SELECT blob FROM arrivals WHERE blob = ?1")?;
            let mut found = HashSet::new();
            for blob in blobs {
                let row = |row: &rusqlite::Row<'_>| row.get(0).map(Uuid::from_bytes);
                found.extend(statement.query_row([blob.into_bytes()], row).optional()?);
            }
            Ok(found)
        })
        .await
    }

    pub(crate) async fn note_arrived(&self, blobs: &[Uuid]) -> Result<(), StoreError> {
        let blobs = blobs.to_vec();
        self.with(move |conn| {
            let tx = conn.unchecked_transaction()?;
            for blob in blobs {
                tx.prepare_cached("INSERT OR IGNORE INTO arrivals VALUES (?1)")?
                    .execute([blob.into_bytes()])?;
            }
            Ok(tx.commit()?)
        })
        .await
    }

    pub(crate) async fn begin_reading(&self) -> Result<(), StoreError> {
        self.execute("BEGIN; SELECT count(*) FROM installation")
            .await
    }

    /// Begins the transaction of all rows, with empty tables.
    pub(crate) async fn begin_writing(&self) -> Result<(), StoreError> {
        self.with(|conn| {
            conn.execute_batch("BEGIN IMMEDIATE")?;
            for table in TABLES.iter().rev() {
                conn.execute_batch(&format!("DELETE FROM {}", table.name))?;
            }
            Ok(conn.execute_batch(
                "DELETE FROM asset_text; DELETE FROM task_counts; DELETE FROM asset_counts; DELETE FROM unfinished;
                 DELETE FROM queue_minutes",
            )?)
        })
        .await
    }

    pub(crate) async fn commit(&self) -> Result<(), StoreError> {
        self.execute("COMMIT").await
    }

    pub(crate) async fn read(
        &self,
        table: &'static Table,
        sender: mpsc::Sender<Vec<Row>>,
    ) -> Result<(), StoreError> {
        self.with(move |conn| {
            let mut statement = conn.prepare(&table.select())?;
            let mut rows = statement.query([])?;
            let mut together = Vec::with_capacity(ROWS_TOGETHER);
            while let Some(row) = rows.next()? {
                let values = table.columns.iter().enumerate();
                let row = values.map(|(i, (_, kind))| value(row.get_ref(i)?, *kind));
                together.push(row.collect::<rusqlite::Result<Row>>()?);
                if together.len() == ROWS_TOGETHER
                    && sender.blocking_send(std::mem::take(&mut together)).is_err()
                {
                    return Ok(());
                }
            }
            // Nobody takes them any more only when the copy has failed elsewhere.
            let _ = sender.blocking_send(together);
            Ok(())
        })
        .await
    }

    pub(crate) async fn write(
        &self,
        table: &'static Table,
        mut rows: mpsc::Receiver<Vec<Row>>,
    ) -> Result<(), StoreError> {
        self.with(move |conn| {
            let names = table.names().collect::<Vec<_>>().join(", ");
            let places = vec!["?"; table.columns.len()].join(", ");
            let sql = format!("INSERT INTO {} ({names}) VALUES ({places})", table.name);
            let mut insert = conn.prepare(&sql)?;
            while let Some(rows) = rows.blocking_recv() {
                for row in rows {
                    insert.execute(params_from_iter(row.iter()))?;
                }
            }
            Ok(())
        })
        .await
    }

    /// Makes again what does not move: the words that assets are found by, and counts.
    pub(crate) async fn derive(&self) -> Result<(), StoreError> {
        self.with(|conn| {
            let mut statement = conn.prepare("SELECT id FROM assets WHERE state <> 'deleted'")?;
            let assets = statement.query_map([], |row| id(row, "id"))?;
            for asset in assets.collect::<rusqlite::Result<Vec<AssetId>>>()? {
                index_words(conn, asset)?;
            }
            conn.execute_batch(
                "INSERT INTO task_counts (queue, state, tasks, cpu_ms)
                 SELECT queue, state, count(*), iif(state = 'ready', sum(cpu_ms), 0) FROM tasks GROUP BY queue, state",
            )?;
            Ok(())
        })
        .await
    }
}

fn value(found: ValueRef<'_>, kind: Kind) -> rusqlite::Result<Value> {
    Ok(match (found, kind) {
        (ValueRef::Null, _) => Value::Null,
        (ValueRef::Integer(n), Kind::Flag) => Value::Flag(n != 0),
        (_, Kind::Id) => Value::Id(Uuid::from_slice(found.as_blob()?).unwrap_or_default()),
        (_, Kind::Bytes) => Value::Bytes(found.as_blob()?.to_vec()),
        (_, Kind::Text) => Value::Text(found.as_str()?.to_owned()),
        (_, Kind::Int | Kind::Flag) => Value::Int(found.as_i64()?),
        (_, Kind::Real) => Value::Real(found.as_f64()?),
    })
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Id(id) => ValueRef::Blob(id.as_bytes()),
            Self::Bytes(bytes) => ValueRef::Blob(bytes),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Int(number) => ValueRef::Integer(*number),
            Self::Real(number) => ValueRef::Real(*number),
            Self::Flag(flag) => ValueRef::Integer(i64::from(*flag)),
        }))
    }
}
