//! Histories: of one asset by its own numbers, of everything by position.

use super::pruning::pruned;
use super::rows::{id, json, named, time};
use crate::{EventPage, EventRecord, StoreError};
use mediaflow_core::{AssetId, EventType, TenantId};
use rusqlite::{Connection, Row, params};

pub(super) const HISTORY: &str =
    "SELECT e.*, a.correlation_id FROM events e JOIN assets a ON a.id = e.asset
     WHERE e.asset = ?1 AND e.sequence > ?2 ORDER BY e.sequence LIMIT ?3";
pub(super) const FEED: &str =
    "SELECT e.*, a.correlation_id FROM events e INDEXED BY events_by_tenant CROSS JOIN assets a ON a.id = e.asset
     WHERE e.tenant = ?1 AND e.position > ?2 ORDER BY e.position LIMIT ?3";
/// After which number of an asset nothing is missing, of those after a given one.
const KEPT: &str = "SELECT coalesce((SELECT min(sequence) - 1 FROM events WHERE asset = a.id AND sequence > ?2), r.sequence)
     FROM assets a JOIN runs r ON r.asset = a.id AND r.generation = a.generation WHERE a.id = ?1";

pub(super) fn event(row: &Row<'_>) -> rusqlite::Result<EventRecord> {
    Ok(EventRecord {
        id: id(row, "id")?,
        position: row.get("position")?,
        asset: id(row, "asset")?,
        tenant: id(row, "tenant")?,
        sequence: row.get("sequence")?,
        kind: named(row, "type", EventType::parse)?,
        at: time(row, "at")?,
        data: json(row, "data")?,
        correlation_id: row.get("correlation_id")?,
    })
}

/// One asset's history after `sequence`.
pub(super) fn history(
    conn: &Connection,
    tenant: TenantId,
    asset: AssetId,
    after: u64,
    limit: u32,
) -> Result<EventPage, StoreError> {
    let known: bool = conn
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM assets WHERE id = ?1 AND tenant = ?2)")?
        .query_row(params![asset.as_bytes(), tenant.as_bytes()], |row| {
            row.get(0)
        })?;
    if !known {
        return Err(StoreError::AssetNotFound);
    }
    let mut statement = conn.prepare_cached(HISTORY)?;
    let items = statement
        .query_map(params![asset.as_bytes(), after, limit], event)?
        .collect::<Result<Vec<_>, _>>()?;
    if after > 0 && items.first().is_none_or(|e| e.sequence > after + 1) {
        let mut kept = conn.prepare_cached(KEPT)?;
        let kept = kept.query_row(params![asset.as_bytes(), after], |row| row.get(0))?;
        if kept > after {
            return Err(StoreError::Pruned(kept));
        }
    }
    let next = items.last().map_or(after, |e| e.sequence);
    Ok(EventPage { items, next })
}

/// Everything of a tenant after `position`.
pub(super) fn feed(
    conn: &Connection,
    tenant: TenantId,
    after: u64,
    limit: u32,
) -> Result<EventPage, StoreError> {
    let mut statement = conn.prepare_cached(FEED)?;
    let items = statement
        .query_map(params![tenant.as_bytes(), after, limit], event)?
        .collect::<Result<Vec<_>, _>>()?;
    let pruned = pruned(conn)?;
    if (1..pruned).contains(&after) {
        return Err(StoreError::Pruned(pruned));
    }
    let next = items.last().map_or(after, |e| e.position);
    Ok(EventPage { items, next })
}

/// The newest position, 0 before the first.
pub(super) fn end(conn: &Connection) -> rusqlite::Result<u64> {
    conn.prepare_cached("SELECT coalesce(max(position), 0) FROM events")?
        .query_row([], |row| row.get(0))
}
