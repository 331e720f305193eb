//! Whether this database takes changes. Another process, which moves the installation, may change that at any moment.

use super::rows::{id, maybe_time, named};
use crate::StoreError;
use crate::moving::{Installation, Phase};
use rusqlite::Connection;
use uuid::Uuid;

pub(super) fn phase(conn: &Connection) -> Result<Phase, StoreError> {
    let mut statement = conn.prepare_cached("SELECT phase FROM installation")?;
    Ok(statement.query_row([], |row| named(row, "phase", Phase::parse))?)
}

/// All that the database says of itself.
pub(super) fn installation(conn: &Connection) -> Result<Installation, StoreError> {
    let mut statement = conn.prepare_cached("SELECT * FROM installation")?;
    let found = statement.query_row([], |row| {
        Ok(Installation {
            id: id(row, "id")?,
            phase: named(row, "phase", Phase::parse)?,
            peer: row
                .get::<_, Option<[u8; 16]>>("peer")?
                .map(Uuid::from_bytes),
            place: row.get("place")?,
            since: maybe_time(row, "since")?,
        })
    });
    Ok(found?)
}
