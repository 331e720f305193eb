//! Writing what was decided: as many statements for a hundred tasks as for one, and none waits for the one before.

use super::changes::{Changes, StepOf};
use super::live::Live;
use super::rows::{clamp, waiting};
use super::session::Params;
use super::withdraw;
use super::{Session, indexing};
use crate::standing::counters;
use crate::{StoreError, Waiting};
use mediaflow_core::{AssetState, TaskState, Verdict};
use tokio_postgres::types::ToSql;

const HANDS: &str = "UPDATE tasks t SET state = w.state, fence = w.fence, attempts = w.attempts, tries = w.tries,
            crashes = w.crashes, alone = w.alone, losses_alone = w.losses_alone, queued_at = w.queued_at,
            finished_at = w.finished_at, retry_at = w.retry_at, error_code = w.code, error_message = w.message,
            lease_until = NULL
     FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bool[], $8::bigint[],
                 $9::bigint[], $10::bigint[], $11::bigint[], $12::text[], $13::text[])
          w (id, state, fence, attempts, tries, crashes, alone, losses_alone, queued_at, finished_at, retry_at, code, message)
     WHERE t.id = w.id";
const ENDED: &str = "WITH ended AS (
        UPDATE attempts a SET ended_at = $6, outcome = w.outcome, code = w.code, message = w.message
        FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::text[]) w (task, fence, outcome, code, message)
        WHERE a.task = w.task AND a.fence = w.fence RETURNING a.task, a.outcome, a.started_at)
     INSERT INTO queue_minutes (minute, queue, arrived, done, estimated_ms, spent_ms)
     SELECT $6::bigint / 60000, t.queue, 0, count(*), sum(t.cpu_ms), sum(greatest($6 - e.started_at, 0))
     FROM ended e JOIN tasks t ON t.id = e.task WHERE e.outcome <> 'handed_back' GROUP BY t.queue";
const RENDITIONS: &str = "INSERT INTO renditions (asset, generation, profile, format, tenant, width, height, animated,
                                                  derivation, blob)
     SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::uuid[], $6::bigint[], $7::bigint[],
                          $8::bool[], $9::bytea[], $10::uuid[])
     ON CONFLICT (asset, generation, profile, format) DO UPDATE SET width = excluded.width, height = excluded.height,
            animated = excluded.animated, derivation = excluded.derivation, blob = excluded.blob";
const FACTS: &str = "INSERT INTO facts (asset, operation, generation, json)
     SELECT * FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[])
     ON CONFLICT (asset, operation) DO UPDATE SET generation = excluded.generation, json = excluded.json";
const ORPHANS: &str = "INSERT INTO orphans SELECT DISTINCT w.blob, $2::bigint FROM unnest($1::uuid[]) w (blob) ORDER BY 1
     ON CONFLICT (blob) DO UPDATE SET since = excluded.since";
const PURGES: &str = "INSERT INTO purges (asset, paths, due_at)
     SELECT w.asset, w.paths, $3 FROM unnest($1::uuid[], $2::text[]) w (asset, paths)";
const RUNS_NEW: &str = "INSERT INTO runs (asset, generation, state, verdict, steps, showing, sequence, recipe, settings,
                                          watermark, focus, updated_at)
     SELECT w.*, $12 FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::bool[], $7::bigint[],
                                 $8::bytea[], $9::bytea[], $10::bool[], $11::text[]) w";
const TASKS: &str = "INSERT INTO tasks (id, tenant, asset, generation, step, number, operation, queue, lane, state,
                                        memory_bytes, cpu_ms, priority, needs, created_at, finished_at)
     SELECT w.*, $15::bigint, CASE WHEN w.state = 'skipped' THEN $15::bigint END
     FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[], $8::text[],
                 $9::bigint[], $10::text[], $11::bigint[], $12::bigint[], $13::bigint[], $14::text[])
          w (id, tenant, asset, generation, step, number, operation, queue, lane, state, memory_bytes, cpu_ms, priority, needs)";
const EVENTS: &str = "INSERT INTO events (tenant, asset, sequence, id, type, data, at)
     SELECT w.*, $7 FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::uuid[], $5::text[], $6::text[]) w";
const BY_CORE: &str =
    "UPDATE tasks t SET state = 'succeeded', queued_at = $4, started_at = $4, finished_at = $4
     FROM unnest($1::uuid[], $2::bigint[], $3::bigint[]) w (asset, generation, step)
     WHERE t.asset = w.asset AND t.generation = w.generation AND t.step = w.step";
