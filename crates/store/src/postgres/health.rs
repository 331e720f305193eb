//! Depths and counts, for readiness and metrics.

use super::rows::{get, maybe_time, named, number};
use super::{Session, claim, cluster};
use crate::load::{MINUTES, Unplaced, minute, obstacle};
use crate::{COUNTED_MAX, Presence, PurgeLoad, QueueLoad, Recent, StoreError, StoreHealth, Switch};
use mediaflow_core::{AssetState, Queue};
use std::collections::{HashMap, HashSet};
use tokio_postgres::Row;
use uuid::Uuid;

pub(super) const PURGES_WAITING: &str =
    "SELECT count(*) AS waiting, count(*) FILTER (WHERE attempts > 0) AS failed, min(due_at) AS due_at
     FROM (SELECT attempts, due_at FROM purges ORDER BY due_at, id LIMIT $1) p";
const COUNTS: &str = "SELECT queue, state, tasks FROM task_counts";
const OLDEST: &str = "SELECT q.queue, (SELECT min(queued_at) FROM tasks WHERE state = 'ready' AND queue = q.queue) AS oldest
     FROM unnest($1::text[]) q (queue)";
const ASSET_COUNTS: &str = "SELECT state, assets FROM asset_counts";

const READY_COST: &str =
    "SELECT queue, sum(cpu_ms)::bigint AS cpu_ms FROM ready_deltas GROUP BY queue";
const RECENT: &str = "SELECT queue, sum(arrived)::bigint AS arrived, sum(done)::bigint AS done,
            sum(estimated_ms)::bigint AS estimated_ms, sum(spent_ms)::bigint AS spent_ms
     FROM queue_minutes WHERE minute BETWEEN $1 AND $2 GROUP BY queue";
const LINES: &str = claim::lines!("SELECT queue, tenant, priority, needs FROM line");
const IMPORTS: &str = "SELECT count(*) AS imports FROM (
        SELECT 1 FROM imports WHERE source = 'url' AND due_at IS NOT NULL LIMIT $1) i";
const OFF: &str = "SELECT name FROM switches WHERE value = 'off'";
/// Of one line no more than a thousand are counted.
const STUCK: &str = "SELECT w.queue, w.needs, (SELECT count(*) FROM (
        SELECT 1 FROM tasks WHERE state = 'ready' AND queue = w.queue AND tenant = w.tenant AND priority = w.priority
            AND needs = w.needs LIMIT 1000) t) AS tasks
     FROM unnest($1::text[], $2::uuid[], $3::bigint[], $4::text[]) w (queue, tenant, priority, needs)";

/// What is ready and no worker can take, by queue.
async fn stuck(
    s: &Session,
    lines: &[Row],
    workers: &[Presence],
) -> Result<HashMap<Queue, Unplaced>, StoreError> {
    let (mut queues, mut tenants, mut priorities, mut needs) = (vec![], vec![], vec![], vec![]);
    for row in lines {
        let queue = named(row, "queue", Queue::parse)?;
        let wants: &str = get(row, "needs")?;
        // Memory is told by the task itself: what nobody can hold is given out to be refused.
        if obstacle(queue, wants, 0, workers).is_some() {
            queues.push(queue.as_str());
            tenants.push(get::<Uuid>(row, "tenant")?);
            priorities.push(get::<i64>(row, "priority")?);
            needs.push(wants);
        }
    }
    let mut found: HashMap<Queue, Unplaced> = HashMap::new();
    if queues.is_empty() {
        return Ok(found);
    }
    let rows = s
        .query(STUCK, &[&queues, &tenants, &priorities, &needs])
        .await?;
    for row in &rows {
        let queue = named(row, "queue", Queue::parse)?;
        let wants: &str = get(row, "needs")?;
        if let Some(obstacle) = obstacle(queue, wants, 0, workers) {
            let tasks = number(row, "tasks")?;
            found.entry(queue).or_default().add(wants, obstacle, tasks);
        }
    }
    Ok(found)
}

