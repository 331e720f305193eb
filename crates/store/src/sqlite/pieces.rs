//! What tasks of a generation made of the original for each other: recorded, read, dropped.

use super::blobs::{adopt, blob, let_go};
use super::live::Live;
use super::writer::Session;
use crate::{BlobRow, Output, StoreError};
use mediaflow_core::AssetId;
use rusqlite::{Connection, params};

impl Live {
    /// In the place of what is there.
    pub(super) fn keep_pieces(&self, s: &Session<'_>, output: &Output) -> Result<(), StoreError> {
        if output.pieces.is_empty() {
            return Ok(());
        }
        self.drop_pieces(s)?;
        for (number, new) in output.pieces.iter().enumerate() {
            let blob = adopt(s, self.tenant, new)?;
            s.conn
                .prepare_cached(
                    "INSERT INTO pieces (asset, generation, number, blob) VALUES (?1, ?2, ?3, ?4)",
                )?
                .execute(params![
                    self.asset.as_bytes(),
                    self.run.generation,
                    number,
                    blob.id.as_bytes(),
                ])?;
        }
        Ok(())
    }

    pub(super) fn drop_pieces(&self, s: &Session<'_>) -> Result<(), StoreError> {
        let_go(
            s,
            "DELETE FROM pieces WHERE asset = ?1 AND generation = ?2 RETURNING blob",
            params![self.asset.as_bytes(), self.run.generation],
        )
    }
}

/// Drops those of generations before `end`.
pub(super) fn withdraw(s: &Session<'_>, asset: AssetId, end: u32) -> Result<(), StoreError> {
    let_go(
        s,
        "DELETE FROM pieces WHERE asset = ?1 AND generation < ?2 RETURNING blob",
        params![asset.as_bytes(), end],
    )
}

pub(super) fn of_generation(
    conn: &Connection,
    asset: AssetId,
    generation: u32,
) -> Result<Vec<BlobRow>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT b.id AS blob_id, b.sha256 AS blob_sha256, b.bytes AS blob_bytes, b.key AS blob_key
         FROM pieces p JOIN blobs b ON b.id = p.blob WHERE p.asset = ?1 AND p.generation = ?2 ORDER BY p.number",
    )?;
    let rows = statement.query_map(params![asset.as_bytes(), generation], blob)?;
    Ok(rows.collect::<Result<_, _>>()?)
}