const RUNS: &str = "UPDATE runs r SET state = w.state, verdict = w.verdict, steps = w.steps, showing = w.showing,
            sequence = w.sequence, updated_at = $8
     FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::bool[], $7::bigint[])
          w (asset, generation, state, verdict, steps, showing, sequence)
     WHERE r.asset = w.asset AND r.generation = w.generation";
/// What is published alone is no news to people; a state is.
const ASSETS: &str = "UPDATE assets a SET state = w.state, in_review = w.in_review, published = w.published,
            updated_at = CASE WHEN w.is_news THEN $6::bigint ELSE a.updated_at END,
            rejected_at = CASE WHEN NOT w.is_news THEN a.rejected_at WHEN w.state = 'rejected' THEN $6::bigint END
     FROM unnest($1::uuid[], $2::text[], $3::bool[], $4::bigint[], $5::bool[]) w (id, state, in_review, published, is_news)
     WHERE a.id = w.id";
/// Puts tasks into the queue at their tenant's virtual time, which orders them within their line. The tenant pays for them here, unless
/// another transaction has its row at this moment: then they stand where that one's began, and nobody waits for its COMMIT.
const READY: &str = "WITH wanted AS (
        SELECT t.id, t.tenant, t.queue, t.cpu_ms, w.place, t.number
        FROM unnest($1::uuid[], $2::bigint[], $3::bigint[]) WITH ORDINALITY w (asset, generation, step, place)
        JOIN tasks t ON t.asset = w.asset AND t.generation = w.generation AND t.step = w.step
        WHERE t.state = 'pending'
        UNION ALL
        SELECT t.id, t.tenant, t.queue, t.cpu_ms, w.place, t.number
        FROM unnest($4::uuid[]) WITH ORDINALITY w (id, place) JOIN tasks t ON t.id = w.id),
    charged AS (
        SELECT w.*, w.cpu_ms * 1000 / n.weight AS charge FROM wanted w JOIN tenants n ON n.id = w.tenant),
    placed AS (
        SELECT id, tenant, (sum(charge) OVER (PARTITION BY tenant ORDER BY place, number, id
                                              ROWS UNBOUNDED PRECEDING))::bigint - charge AS before
        FROM charged),
    payers AS (SELECT tenant, sum(charge)::bigint AS charge FROM charged GROUP BY tenant),
    free AS MATERIALIZED (
        SELECT id FROM tenants WHERE id IN (SELECT tenant FROM payers) FOR UPDATE SKIP LOCKED),
    paid AS (
        UPDATE tenants n SET vtime = greatest(n.vtime, (SELECT vtime FROM clock)) + c.charge
        FROM payers c JOIN free f ON f.id = c.tenant
        WHERE n.id = c.tenant RETURNING n.id, n.vtime - c.charge AS base),
    based AS (
        SELECT id, base FROM paid
        UNION ALL
        SELECT n.id, greatest(n.vtime, (SELECT vtime FROM clock)) FROM payers c JOIN tenants n ON n.id = c.tenant
        WHERE NOT EXISTS (SELECT 1 FROM free f WHERE f.id = n.id)),
    arrived AS (
        INSERT INTO queue_minutes (minute, queue, arrived, done, estimated_ms, spent_ms)
        SELECT $5::bigint / 60000, queue, count(*), 0, 0, 0 FROM wanted GROUP BY queue)
    UPDATE tasks t SET state = 'ready', rank = p.base + w.before, queued_at = $5, retry_at = NULL, lease_until = NULL,
            finished_at = NULL
    FROM placed w JOIN based p ON p.id = w.tenant WHERE t.id = w.id RETURNING t.id, t.asset, t.queue, t.lane";
const GIVEN_BACK: &str = "SELECT id, asset, queue, lane FROM tasks WHERE id = ANY($1)";

type Values = Vec<Box<dyn ToSql + Sync + Send>>;