pub(super) async fn of(s: &mut Session) -> Result<StoreHealth, StoreError> {
    let names: Vec<&str> = Queue::ALL.iter().map(|queue| queue.as_str()).collect();
    let last = minute(s.now);
    let counted_max = i64::from(COUNTED_MAX);
    let answers = s
        .all(&[
            (COUNTS, &[]),
            (OLDEST, &[&names]),
            (ASSET_COUNTS, &[]),
            (READY_COST, &[]),
            (RECENT, &[&(last - MINUTES), &last]),
            (LINES, &[&names]),
            (OFF, &[]),
            (IMPORTS, &[&counted_max]),
            (PURGES_WAITING, &[&counted_max]),
        ])
        .await?;
    let workers = cluster::at_work(s).await?;
    let mut stuck = stuck(s, &answers[5], &workers).await?;
    let mut costs: HashMap<String, u64> = HashMap::new();
    for row in &answers[3] {
        costs.insert(get(row, "queue")?, count(row, "cpu_ms")?);
    }
    let mut recent: HashMap<String, Recent> = HashMap::new();
    for row in &answers[4] {
        let of = Recent {
            arrived: number(row, "arrived")?,
            done: number(row, "done")?,
            estimated_ms: number(row, "estimated_ms")?,
            spent_ms: number(row, "spent_ms")?,
            ..Recent::until(s.now)
        };
        recent.insert(get(row, "queue")?, of);
    }
    let mut off = HashSet::new();
    for row in &answers[6] {
        off.insert(get::<String>(row, "name")?);
    }
    let mut tasks: HashMap<(String, String), u64> = HashMap::new();
    for row in &answers[0] {
        let key = (get(row, "queue")?, get(row, "state")?);
        tasks.insert(key, count(row, "tasks")?);
    }
    let mut oldest = HashMap::new();
    for row in &answers[1] {
        let queue: String = get(row, "queue")?;
        oldest.insert(queue, maybe_time(row, "oldest")?);
    }
    let mut assets: HashMap<String, u64> = HashMap::new();
    for row in &answers[2] {
        assets.insert(get(row, "state")?, count(row, "assets")?);
    }
    let imports = answers[7].first();
    let imports = imports.map_or(Ok(0), |row| count(row, "imports"))?;
    let mut load = |queue: &Queue| {
        let name = queue.as_str();
        let of = |state: &str| {
            tasks
                .get(&(name.into(), state.into()))
                .copied()
                .unwrap_or(0)
        };
        let mut load = QueueLoad {
            queue: *queue,
            ready: of("ready"),
            running: of("running"),
            waiting: of("waiting"),
            dead: of("dead"),
            oldest_ready_at: oldest.get(name).copied().flatten(),
            ready_cpu_ms: costs.get(name).copied().unwrap_or(0),
            recent: recent.remove(name).unwrap_or(Recent::until(s.now)),
            workers: 0,
            slots: 0,
            paused: off.contains(Switch::Claims(*queue).as_str()),
            stuck: stuck.remove(queue).unwrap_or_default().into_list(),
        };
        load.staff(&workers);
        load
    };
    let states = AssetState::ALL.iter();
    Ok(StoreHealth {
        at: s.now,
        queues: Queue::ALL.iter().map(&mut load).collect(),
        assets: states
            .map(|state| (*state, assets.get(state.as_str()).copied().unwrap_or(0)))
            .collect(),
        imports,
        purges: purge_load(&answers[8][0])?,
    })
}

/// Of a row of [`PURGES_WAITING`].
pub(super) fn purge_load(row: &Row) -> Result<PurgeLoad, StoreError> {
    Ok(PurgeLoad {
        waiting: count(row, "waiting")?,
        failed: count(row, "failed")?,
        due_at: maybe_time(row, "due_at")?,
    })
}

/// A sum of what statements changed; seen between two of them it may be less than nothing.
fn count(row: &Row, column: &str) -> Result<u64, StoreError> {
    let sum: i64 = get(row, column)?;
    Ok(u64::try_from(sum).unwrap_or(0))
}
