//! A database that moves, beside the processes that work with it.

use super::PostgresOptions;
use super::connect::Pool;
use super::indexing::{READ_WORDS, WRITE_WORDS, texts};
use super::migrate;
use super::relay;
use super::rows::{get, id, maybe_time, named, number, sha};
use super::session::Params;
use crate::moving::table::{Kind, ROWS_TOGETHER, Row, Table, Value};
use crate::moving::{ASSETS_WITH, Installation, Phase, TABLES};
use crate::schema::Wanted;
use crate::{BlobRow, StoreError};
use deadpool_postgres::Object;
use futures_util::{StreamExt, pin_mut};
use mediaflow_core::BlobId;
use std::collections::HashSet;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

/// Transactions that are open in this database, but for our own.
const OPEN: &str = "SELECT l.virtualxid FROM pg_locks l JOIN pg_stat_activity a USING (pid)
     WHERE l.locktype = 'virtualxid' AND l.granted AND a.datname = current_database() AND l.pid <> pg_backend_pid()";
/// Those of them that still are.
const STILL_OPEN: &str = "SELECT count(*) FROM pg_locks WHERE locktype = 'virtualxid' AND granted AND virtualxid = ANY($1)";
/// Between two looks at whether they are.
const PAUSE: Duration = Duration::from_millis(20);

/// A database that moves.
pub struct PostgresPremises {
    conn: Object,
}

impl std::fmt::Debug for PostgresPremises {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresPremises").finish_non_exhaustive()
    }
}

impl PostgresPremises {
    pub(crate) async fn open(url: &str, options: &PostgresOptions) -> Result<Self, StoreError> {
        let mut conn = Pool::new(url, options)?.get().await?;
        migrate::migrate(&mut conn, Wanted::Harmless).await?;
        // A large table takes its time, and a step of ours may wait for the other side's.
        conn.batch_execute(
            "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0",
        )
        .await?;
        Ok(Self { conn })
    }

    async fn query(
        &self,
        sql: &str,
        params: Params<'_>,
    ) -> Result<Vec<tokio_postgres::Row>, StoreError> {
        Ok(self.conn.query(sql, params).await?)
    }

    pub(crate) async fn installation(&self) -> Result<Installation, StoreError> {
        let row = self.conn.query_one("SELECT * FROM installation", &[]);
        installation(&row.await?)
    }