/// Statements with their values, in the order in which they are sent.
#[derive(Default)]
struct Batch(Vec<(&'static str, Values)>);

impl Batch {
    fn add(&mut self, rows: usize, sql: &'static str, values: impl FnOnce() -> Values) {
        if rows > 0 {
            self.0.push((sql, values()));
        }
    }

    /// Answers what became ready.
    async fn send(self, s: &Session) -> Result<Vec<Waiting>, StoreError> {
        let bound: Vec<Vec<&(dyn ToSql + Sync)>> = self
            .0
            .iter()
            .map(|(_, values)| values.iter().map(|v| &**v as &(dyn ToSql + Sync)).collect())
            .collect();
        let calls: Vec<(&str, Params<'_>)> = self
            .0
            .iter()
            .zip(&bound)
            .map(|((sql, _), values)| (*sql, &values[..]))
            .collect();
        let answers = s.all(&calls).await?;
        let ready = calls.iter().zip(&answers);
        let ready = ready.filter(|((sql, _), _)| *sql == READY || *sql == GIVEN_BACK);
        ready.flat_map(|(_, rows)| rows).map(waiting).collect()
    }
}

/// A column of what is written: one value of each row.
macro_rules! column {
    ($rows:expr, |$row:pat_param| $value:expr) => {
        Box::new($rows.iter().map(|$row| $value).collect::<Vec<_>>()) as super::changes::Value
    };
}

/// Writes everything. `lives` are the runs that were decided about, each once, as they are now.
pub(super) async fn flush(
    s: &mut Session,
    mut changes: Changes,
    lives: &mut [&mut Live],
) -> Result<(), StoreError> {
    for live in lives.iter_mut() {
        if live.showing && !live.run.is_showing() && live.published == 0 {
            let hidden = (live.asset, 0, super::changes::Withdrawal::Hide);
            changes.withdrawals.push(hidden);
        }
    }
    s.recorded |= !changes.events.is_empty();
    s.news.append(&mut changes.news);
    let now = changes.now.0;
    let mut first = Batch::default();
    outputs(&mut first, &changes);
    let mut batch = match changes.withdrawals.is_empty() {
        true => first,
        // What goes away is read first, with what this transaction recorded.
        false => {
            first.send(s).await?;
            for (asset, published, which) in std::mem::take(&mut changes.withdrawals) {
                withdraw::withdraw(s, &mut changes, asset, published, which).await?;
            }
            Batch::default()
        }
    };
    let (orphans, purges) = (&changes.orphans, &changes.purges);
    batch.add(orphans.len(), ORPHANS, || {
        vec![column!(orphans, |b| b.0), Box::new(now)]
    });
    batch.add(purges.len(), PURGES, || {
        vec![
            column!(purges, |(asset, _)| asset.0),
            column!(purges, |(_, paths)| super::rows::to_json(paths)),
            Box::new(now),
        ]
    });
    hands(&mut batch, &changes);
    rows(&mut batch, &changes);
    for call in std::mem::take(&mut changes.calls) {
        batch.0.push((call.sql, call.values));
    }
    let by_core = &changes.by_core;
    batch.add(by_core.len(), BY_CORE, || {
        let mut values = steps(by_core);
        values.push(Box::new(now));
        values
    });
    standing(&mut batch, lives, now);
    let (released, queued) = (&changes.released, &changes.queued);
    batch.add(released.len() + queued.len(), READY, || {
        let mut values = steps(released);
        values.push(column!(queued, |task| task.0));
        values.push(Box::new(now));
        values
    });
    let back = &changes.given_back;
    batch.add(back.len(), GIVEN_BACK, || vec![column!(back, |t| t.0)]);
    let reindexed = std::mem::take(&mut changes.reindexed);
    let ready = batch.send(s).await?;
    s.ready.extend(ready);
    indexing::index(s, &reindexed).await
}

fn steps(steps: &[StepOf]) -> Values {
    vec![
        column!(steps, |(asset, ..)| asset.0),
        column!(steps, |(_, generation, _)| i64::from(*generation)),
        column!(steps, |(_, _, step)| clamp(*step)),
    ]
}

fn outputs(batch: &mut Batch, changes: &Changes) {
    let r = &changes.renditions;
    batch.add(r.len(), RENDITIONS, || {
        vec![
            column!(r, |r| r.asset.0),
            column!(r, |r| i64::from(r.generation)),
            column!(r, |r| r.profile.clone()),
            column!(r, |r| r.format.as_str()),
            column!(r, |r| r.tenant.0),
            column!(r, |r| i64::from(r.dimensions.0)),
            column!(r, |r| i64::from(r.dimensions.1)),
            column!(r, |r| r.animated),
            column!(r, |r| r.derivation.0.to_vec()),
            column!(r, |r| r.blob.0),
        ]
    });
    let f = &changes.facts;
    batch.add(f.len(), FACTS, || {
        vec![
            column!(f, |f| f.0.0),
            column!(f, |f| f.1.clone()),
            column!(f, |f| i64::from(f.2)),
            column!(f, |f| f.3.clone()),
        ]
    });
}

fn hands(batch: &mut Batch, changes: &Changes) {
    let h = &changes.hands;
    batch.add(h.len(), HANDS, || {
        vec![
            column!(h, |h| h.id.0),
            column!(h, |h| h.task.state.as_str()),
            column!(h, |h| clamp(h.fence)),
            column!(h, |h| i64::from(h.task.attempts)),
            column!(h, |h| i64::from(h.tries)),
            column!(h, |h| i64::from(h.task.crashes)),
            column!(h, |h| h.task.alone),
            column!(h, |h| i64::from(h.task.losses_alone)),
            column!(h, |h| h.queued_at),
            column!(h, |h| h.finished_at),
            column!(h, |h| h.retry_at),
            column!(h, |h| h.error.as_ref().map(|e| e.0.clone())),
            column!(h, |h| h.error.as_ref().map(|e| e.1.clone())),
        ]
    });
    let e = &changes.ended;
    let now = changes.now.0;
    batch.add(e.len(), ENDED, || {
        vec![
            column!(e, |e| e.task.0),
            column!(e, |e| clamp(e.fence)),
            column!(e, |e| e.outcome),
            column!(e, |e| e.failure.as_ref().map(|f| f.code.as_str())),
            column!(e, |e| e.failure.as_ref().map(|f| f.message.clone())),
            Box::new(now),
        ]
    });
}

fn rows(batch: &mut Batch, changes: &Changes) {
    let now = changes.now.0;
    let r = &changes.runs;
    batch.add(r.len(), RUNS_NEW, || {
        vec![
            column!(r, |r| r.asset.0),
            column!(r, |r| i64::from(r.run.generation)),
            column!(r, |r| r.run.state.as_str()),
            column!(r, |r| r.run.verdict.map(Verdict::as_str)),
            column!(r, |r| counters(&r.run)),
            column!(r, |r| r.run.is_showing()),
            column!(r, |r| clamp(r.sequence)),
            column!(r, |r| r.recipe.0.to_vec()),
            column!(r, |r| r.settings.0.to_vec()),
            column!(r, |r| r.watermark),
            column!(r, |r| r.focus.clone()),
            Box::new(now),
        ]
    });
    let t = &changes.tasks;
    batch.add(t.len(), TASKS, || {
        vec![
            column!(t, |t| t.id),
            column!(t, |t| t.tenant.0),
            column!(t, |t| t.asset.0),
            column!(t, |t| i64::from(t.generation)),
            column!(t, |t| clamp(t.step)),
            column!(t, |t| i64::from(t.number)),
            column!(t, |t| t.operation.clone()),
            column!(t, |t| t.queue),
            column!(t, |t| i64::from(t.lane)),
            column!(t, |t| TaskState::as_str(t.state)),
            column!(t, |t| clamp(t.cost.memory_bytes)),
            column!(t, |t| i64::from(t.cost.cpu_ms)),
            column!(t, |t| i64::from(t.priority.number())),
            column!(t, |t| t.needs.clone()),
            Box::new(now),
        ]
    });
    let e = &changes.events;
    batch.add(e.len(), EVENTS, || {
        vec![
            column!(e, |e| e.tenant.0),
            column!(e, |e| e.asset.0),
            column!(e, |e| clamp(e.sequence)),
            column!(e, |e| e.id),
            column!(e, |e| e.kind),
            column!(e, |e| e.data.clone()),
            Box::new(now),
        ]
    });
}

/// The runs, and what their assets show where that changed.
fn standing(batch: &mut Batch, lives: &[&mut Live], now: i64) {
    batch.add(lives.len(), RUNS, || {
        vec![
            column!(lives, |l| l.asset.0),
            column!(lives, |l| i64::from(l.run.generation)),
            column!(lives, |l| l.run.state.as_str()),
            column!(lives, |l| l.run.verdict.map(Verdict::as_str)),
            column!(lives, |l| counters(&l.run)),
            column!(lives, |l| l.run.is_showing()),
            column!(lives, |l| clamp(l.sequence)),
            Box::new(now),
        ]
    });
    let changed: Vec<&&mut Live> = lives
        .iter()
        .filter(|l| l.stored != (l.state, l.in_review, l.published))
        .collect();
    batch.add(changed.len(), ASSETS, || {
        vec![
            column!(changed, |l| l.asset.0),
            column!(changed, |l| AssetState::as_str(l.state)),
            column!(changed, |l| l.in_review),
            column!(changed, |l| i64::from(l.published)),
            column!(changed, |l| (l.stored.0, l.stored.1)
                != (l.state, l.in_review)),
            Box::new(now),
        ]
    });
}
