//! The database's shape: numbered steps, each applied once and in one transaction, by one process at a time.

use crate::StoreError;
use deadpool_postgres::Object;

const STEPS: &[&str] = &[
    include_str!("migrations/0001_initial.sql"),
    include_str!("migrations/0002_outlets.sql"),
];

/// Held while the shape changes. Any number will do that nobody else has.
const LOCK: i64 = 0x6d66_0001;

/// Brings the database to this program's version.
pub(super) async fn migrate(conn: &mut Object) -> Result<(), StoreError> {
    let tx = conn.transaction().await?;
    tx.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK])
        .await?;
    tx.batch_execute(
        "SET LOCAL client_min_messages = warning;
         CREATE TABLE IF NOT EXISTS schema_version (version bigint NOT NULL)",
    )
    .await?;
    let found = tx
        .query_opt("SELECT max(version) FROM schema_version", &[])
        .await?;
    let version: Option<i64> = found.map_or(Ok(None), |row| row.try_get(0))?;
    let version = usize::try_from(version.unwrap_or(0)).unwrap_or(usize::MAX);
    if version > STEPS.len() {
        return Err(StoreError::newer(version, STEPS.len()));
    }
    for (index, step) in STEPS.iter().enumerate().skip(version) {
        tx.batch_execute(step).await?;
        let version = i64::try_from(index + 1).expect("there are few steps");
        tx.execute("INSERT INTO schema_version VALUES ($1)", &[&version])
            .await?;
    }
    tx.commit().await?;
    Ok(())
}