    pub(crate) async fn enter(&self, installation: &Installation) -> Result<(), StoreError> {
        let params: Params<'_> = &[
            &installation.phase.as_str(),
            &installation.peer,
            &installation.place,
            &installation.since.map(|t| t.0),
        ];
        let sql = "UPDATE installation SET phase = $1, peer = $2, place = $3, since = $4";
        self.conn.execute(sql, params).await?;
        Ok(())
    }

    pub(crate) async fn settle(&self, patience: Duration) -> Result<(), StoreError> {
        let open = self.query(OPEN, &[]).await?;
        let open: Vec<String> = open.iter().map(|row| row.get(0)).collect();
        let began = Instant::now();
        while self.query(STILL_OPEN, &[&open]).await?[0].get::<_, i64>(0) > 0 {
            if began.elapsed() > patience {
                let text = "a transaction of another program does not end";
                return Err(StoreError::Unavailable(text.into()));
            }
            tokio::time::sleep(PAUSE).await;
        }
        relay::number_rest(&self.conn).await
    }

    pub(crate) async fn count(&self, sql: &str) -> Result<u64, StoreError> {
        let row = self.conn.query_one(sql, &[]).await?;
        Ok(u64::try_from(row.try_get::<_, i64>(0)?).unwrap_or(0))
    }

    pub(crate) async fn execute(&self, sql: &str) -> Result<(), StoreError> {
        Ok(self.conn.batch_execute(sql).await?)
    }

    pub(crate) async fn blobs_after(
        &self,
        after: Uuid,
        limit: u32,
    ) -> Result<Vec<BlobRow>, StoreError> {
        let sql = "SELECT id, sha256, bytes, key FROM blobs WHERE condemned_at IS NULL AND id > $1 ORDER BY id LIMIT $2";
        let rows = self.query(sql, &[&after, &i64::from(limit)]).await?;
        let read = |row| {
            Ok(BlobRow {
                id: id::<BlobId>(row, "id")?,
                sha256: sha(row, "sha256")?,
                bytes: number(row, "bytes")?,
                key: get(row, "key")?,
            })
        };
        rows.iter().map(read).collect()
    }

    pub(crate) async fn assets_with(&self, blob: Uuid) -> Result<Vec<Uuid>, StoreError> {
        let rows = self.query(ASSETS_WITH, &[&blob]).await?;
        rows.iter().map(|row| get(row, "asset")).collect()
    }

    pub(crate) async fn arrived(&self, blobs: &[Uuid]) -> Result<HashSet<Uuid>, StoreError> {
        let sql = "SELECT blob FROM arrivals WHERE blob = ANY($1)";
        let rows = self.query(sql, &[&blobs]).await?;
        rows.iter().map(|row| get(row, "blob")).collect()
    }

    pub(crate) async fn note_arrived(&self, blobs: &[Uuid]) -> Result<(), StoreError> {
        let sql = "INSERT INTO arrivals SELECT unnest($1::uuid[]) ON CONFLICT DO NOTHING";
        self.conn.execute(sql, &[&blobs]).await?;
        Ok(())
    }

    pub(crate) async fn begin_reading(&self) -> Result<(), StoreError> {
        self.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            .await
    }

    /// Begins the transaction of all rows, with empty tables.
    pub(crate) async fn begin_writing(&self) -> Result<(), StoreError> {
        let tables: Vec<_> = TABLES.iter().map(|table| table.name).collect();
        let tables = tables.join(", ");
        let sql = format!(
            "BEGIN; TRUNCATE {tables}, asset_words, task_deltas, asset_deltas, ready_deltas, unfinished_deltas, queue_minutes"
        );
        self.execute(&sql).await
    }

    pub(crate) async fn commit(&self) -> Result<(), StoreError> {
        self.execute("COMMIT").await
    }

    pub(crate) async fn read(
        &self,
        table: &'static Table,
        sender: mpsc::Sender<Vec<Row>>,
    ) -> Result<(), StoreError> {
        let none: [&(dyn ToSql + Sync); 0] = [];
        let rows = self.conn.query_raw(&table.select(), none).await?;
        pin_mut!(rows);
        let mut together = Vec::with_capacity(ROWS_TOGETHER);
        while let Some(row) = rows.next().await {
            let row = row?;
            let values = table.columns.iter().enumerate();
            let row = values.map(|(i, (_, kind))| value(&row, i, *kind));
            together.push(row.collect::<Result<Row, StoreError>>()?);
            if together.len() == ROWS_TOGETHER
                && sender.send(std::mem::take(&mut together)).await.is_err()
            {
                return Ok(());
            }
        }
        // Nobody takes them any more only when the copy has failed elsewhere.
        let _ = sender.send(together).await;
        Ok(())
    }

    pub(crate) async fn write(
        &self,
        table: &'static Table,
        mut rows: mpsc::Receiver<Vec<Row>>,
    ) -> Result<(), StoreError> {
        let names = table.names().collect::<Vec<_>>().join(", ");
        let sql = format!("COPY {} ({names}) FROM STDIN BINARY", table.name);
        let types: Vec<Type> = table.columns.iter().map(|(_, k)| k.postgres()).collect();
        let writer = BinaryCopyInWriter::new(self.conn.copy_in(&sql).await?, &types);
        pin_mut!(writer);
        while let Some(rows) = rows.recv().await {
            for row in rows {
                let row: Vec<&(dyn ToSql + Sync)> = row.iter().map(|value| value as _).collect();
                writer.as_mut().write(&row).await?;
            }
        }
        writer.finish().await?;
        Ok(())
    }

    /// Makes again what does not move: the words that assets are found by, and the number of the next event.
    pub(crate) async fn derive(&self) -> Result<(), StoreError> {
        self.execute("UPDATE relay SET position = (SELECT coalesce(max(position), 0) FROM events)")
            .await?;
        let assets = self
            .query("SELECT id FROM assets WHERE state <> 'deleted'", &[])
            .await?;
        let assets = assets.iter().map(|row| get(row, "id"));
        let assets = assets.collect::<Result<Vec<Uuid>, _>>()?;
        for some in assets.chunks(ROWS_TOGETHER) {
            let (found, texts) = texts(&self.query(READ_WORDS, &[&some]).await?)?;
            self.conn.execute(WRITE_WORDS, &[&found, &texts]).await?;
        }
        // Plans for empty tables would be kept until somebody looks at them again.
        self.execute("ANALYZE").await
    }
}

/// All that the database says of itself.
pub(super) fn installation(row: &tokio_postgres::Row) -> Result<Installation, StoreError> {
    Ok(Installation {
        id: id(row, "id")?,
        phase: named(row, "phase", Phase::parse)?,
        peer: get(row, "peer")?,
        place: get(row, "place")?,
        since: maybe_time(row, "since")?,
    })
}

fn value(row: &tokio_postgres::Row, i: usize, kind: Kind) -> Result<Value, StoreError> {
    let found = match kind {
        Kind::Id => row.try_get::<_, Option<Uuid>>(i)?.map(Value::Id),
        Kind::Bytes => row.try_get::<_, Option<Vec<u8>>>(i)?.map(Value::Bytes),
        Kind::Text => row.try_get::<_, Option<String>>(i)?.map(Value::Text),
        Kind::Int => row.try_get::<_, Option<i64>>(i)?.map(Value::Int),
        Kind::Real => row.try_get::<_, Option<f64>>(i)?.map(Value::Real),
        Kind::Flag => row.try_get::<_, Option<bool>>(i)?.map(Value::Flag),
    };
    Ok(found.unwrap_or(Value::Null))
}
