//! Where the lines stand in which tasks wait, and how many more of a tenant may run.

use super::Session;
use super::rows::{get, maybe_number, number};
use super::session::Params;
use crate::StoreError;
use crate::fairness::{Line, Turns};
use mediaflow_core::TenantId;
use std::collections::{BTreeMap, HashMap, HashSet};
use tokio_postgres::Row;
use uuid::Uuid;

/// Two that give at the same moment must not both give the last that a tenant may have: who comes second gives nothing
/// of such a tenant.
const LOCK_LIMITED: &str =
    "SELECT id FROM tenants WHERE id = ANY($1) ORDER BY id FOR UPDATE SKIP LOCKED";
const RUNNING: &str = "SELECT tenant, count(*) AS running FROM tasks WHERE state = 'running' AND tenant = ANY($1) GROUP BY tenant";
const SERVED_FIRST: &str = "INSERT INTO flows (tenant, queue, priority, vtime)
     SELECT * FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[]) ON CONFLICT DO NOTHING";
/// Whoever meets another who serves the same line leaves it to him: claims must not wait for each other.
const SERVED: &str = "UPDATE flows f SET vtime = greatest(f.vtime, w.vtime) FROM (
        SELECT k.tenant, k.queue, k.priority, w.vtime
        FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[]) w (tenant, queue, priority, vtime)
        JOIN flows k ON k.tenant = w.tenant AND k.queue = w.queue AND k.priority = w.priority
        ORDER BY 1, 2, 3 FOR UPDATE OF k SKIP LOCKED) w
     WHERE f.tenant = w.tenant AND f.queue = w.queue AND f.priority = w.priority";
/// Whoever meets another who moves the clock leaves it to him.
const TICK: &str = "UPDATE clock SET vtime = $1
     WHERE one = (SELECT one FROM clock WHERE vtime < $1 FOR UPDATE SKIP LOCKED)";

/// Where the lines of these rows stand, each of which tells what is known of its own.
pub(super) async fn stand(
    s: &Session,
    clock: i64,
    rows: &[Row],
    lines: impl Iterator<Item = Line>,
) -> Result<Turns, StoreError> {
    let mut turns = Turns::new(clock);
    let mut limits: BTreeMap<Uuid, u32> = BTreeMap::new();
    for (row, line) in rows.iter().zip(lines) {
        turns.add(line, number(row, "weight")?, get(row, "vtime")?);
        if let Some(most) = maybe_number(row, "running_max")? {
            limits.insert(line.tenant.0, most);
        }
    }
    if limits.is_empty() {
        return Ok(turns);
    }
    let limited: Vec<Uuid> = limits.keys().copied().collect();
    let answers = s
        .all(&[(LOCK_LIMITED, &[&limited]), (RUNNING, &[&limited])])
        .await?;
    let mut running: HashMap<Uuid, u32> = HashMap::new();
    for row in &answers[1] {
        running.insert(get(row, "tenant")?, number(row, "running")?);
    }
    let mut ours = HashSet::new();
    for row in &answers[0] {
        ours.insert(get::<Uuid>(row, "id")?);
    }
    for (tenant, most) in limits {
        let left = most.saturating_sub(running.get(&tenant).copied().unwrap_or(0));
        let left = if ours.contains(&tenant) { left } else { 0 };
        turns.limit(TenantId(tenant), left);
    }
    Ok(turns)
}

/// Notes where lines stand that were served.
pub(super) async fn save_all(s: &Session, served: &[Turns]) -> Result<(), StoreError> {
    for turns in served {
        save(s, turns).await?;
    }
    Ok(())
}

async fn save(s: &Session, turns: &Turns) -> Result<(), StoreError> {
    for (sql, is_new) in [(SERVED_FIRST, true), (SERVED, false)] {
        let (mut tenants, mut queues) = (Vec::new(), Vec::new());
        let (mut priorities, mut vtimes) = (Vec::new(), Vec::new());
        for (line, vtime, _) in turns.served().filter(|served| served.2 == is_new) {
            tenants.push(line.tenant.0);
            queues.push(line.queue.as_str());
            priorities.push(i64::from(line.priority));
            vtimes.push(vtime);
        }
        if !tenants.is_empty() {
            let clock = turns.clock();
            let values: Params<'_> = &[&tenants, &queues, &priorities, &vtimes];
            s.all(&[(sql, values), (TICK, &[&clock])]).await?;
        }
    }
    Ok(())
}
