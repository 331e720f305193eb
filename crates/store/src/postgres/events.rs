//! Histories: of one asset by its own numbers, of everything by position.

use super::Session;
use super::rows::{clamp, get, id, json, named, number, time};
use super::session::Params;
use crate::{EventPage, EventRecord, StoreError};
use mediaflow_core::{AssetId, EventType, TenantId};
use tokio_postgres::Row;

pub(super) const HISTORY: &str = "SELECT e.*, a.correlation_id FROM assets a LEFT JOIN LATERAL (
        SELECT * FROM events WHERE asset = a.id AND sequence > $3
            AND (position IS NULL OR position > (SELECT pruned FROM history)) ORDER BY sequence LIMIT $4) e ON true
     WHERE a.id = $1 AND a.tenant = $2 ORDER BY e.sequence";
pub(super) const FEED: &str =
    "SELECT e.*, a.correlation_id FROM events e JOIN assets a ON a.id = e.asset
     WHERE e.tenant = $1 AND e.position > greatest($2, (SELECT pruned FROM history)) ORDER BY e.position LIMIT $3";
/// After which number of an asset nothing is missing, of those after a given one.
const KEPT: &str = "SELECT coalesce((SELECT min(e.sequence) - 1 FROM events e WHERE e.asset = a.id AND e.sequence > $2
            AND (e.position IS NULL OR e.position > (SELECT pruned FROM history))), r.sequence) AS after
     FROM assets a JOIN runs r ON r.asset = a.id AND r.generation = a.generation WHERE a.id = $1";

/// One asset's history after `sequence`.
pub(super) async fn history(
    s: &Session,
    tenant: TenantId,
    asset: AssetId,
    after: u64,
    limit: u32,
) -> Result<EventPage, StoreError> {
    let (from, most) = (clamp(after), i64::from(limit));
    let params: Params<'_> = &[&asset.0, &tenant.0, &from, &most];
    let rows = s.query(HISTORY, params).await?;
    if rows.is_empty() {
        return Err(StoreError::AssetNotFound);
    }
    let numbered = rows.iter().take_while(|row| has_position(row));
    let items = numbered
        .map(event)
        .collect::<Result<Vec<_>, StoreError>>()?;
    if after > 0 && items.first().is_none_or(|e| e.sequence > after + 1) {
        let kept: u64 = number(&s.one(KEPT, &[&asset.0, &from]).await?, "after")?;
        if kept > after {
            return Err(StoreError::Pruned(kept));
        }
    }
    let next = items.last().map_or(after, |e| e.sequence);
    Ok(EventPage { items, next })
}

fn has_position(row: &Row) -> bool {
    matches!(get(row, "position"), Ok(Some::<i64>(_)))
}

/// Everything of a tenant after `position`.
pub(super) async fn feed(
    s: &Session,
    tenant: TenantId,
    after: u64,
    limit: u32,
) -> Result<EventPage, StoreError> {
    let (from, most) = (clamp(after), i64::from(limit));
    // In this order: what was pruned after the first question is known by the second.
    let feed: Params<'_> = &[&tenant.0, &from, &most];
    let answers = s
        .all(&[(FEED, feed), ("SELECT pruned FROM history", &[])])
        .await?;
    let pruned = number(&answers[1][0], "pruned")?;
    if (1..pruned).contains(&after) {
        return Err(StoreError::Pruned(pruned));
    }
    let items = answers[0]
        .iter()
        .map(event)
        .collect::<Result<Vec<_>, _>>()?;
    let next = items.last().map_or(after, |e| e.position);
    Ok(EventPage { items, next })
}

/// The newest position, 0 before the first.
pub(super) async fn end(s: &Session) -> Result<u64, StoreError> {
    let row = s.one("SELECT position FROM relay", &[]).await?;
    number(&row, "position")
}

pub(super) fn event(row: &Row) -> Result<EventRecord, StoreError> {
    Ok(EventRecord {
        id: id(row, "id")?,
        position: number(row, "position")?,
        asset: id(row, "asset")?,
        tenant: id(row, "tenant")?,
        sequence: number(row, "sequence")?,
        kind: named(row, "type", EventType::parse)?,
        at: time(row, "at")?,
        data: json(row, "data")?,
        correlation_id: get(row, "correlation_id")?,
    })
}
