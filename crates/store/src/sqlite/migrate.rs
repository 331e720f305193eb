//! Steps to the present shape, each applied once and in one transaction. `user_version` counts them; a table beside it tells
//! when each was done, and what a program must know to go on.

use super::{SqliteStore, lock};
use crate::StoreError;
use crate::schema::{
    Applied, Migration, MigrationRecord, Wanted, contract, due, expand, needs, records,
};
use mediaflow_core::Timestamp;
use rusqlite::{Connection, OpenFlags, params};
use std::path::Path;

const STEPS: &[Migration] = &[
    expand("initial", include_str!("migrations/0001_initial.sql")),
    expand("streams", include_str!("migrations/0002_streams.sql")),
    expand("quality", include_str!("migrations/0003_quality.sql")),
    expand("captions", include_str!("migrations/0004_captions.sql")),
    expand("packaging", include_str!("migrations/0005_packaging.sql")),
    expand("outlets", include_str!("migrations/0006_outlets.sql")),
    expand(
        "installation",
        include_str!("migrations/0007_installation.sql"),
    ),
    expand("queues", include_str!("migrations/0008_queues.sql")),
    expand("uploads", include_str!("migrations/0009_uploads.sql")),
    contract(10, "counts", include_str!("migrations/0010_counts.sql")),
    expand("pieces", include_str!("migrations/0011_pieces.sql")),
    expand("direct", include_str!("migrations/0012_direct.sql")),
    expand("imports", include_str!("migrations/0013_imports.sql")),
    expand("history", include_str!("migrations/0014_history.sql")),
    expand("webhooks", include_str!("migrations/0015_webhooks.sql")),
    expand("kinds", include_str!("migrations/0016_kinds.sql")),
];

const LEDGER: &str = "CREATE TABLE IF NOT EXISTS schema_version (
    version INTEGER PRIMARY KEY, name TEXT, applied_at INTEGER, needs INTEGER) STRICT";

impl SqliteStore {
    /// The steps of the database at `path`, which is not changed. Blocks.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn migrations(path: &Path) -> Result<Vec<MigrationRecord>, StoreError> {
        if !path.exists() {
            return Ok(records(STEPS, &[]));
        }
        let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        Ok(records(STEPS, &applied(&conn)?))
    }

    /// Applies all pending steps and answers how many there were. Blocks.
    ///
    /// # Errors
    /// Those of [`Self::open`].
    pub fn migrate(path: &Path, now: Timestamp) -> Result<usize, StoreError> {
        let _lock = lock::take(path)?;
        let mut conn = Connection::open(path)?;
        conn.pragma_update(None, "journal_mode", "wal")?;
        migrate(&mut conn, now)
    }
}

/// Brings the database to this program's version: it belongs to one process, so there is no older program to disturb.
pub(super) fn migrate(conn: &mut Connection, now: Timestamp) -> Result<usize, StoreError> {
    let found = applied(conn)?;
    let due = due(STEPS, &found, Wanted::All)?;
    for index in due.clone() {
        let tx = conn.transaction()?;
        tx.execute_batch(STEPS[index].sql)?;
        tx.execute_batch(LEDGER)?;
        for (before, step) in STEPS[..index].iter().enumerate() {
            tx.prepare_cached(
                "INSERT OR IGNORE INTO schema_version (version, name, needs) VALUES (?1, ?2, ?3)",
            )?
            .execute(params![before + 1, step.name, needs(STEPS, before + 1)])?;
        }
        tx.prepare_cached("INSERT INTO schema_version VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![
                index + 1,
                STEPS[index].name,
                now.0,
                needs(STEPS, index + 1)
            ])?;
        tx.pragma_update(None, "user_version", index + 1)?;
        tx.commit()?;
    }
    Ok(due.len())
}

fn applied(conn: &Connection) -> Result<Vec<Applied>, StoreError> {
    let level: usize = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let bare = |number| Applied {
        number,
        ..Applied::default()
    };
    let mut found: Vec<Applied> = (1..=level).map(bare).collect();
    if !conn.table_exists(None, "schema_version")? {
        return Ok(found);
    }
    let mut statement =
        conn.prepare("SELECT version, name, applied_at, needs FROM schema_version")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let number: usize = row.get(0)?;
        if let Some(place) = number.checked_sub(1).and_then(|place| found.get_mut(place)) {
            place.name = row.get(1)?;
            place.applied_at = row.get::<_, Option<i64>>(2)?.map(Timestamp);
            place.needs = row.get(3)?;
        }
    }
    Ok(found)
}
