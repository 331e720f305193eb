//! What would otherwise grow for ever. Events are in parts by time, each a table of its own that goes as a whole: nothing is left to
//! vacuum, however many they were.
//!
//! The first part is all that was there when events got parts, and is the default one until it gets an end. Behind the last part that
//! was made, and in gaps between them, the default part takes what comes, so that nothing ever depends on this having run.

use super::parts::{self, OTHER};
use super::rows::{get, number};
use super::session::Params;
use super::upkeep::before;
use super::{PostgresStore, Repeat, Session};
use crate::{Pruning, StoreError, Walked};
use async_trait::async_trait;
use futures_util::FutureExt;
use mediaflow_core::AssetId;
use std::time::Duration;
use uuid::Uuid;

const TOLD: &str = "SELECT coalesce(min(coalesce(o.position, 0)), 9223372036854775807) AS position
     FROM unnest($1::text[]) w (name) LEFT JOIN outlets o ON o.name = w.name";
const OLD_CHANGES: &str = "DELETE FROM changes c WHERE at <= $1
     AND EXISTS (SELECT 1 FROM changes newer WHERE newer.switch = c.switch AND newer.id > c.id)";
/// A run goes with its tasks, which this statement still sees, but stays while what it found out or made is in use.
const OLD_TASKS: &str = "WITH seen AS (SELECT id, generation, published, state FROM assets WHERE id > $1 ORDER BY id LIMIT $2),
    old AS (
        SELECT r.asset, r.generation FROM seen a JOIN runs r ON r.asset = a.id
        WHERE r.updated_at <= $3
          AND (a.state = 'deleted' OR (r.generation < a.generation AND r.generation <> a.published))),
    gone AS (
        DELETE FROM tasks t USING old o
        WHERE t.asset = o.asset AND t.generation = o.generation
          AND t.state IN ('succeeded', 'skipped', 'dead', 'cancelled')
        RETURNING t.id, t.queue, t.state),
    tried AS (DELETE FROM attempts a USING gone g WHERE a.task = g.id),
    counted AS (INSERT INTO task_deltas SELECT queue, state, -count(*) FROM gone GROUP BY queue, state),
    forgotten AS (
        DELETE FROM runs r USING seen a
        WHERE r.asset = a.id AND r.updated_at <= $3 AND r.generation < a.generation AND r.generation <> a.published
          AND NOT EXISTS (SELECT 1 FROM tasks t WHERE t.asset = r.asset AND t.generation = r.generation
                          AND t.state NOT IN ('succeeded', 'skipped', 'dead', 'cancelled'))
          AND NOT EXISTS (SELECT 1 FROM facts m WHERE m.asset = r.asset AND m.generation = r.generation)
          AND NOT EXISTS (SELECT 1 FROM renditions m WHERE m.asset = r.asset AND m.generation = r.generation)
          AND NOT EXISTS (SELECT 1 FROM tracks m WHERE m.asset = r.asset AND m.generation = r.generation)
          AND NOT EXISTS (SELECT 1 FROM captions m WHERE m.asset = r.asset AND m.generation = r.generation)
          AND NOT EXISTS (SELECT 1 FROM pieces m WHERE m.asset = r.asset AND m.generation = r.generation))
    SELECT CASE WHEN (SELECT count(*) FROM seen) = $2 THEN (SELECT id FROM seen ORDER BY id DESC LIMIT 1) END AS next,
           (SELECT count(*) FROM gone) AS tasks";

#[async_trait]
impl Pruning for PostgresStore {
    async fn extend(&self, span: Duration) -> Result<bool, StoreError> {
        let made = self.write(Repeat::Always, move |s, _| parts::make(s, span).boxed());
        let Some(end) = made.await? else {
            return Ok(false);
        };
        let parts::Made::EndIsNear(end) = end else {
            return Ok(true);
        };
        // Read while others work; only then is it known, in no time, that nothing behind its end is in it.
        self.write(Repeat::Always, |s, _| parts::validate(s).boxed())
            .await?;
        self.write(Repeat::Always, move |s, _| parts::end_early(s, end).boxed())
            .await?;
        Ok(true)
    }

    async fn prune_events(&self, age: Duration, outlets: &[&str]) -> Result<bool, StoreError> {
        self.write(Repeat::Always, move |s, _| {
            async move {
                let until = before(s.now, age);
                s.execute(OLD_CHANGES, &[&until]).await?;
                prune_part(s, until, outlets).await
            }
            .boxed()
        })
        .await
    }

    async fn prune_tasks(
        &self,
        age: Duration,
        after: Option<AssetId>,
        limit: u32,
    ) -> Result<Walked, StoreError> {
        let after = after.map_or(Uuid::nil(), |after| after.0);
        self.write(Repeat::Always, move |s, _| {
            async move {
                let params: Params<'_> = &[&after, &i64::from(limit), &before(s.now, age)];
                let row = s.one(OLD_TASKS, params).await?;
                Ok(Walked {
                    next: get::<Option<Uuid>>(&row, "next")?.map(AssetId::from),
                    tasks: number(&row, "tasks")?,
                })
            }
            .boxed()
        })
        .await
    }
}

/// Drops the oldest part if all of it is older than `until`, and says whether it did.
async fn prune_part(s: &Session, until: i64, outlets: &[&str]) -> Result<bool, StoreError> {
    if !parts::is_ours(s).await? {
        return Ok(false);
    }
    let Some(part) = parts::oldest(s, until).await? else {
        return Ok(false);
    };
    // By the index that begins with the tenant, and the one of those without a number.
    let state = format!(
        "SELECT (SELECT coalesce(max(m.position), 0) FROM tenants t
                 CROSS JOIN LATERAL (SELECT max(position) AS position FROM {part} WHERE tenant = t.id) m) AS last,
                EXISTS (SELECT 1 FROM {part} WHERE position IS NULL) AS fresh,
                (SELECT position FROM relay) AS newest"
    );
    let state = s.one(&state, &[]).await?;
    let told = s.one(TOLD, &[&outlets]).await?;
    let (last, newest): (i64, i64) = (get(&state, "last")?, get(&state, "newest")?);
    if get(&state, "fresh")? || last >= newest || last > get(&told, "position")? {
        return Ok(false);
    }
    s.execute("UPDATE history SET pruned = greatest(pruned, $1)", &[&last])
        .await?;
    parts::remove(s, &part).await?;
    // What came when no part was there for it is seldom more than nothing.
    let strays = format!("DELETE FROM {OTHER} WHERE position <= $1");
    s.execute(&strays, &[&last]).await?;
    tracing::info!(part, last, "a part of the history was pruned");
    Ok(true)
}
