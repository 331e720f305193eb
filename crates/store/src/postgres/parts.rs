//! The parts of the table of events: which there are, and how one is made, ends and goes while others write and read.
//!
//! Each change of them takes the locks of a table for a moment, and waits for nobody's longer than a few seconds: it comes again.

use super::Session;
use super::rows::{get, maybe_number};
use crate::StoreError;
use std::time::Duration;

/// What was there before there were parts, and what followed until it got its end.
pub(super) const EARLY: &str = "events_early";
/// Takes what no other part is there for.
pub(super) const OTHER: &str = "events_other";

/// Held by whoever changes the parts.
const LOCK: i64 = 0x6d66_0004;
const DAY: i64 = 86_400_000;
/// The first part ends so many days from now: long enough for it to be read once, whatever happens meanwhile.
const EARLY_DAYS: i64 = 7;
/// Parts are made for so many days ahead.
const AHEAD_DAYS: i64 = 8;
/// As for the table that they were first made like, whose parts inherit no such thing.
const STORED: &str = "WITH (autovacuum_vacuum_scale_factor = 0.05)";
const PATIENCE: &str = "SET LOCAL lock_timeout = '3s'; SET LOCAL statement_timeout = 0";

/// Where parts end: none for the default one.
const PARTS: &str = "SELECT c.relname::text AS name,
            substring(pg_get_expr(c.relpartbound, c.oid) FROM 'TO \\(''?(\\d+)''?\\)')::bigint AS until
     FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'events'::regclass ORDER BY until";
/// The end that the first part is about to get.
const NEAR: &str = "SELECT substring(pg_get_constraintdef(oid) FROM '< ''?(\\d+)')::bigint AS until
     FROM pg_constraint WHERE conrelid = 'events_early'::regclass AND conname = 'events_early_end'";

/// What [`make`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Made {
    /// A part.
    Part,
    /// The first part takes nothing from this time on, and has to be read once before it can end there.
    EndIsNear(i64),
}

/// Whether nobody else changes the parts at this moment.
pub(super) async fn is_ours(s: &Session) -> Result<bool, StoreError> {
    let row = s.one("SELECT pg_try_advisory_xact_lock($1) AS ours", &[&LOCK]);
    get(&row.await?, "ours")
}

/// Makes one more part if the time ahead needs it.
pub(super) async fn make(s: &Session, span: Duration) -> Result<Option<Made>, StoreError> {
    if !is_ours(s).await? {
        return Ok(None);
    }
    let today = s.now.0 - s.now.0.rem_euclid(DAY);
    let rows = s.query(PARTS, &[]).await?;
    let mut end = None;
    for row in &rows {
        let name: &str = get(row, "name")?;
        match maybe_number(row, "until")? {
            None if name == EARLY => return near(s, today + EARLY_DAYS * DAY).await.map(Some),
            None => {}
            Some(until) => end = end.max(Some(until)),
        }
    }
    if end.is_some_and(|end| end >= today + AHEAD_DAYS * DAY) {
        return Ok(None);
    }
    // What came meanwhile, if nobody made parts for long, is in the default one and stays there.
    let from = end.unwrap_or(0).max(today + 2 * DAY);
    let days = i64::try_from(span.as_secs() / 86_400).unwrap_or(1).max(1);
    let until = from + days * DAY;
    let name = format!("events_from_{}", from / DAY);
    s.batch(&format!(
        "{PATIENCE};
         CREATE TABLE {name} (LIKE {OTHER} INCLUDING DEFAULTS INCLUDING INDEXES) {STORED};
         ALTER TABLE events ATTACH PARTITION {name} FOR VALUES FROM ({from}) TO ({until})"
    ))
    .await?;
    tracing::debug!(name, days, "a part of the history was made");
    Ok(Some(Made::Part))
}

/// Has the first part take nothing from `until` on.
async fn near(s: &Session, until: i64) -> Result<Made, StoreError> {
    // A process that was killed in the middle of this has left it.
    if let Some(row) = s.maybe(NEAR, &[]).await? {
        return Ok(Made::EndIsNear(get(&row, "until")?));
    }
    s.batch(&format!(
        "{PATIENCE};
         ALTER TABLE {EARLY} ADD CONSTRAINT events_early_end CHECK (at < {until}) NOT VALID"
    ))
    .await?;
    Ok(Made::EndIsNear(until))
}

/// Finds out that nothing in the first part is behind its end. Reads all of it, and keeps nobody waiting.
pub(super) async fn validate(s: &Session) -> Result<(), StoreError> {
    s.batch(&format!(
        "{PATIENCE}; ALTER TABLE {EARLY} VALIDATE CONSTRAINT events_early_end"
    ))
    .await
}

/// Ends the first part, and makes the default one that takes what is behind the end of every other.
pub(super) async fn end_early(s: &Session, until: i64) -> Result<(), StoreError> {
    s.batch(&format!(
        "{PATIENCE};
         LOCK TABLE events IN ACCESS EXCLUSIVE MODE;
         ALTER TABLE events DETACH PARTITION {EARLY};
         ALTER TABLE events ATTACH PARTITION {EARLY} FOR VALUES FROM (MINVALUE) TO ({until});
         ALTER TABLE {EARLY} DROP CONSTRAINT events_early_end;
         CREATE TABLE {OTHER} (LIKE {EARLY} INCLUDING DEFAULTS INCLUDING INDEXES) {STORED};
         ALTER TABLE events ATTACH PARTITION {OTHER} DEFAULT"
    ))
    .await
}

/// The oldest part that ended by then.
pub(super) async fn oldest(s: &Session, until: i64) -> Result<Option<String>, StoreError> {
    let rows = s.query(PARTS, &[]).await?;
    let Some(first) = rows.first() else {
        return Ok(None);
    };
    match maybe_number::<i64>(first, "until")? {
        Some(end) if end <= until => Ok(Some(get(first, "name")?)),
        _ => Ok(None),
    }
}

/// Drops a part and all that is in it.
pub(super) async fn remove(s: &Session, part: &str) -> Result<(), StoreError> {
    s.batch(&format!("{PATIENCE}; DROP TABLE {part}")).await
}
