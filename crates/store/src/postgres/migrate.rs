//! Steps to the present shape, each applied once and in one transaction, by one process at a time, while others work.

use super::connect::Pool;
use super::rows::maybe_time;
use super::{PostgresOptions, PostgresStore};
use crate::StoreError;
use crate::schema::{Applied, Migration, MigrationRecord, Wanted, due, expand, needs, records};
use deadpool_postgres::Object;
use std::time::Duration;
use tokio_postgres::GenericClient;

const STEPS: &[Migration] = &[
    expand("initial", include_str!("migrations/0001_initial.sql")),
    expand("outlets", include_str!("migrations/0002_outlets.sql")),
    expand(
        "installation",
        include_str!("migrations/0003_installation.sql"),
    ),
    expand("queues", include_str!("migrations/0004_queues.sql")),
    expand("uploads", include_str!("migrations/0005_uploads.sql")),
    expand("oldest", include_str!("migrations/0006_oldest.sql")),
    expand("pieces", include_str!("migrations/0007_pieces.sql")),
    expand("direct", include_str!("migrations/0008_direct.sql")),
    expand("imports", include_str!("migrations/0009_imports.sql")),
    expand("history", include_str!("migrations/0010_history.sql")),
    expand("webhooks", include_str!("migrations/0011_webhooks.sql")),
    expand("kinds", include_str!("migrations/0012_kinds.sql")),
];

/// Held while the shape changes. Any number will do that nobody else has.
const LOCK: i64 = 0x6d66_0001;
/// Times that a step is tried which has to wait for others' transactions too long.
const TRIES_MAX: u32 = 5;

/// Releases before the second step recorded versions only; JSON has nothing where they have no column.
const APPLIED: &str = "SELECT version, to_jsonb(s) ->> 'name' AS name,
            (to_jsonb(s) ->> 'applied_at')::bigint AS applied_at, (to_jsonb(s) ->> 'needs')::bigint AS needs
     FROM schema_version s ORDER BY version";
const LEDGER: &str = "CREATE TABLE IF NOT EXISTS schema_version (version bigint NOT NULL);
     ALTER TABLE schema_version ADD COLUMN IF NOT EXISTS name text, ADD COLUMN IF NOT EXISTS applied_at bigint,
         ADD COLUMN IF NOT EXISTS needs bigint";
const RECORD: &str = "INSERT INTO schema_version (version, name, applied_at, needs)
     VALUES ($1, $2, floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint, $3)";

impl PostgresStore {
    /// The steps of the database at `url`, which is not changed.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn migrations(
        url: &str,
        options: &PostgresOptions,
    ) -> Result<Vec<MigrationRecord>, StoreError> {
        let conn = Pool::new(url, options)?.get().await?;
        Ok(records(STEPS, &applied(&**conn).await?))
    }

    /// Applies all pending steps, also those that end the work of older programs, and answers how many there were.
    ///
    /// # Errors
    /// Those of [`Self::open`].
    pub async fn migrate(url: &str, options: &PostgresOptions) -> Result<usize, StoreError> {
        let mut conn = Pool::new(url, options)?.get().await?;
        migrate(&mut conn, Wanted::All).await
    }
}

/// Brings the database to this program's version as far as that is `wanted`; answers how many steps were applied.
pub(super) async fn migrate(conn: &mut Object, wanted: Wanted) -> Result<usize, StoreError> {
    // Whoever finds nothing to do takes no lock.
    if due(STEPS, &applied(&***conn).await?, wanted)?.is_empty() {
        return Ok(0);
    }
    let mut tries = 0;
    loop {
        tries += 1;
        match apply(conn, wanted).await {
            Err(StoreError::Unavailable(error)) if tries < TRIES_MAX && !conn.is_closed() => {
                tracing::info!(%error, "a migration waits for others' transactions");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            done => return done,
        }
    }
}

async fn apply(conn: &mut Object, wanted: Wanted) -> Result<usize, StoreError> {
    let tx = conn.transaction().await?;
    tx.batch_execute(
        "SET LOCAL client_min_messages = warning; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0;
         SET LOCAL idle_in_transaction_session_timeout = 0",
    )
    .await?;
    tx.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK])
        .await?;
    let due = due(STEPS, &applied(&*tx).await?, wanted)?;
    // Who waits for a table's lock stops everybody behind him: not for long.
    tx.batch_execute("SET LOCAL lock_timeout = '3s'").await?;
    tx.batch_execute(LEDGER).await?;
    for index in due.clone() {
        tx.batch_execute(STEPS[index].sql).await?;
        let number = |n: usize| i64::try_from(n).expect("there are few steps");
        let row: [&(dyn tokio_postgres::types::ToSql + Sync); 3] = [
            &number(index + 1),
            &STEPS[index].name,
            &number(needs(STEPS, index + 1)),
        ];
        tx.execute(RECORD, &row).await?;
    }
    tx.commit().await?;
    Ok(due.len())
}

async fn applied(conn: &(impl GenericClient + Sync)) -> Result<Vec<Applied>, StoreError> {
    let known = conn
        .query_one("SELECT to_regclass('schema_version') IS NOT NULL", &[])
        .await?;
    if !known.try_get::<_, bool>(0)? {
        return Ok(Vec::new());
    }
    let number = |n: i64| usize::try_from(n).unwrap_or(usize::MAX);
    let rows = conn.query(APPLIED, &[]).await?;
    let found = rows.iter().map(|row| {
        Ok(Applied {
            number: number(row.try_get("version")?),
            name: row.try_get("name")?,
            applied_at: maybe_time(row, "applied_at")?,
            needs: row.try_get::<_, Option<i64>>("needs")?.map(number),
        })
    });
    found.collect()
}
