//! The database's shape: numbered steps, each applied once and in one transaction.

use crate::StoreError;
use rusqlite::Connection;

const STEPS: &[&str] = &[
    include_str!("migrations/0001_initial.sql"),
    include_str!("migrations/0002_streams.sql"),
    include_str!("migrations/0003_quality.sql"),
    include_str!("migrations/0006_captions.sql"),
    include_str!("migrations/0007_packaging.sql"),
    include_str!("migrations/0008_outlets.sql"),
];

/// Brings the database to this program's version.
pub(super) fn migrate(conn: &mut Connection) -> Result<(), StoreError> {
    let version: usize = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version > STEPS.len() {
        return Err(StoreError::newer(version, STEPS.len()));
    }
    for (index, step) in STEPS.iter().enumerate().skip(version) {
        let tx = conn.transaction()?;
        tx.execute_batch(step)?;
        tx.pragma_update(None, "user_version", index + 1)?;
        tx.commit()?;
    }
    Ok(())
}
