//! Which ready task goes to whom. No asset is locked and no event written: the attempt is the record.

use super::Session;
use super::live::facts;
use super::rows::{blob, clamp, get, id, maybe_json, named, number, sha, time};
use super::session::Params;
use super::turns;
use crate::fairness::Line;
use crate::giving::{
    Candidate, Giving, IDLE_LANE, LOOKAHEAD, any_too_large, is_its_turn, look_elsewhere,
};
use crate::load::can;
use crate::{Capacity, Claimed, Lease, StoreError};
use mediaflow_core::{AssetId, AssetOptions, Cost, Queue, TaskId};
use std::collections::{HashMap, HashSet};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

/// Held by all that repeat one request: the second waits for the first and finds what that was given.
const ONE_REQUEST: &str = "SELECT pg_advisory_xact_lock($1)";
/// All lines in which something is ready, of these queues where claims are not switched off.
macro_rules! lines {
    ($($then:expr),+ $(,)?) => {
        concat!(
            "WITH RECURSIVE line AS (
                SELECT n.* FROM unnest($1::text[]) q (queue) CROSS JOIN LATERAL (
                    SELECT queue, tenant, priority, needs FROM tasks WHERE state = 'ready' AND queue = q.queue
                    ORDER BY tenant, priority, needs LIMIT 1) n
                WHERE NOT EXISTS (SELECT 1 FROM switches WHERE name = 'claims.' || q.queue AND value = 'off')
                UNION ALL
                SELECT n.* FROM line l CROSS JOIN LATERAL (
                    SELECT queue, tenant, priority, needs FROM tasks WHERE state = 'ready' AND queue = l.queue
                        AND (tenant, priority, needs) > (l.tenant, l.priority, l.needs)
                    ORDER BY tenant, priority, needs LIMIT 1) n) ",
            $($then),+
        )
    };
}
pub(super) use lines;

/// The first ready tasks of each line that a worker with these capabilities may take from. Of many lines none gives more
/// than a few.
macro_rules! heads {
    ($lock:literal) => {
        lines!(
            ", mine AS MATERIALIZED (
                SELECT l.*, t.weight, t.running_max, f.vtime
                FROM line l JOIN tenants t ON t.id = l.tenant
                     LEFT JOIN flows f ON f.tenant = l.tenant AND f.queue = l.queue AND f.priority = l.priority
                WHERE string_to_array(l.needs, ',') <@ $3::text[])
             SELECT c.*, l.weight, l.running_max, l.vtime FROM mine l CROSS JOIN LATERAL (
                SELECT id, tenant, priority, needs, asset, queue, lane, rank, cpu_ms, memory_bytes, alone, queued_at FROM tasks
                WHERE state = 'ready' AND queue = l.queue AND tenant = l.tenant AND priority = l.priority AND needs = l.needs
                ORDER BY lane, rank LIMIT (SELECT least($2, greatest($2 / greatest(count(*), 1), 2)) FROM mine)",
            $lock,
            ") c"
        )
    };
}

/// Those that nobody else is looking at.
pub(super) const READY: &str = heads!(" FOR UPDATE SKIP LOCKED");
/// The same for looking only.
pub(super) const HEADS: &str = heads!("");
const READY_OF_ASSETS: &str = "SELECT c.* FROM unnest($1::uuid[]) w (asset) CROSS JOIN LATERAL (
        SELECT id, tenant, priority, needs, asset, queue, lane, rank, cpu_ms, memory_bytes, alone, queued_at FROM tasks
        WHERE state = 'ready' AND asset = w.asset
            AND NOT EXISTS (SELECT 1 FROM switches WHERE name = 'claims.' || queue AND value = 'off')
        ORDER BY lane, rank LIMIT $2 FOR UPDATE SKIP LOCKED) c";
const CLOCK: &str = "SELECT vtime FROM clock";
const BUSY: &str = lines!(
    "SELECT EXISTS (SELECT 1 FROM line l CROSS JOIN LATERAL (
            SELECT lane FROM tasks WHERE state = 'ready' AND queue = l.queue AND tenant = l.tenant
                AND priority = l.priority AND needs = l.needs ORDER BY lane, rank LIMIT 1) h WHERE h.lane < $2)
        OR EXISTS (SELECT 1 FROM tasks WHERE state = 'running' AND lane < $2) AS busy"
);
macro_rules! claimed {
    ($with:literal, $from:literal, $order:literal) => {
        concat!(
            $with,
            " SELECT g.id, g.fence, g.tenant, g.asset, g.generation, g.step, g.number, g.memory_bytes, g.cpu_ms, g.tries,
                     g.alone, g.queued_at, g.request, r.recipe, r.settings, r.watermark, r.focus, a.media_type,
                     a.fact_pixels, a.fact_frames, a.fact_bytes, a.correlation_id,
                     b.id AS blob_id, b.sha256 AS blob_sha256, b.bytes AS blob_bytes, b.key AS blob_key
              FROM ", $from, " g
              JOIN runs r ON r.asset = g.asset AND r.generation = g.generation
              JOIN assets a ON a.id = g.asset
              JOIN blobs b ON b.id = a.original ORDER BY ", $order
        )
    };
}

const GIVE: &str = claimed!(
    "WITH given AS (
        UPDATE tasks t SET state = 'running', fence = t.fence + 1, attempts = t.attempts + 1, tries = t.tries + 1,
               lease_until = w.until, started_at = $5, worker = w.worker
        FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::bytea[]) WITH ORDINALITY w (id, until, worker, request, place)
        WHERE t.id = w.id RETURNING t.*, w.request, w.place),
     noted AS (
        INSERT INTO attempts (task, fence, number, worker, request, started_at)
        SELECT id, fence, tries, worker, request, $5 FROM given)",
    "given",
    "g.place"
);
const HELD: &str = claimed!(
    "WITH held AS (
        SELECT t.*, n.request FROM attempts n JOIN tasks t ON t.id = n.task AND t.fence = n.fence
        WHERE n.request = ANY($1) AND n.ended_at IS NULL AND t.state = 'running')",
    "held",
    "g.lane, g.rank"
);

/// A ready task, and whose it is.
struct Waiting {
    asset: AssetId,
    task: Candidate,
}

/// A task to give, and to whom.
struct Gift<'a> {
    task: TaskId,
    capacity: &'a Capacity,
    request: Vec<u8>,
}

/// A report that asks for more of its asset.
pub(super) struct Offer<'a> {
    pub(super) asset: AssetId,
    pub(super) capacity: &'a Capacity,
    pub(super) request: Vec<u8>,
}

/// Tasks by the request that they were given to.
pub(super) type Given = HashMap<Vec<u8>, Vec<Claimed>>;

/// Gives ready tasks in the store's order, or again those that the same request was given and still holds.
pub(super) async fn claim(
    s: &Session,
    request: Uuid,
    capacity: &Capacity,
) -> Result<Vec<Claimed>, StoreError> {
    let bytes = request.as_bytes().to_vec();
    let lock = i64::from_be_bytes(bytes[8..].try_into().expect("a UUID has sixteen bytes"));
    let requests = vec![bytes.clone()];
    let groups: Vec<(Vec<&str>, i64)> = capacity
        .slots
        .iter()
        .map(|(queues, slots)| {
            let limit = match slots {
                0 => 0,
                slots => i64::from(slots.saturating_add(LOOKAHEAD)),
            };
            (queues.iter().map(|queue| queue.as_str()).collect(), limit)
        })
        .collect();
    let all: Vec<&str> = Queue::ALL.iter().map(|queue| queue.as_str()).collect();
    let idle_lane = i64::from(IDLE_LANE);
    let lock: [&(dyn ToSql + Sync); 1] = [&lock];
    let held: [&(dyn ToSql + Sync); 1] = [&requests];
    let busy: [&(dyn ToSql + Sync); 2] = [&all, &idle_lane];
    let ready: Vec<[&(dyn ToSql + Sync); 3]> = groups
        .iter()
        .map(|(queues, limit)| [queues as _, limit as _, &capacity.capabilities as _])
        .collect();
    let mut calls: Vec<(&str, Params<'_>)> = vec![(ONE_REQUEST, &lock[..]), (HELD, &held[..])];
    calls.push((CLOCK, &[]));
    calls.extend(ready.iter().map(|params| (READY, &params[..])));
    if capacity.idle_lane {
        calls.push((BUSY, &busy[..]));
    }
    let mut answers = s.all(&calls).await?;
    if !answers[1].is_empty() {
        return claimed_all(s, &answers[1]).await;
    }
    if !s.phase.may_begin() {
        return Ok(Vec::new());
    }
    let busy = match capacity.idle_lane {
        true => get(&answers[calls.len() - 1][0], "busy")?,
        false => true,
    };
    let clock = get(&answers[2][0], "vtime")?;
    let candidates = answers.split_off(3);
    let mut giving = Giving::new(capacity, s.now);
    let mut gifts = Vec::new();
    let mut served = Vec::new();
    let mut given_lines: Vec<Line> = Vec::new();
    for ((_, slots), rows) in capacity.slots.iter().zip(&candidates) {
        let found = waiting(rows)?;
        let mut turns = turns::stand(s, clock, rows, lines_of(&found)).await?;
        // What the group before was given does not run yet.
        for line in &given_lines {
            turns.give(line);
        }
        let mut tasks: Vec<Candidate> = found.into_iter().map(|w| w.task).collect();
        if any_too_large(&tasks, capacity) {
            let others = super::cluster::at_work(s).await?;
            look_elsewhere(&mut tasks, capacity, others);
        }
        for chosen in giving.choose(tasks, &mut turns, *slots, || Ok(!busy))? {
            given_lines.push(chosen.line);
            gifts.push(Gift {
                task: chosen.id,
                capacity,
                request: bytes.clone(),
            });
        }
        served.push(turns);
    }
    // Sent together: neither waits for the other's answer.
    let (given, saved) = tokio::join!(give(s, &gifts), turns::save_all(s, &served));
    saved?;
    Ok(given?.remove(&bytes).unwrap_or_default())
}

/// Gives ready tasks of one asset to the worker that holds its bytes already. An offer never goes before a lower lane of
/// its own line, nor much before its line's turn, nor before a task that has waited too long for room.
pub(super) async fn offer(s: &Session, offers: &[Offer<'_>]) -> Result<Given, StoreError> {
    if offers.is_empty() || !s.phase.may_begin() {
        return Ok(Given::new());
    }
    let mut assets: Vec<Uuid> = offers.iter().map(|o| o.asset.0).collect();
    assets.sort_unstable();
    assets.dedup();
    let slots = offers.iter().flat_map(|o| o.capacity.slots.iter());
    let most = slots.clone().map(|(_, slots)| *slots).max().unwrap_or(0);
    let queues: HashSet<&str> = slots
        .flat_map(|(queues, _)| queues.iter().map(|queue| queue.as_str()))
        .collect();
    let queues: Vec<&str> = queues.into_iter().collect();
    let able = offers.iter().flat_map(|o| &o.capacity.capabilities);
    let able: HashSet<&str> = able.map(String::as_str).collect();
    let able: Vec<&str> = able.into_iter().collect();
    let limit = i64::from(most.saturating_add(LOOKAHEAD));
    let mut answers = s
        .all(&[
            (READY_OF_ASSETS, &[&assets, &limit]),
            (HEADS, &[&queues, &limit, &able]),
            (CLOCK, &[]),
        ])
        .await?;
    let clock = get(&answers[2][0], "vtime")?;
    let rows = answers.remove(1);
    let mut heads = waiting(&rows)?;
    let mut ready = waiting(&answers.remove(0))?;
    // What is ready in the assets is among the heads' lines, unless its queue's claims are switched off.
    ready.retain(|w| heads.iter().any(|head| head.task.line == w.task.line));
    if ready.is_empty() {
        return Ok(Given::new());
    }
    let mut turns = turns::stand(s, clock, &rows, lines_of(&heads)).await?;
    heads.sort_by_key(|w| (turns.turn(&w.task.line), w.task.place()));
    ready.sort_by_key(|w| w.task.place());
    let mut gifts: Vec<Gift<'_>> = Vec::new();
    for offer in offers {
        let mut giving = Giving::new(offer.capacity, s.now);
        let can = |task: &Candidate| can(&task.needs, &offer.capacity.capabilities);
        for (queues, slots) in &offer.capacity.slots {
            let is_of = |w: &Waiting| queues.contains(&w.task.line.queue) && can(&w.task);
            let first = heads.iter().find(|w| is_of(w));
            if first.is_some_and(|w| giving.is_blocked_by(&w.task)) {
                break;
            }
            let mut left = *slots;
            let mut at = 0;
            while left > 0 && at < ready.len() {
                let w = &ready[at];
                let others = heads.iter().filter(|w| is_of(w)).map(|w| &w.task);
                let is_asked = w.asset == offer.asset && is_of(w) && giving.may_offer(&w.task);
                if !is_asked || !is_its_turn(&w.task, &turns, others) {
                    at += 1;
                    continue;
                }
                let w = ready.remove(at);
                giving.take(&w.task);
                turns.serve(&w.task.line, w.task.cpu_ms);
                heads.retain(|h| h.task.id != w.task.id);
                gifts.push(Gift {
                    task: w.task.id,
                    capacity: offer.capacity,
                    request: offer.request.clone(),
                });
                left -= 1;
            }
        }
    }
    let served = [turns];
    let (given, saved) = tokio::join!(give(s, &gifts), turns::save_all(s, &served));
    saved?;
    given
}

/// What these requests were given and still hold.
pub(super) async fn held(s: &Session, requests: &[Vec<u8>]) -> Result<Given, StoreError> {
    if requests.is_empty() {
        return Ok(Given::new());
    }
    by_request(s, &s.query(HELD, &[&requests]).await?).await
}

async fn give(s: &Session, gifts: &[Gift<'_>]) -> Result<Given, StoreError> {
    if gifts.is_empty() {
        return Ok(Given::new());
    }
    let ids: Vec<Uuid> = gifts.iter().map(|g| g.task.0).collect();
    let until: Vec<i64> = gifts
        .iter()
        .map(|g| s.now.after(g.capacity.lease).0)
        .collect();
    let workers: Vec<&str> = gifts
        .iter()
        .map(|g| g.capacity.worker_name.as_str())
        .collect();
    let requests: Vec<&[u8]> = gifts.iter().map(|g| &g.request[..]).collect();
    let rows = s
        .query(GIVE, &[&ids, &until, &workers, &requests, &s.now.0])
        .await?;
    by_request(s, &rows).await
}

async fn by_request(s: &Session, rows: &[Row]) -> Result<Given, StoreError> {
    let mut given = Given::new();
    for row in rows {
        let request: Vec<u8> = get(row, "request")?;
        given
            .entry(request)
            .or_default()
            .push(claimed(s, row).await?);
    }
    Ok(given)
}

async fn claimed_all(s: &Session, rows: &[Row]) -> Result<Vec<Claimed>, StoreError> {
    let mut all = Vec::with_capacity(rows.len());
    for row in rows {
        all.push(claimed(s, row).await?);
    }
    Ok(all)
}

fn lines_of(waiting: &[Waiting]) -> impl Iterator<Item = Line> {
    waiting.iter().map(|w| w.task.line)
}

fn waiting(rows: &[Row]) -> Result<Vec<Waiting>, StoreError> {
    let found = rows.iter().map(|row| {
        Ok(Waiting {
            asset: id(row, "asset")?,
            task: Candidate {
                id: id(row, "id")?,
                line: Line {
                    tenant: id(row, "tenant")?,
                    queue: named(row, "queue", Queue::parse)?,
                    priority: number(row, "priority")?,
                },
                cpu_ms: number(row, "cpu_ms")?,
                needs: get(row, "needs")?,
                elsewhere: false,
                lane: number(row, "lane")?,
                rank: get(row, "rank")?,
                memory: number(row, "memory_bytes")?,
                alone: get(row, "alone")?,
                queued_at: time(row, "queued_at")?,
            },
        })
    });
    found.collect()
}

/// A running task with all that its operation is a function of.
async fn claimed(s: &Session, row: &Row) -> Result<Claimed, StoreError> {
    Ok(Claimed {
        lease: Lease {
            task: id(row, "id")?,
            fence: number(row, "fence")?,
        },
        tenant: id(row, "tenant")?,
        asset: id(row, "asset")?,
        generation: number(row, "generation")?,
        step: number(row, "step")?,
        number: number(row, "number")?,
        recipe: s.recipe(sha(row, "recipe")?).await?,
        settings: s.settings(sha(row, "settings")?).await?,
        options: AssetOptions {
            watermark: get(row, "watermark")?,
            focus: maybe_json(row, "focus")?,
            ..AssetOptions::default()
        },
        original: blob(row)?,
        media_type: get(row, "media_type")?,
        facts: facts(row)?,
        cost: Cost {
            memory_bytes: number(row, "memory_bytes")?,
            cpu_ms: number(row, "cpu_ms")?,
        },
        attempt: number(row, "tries")?,
        alone: get(row, "alone")?,
        correlation_id: get(row, "correlation_id")?,
        ready_at: time(row, "queued_at")?,
    })
}

/// What a report's offer is remembered by.
pub(super) fn offer_of(lease: Lease) -> Vec<u8> {
    let mut request = lease.task.as_bytes().to_vec();
    request.extend(lease.fence.to_be_bytes());
    request
}

/// Extends leases; answers those that are lost.
pub(super) async fn extend(
    s: &Session,
    leases: &[Lease],
    until: i64,
) -> Result<Vec<Lease>, StoreError> {
    let ids: Vec<Uuid> = leases.iter().map(|lease| lease.task.0).collect();
    let fences: Vec<i64> = leases.iter().map(|lease| clamp(lease.fence)).collect();
    let rows = s.query(EXTEND, &[&ids, &fences, &until]).await?;
    let lost = rows.iter().map(|row| {
        Ok(Lease {
            task: id(row, "id")?,
            fence: number(row, "fence")?,
        })
    });
    lost.collect()
}

/// Waits for nobody: a task that somebody is deciding about at this moment is not lost yet, and the next heartbeat
/// tells how that ended.
const EXTEND: &str = "WITH w AS (SELECT * FROM unnest($1::uuid[], $2::bigint[]) w (id, fence)),
    held AS (
        SELECT t.id FROM tasks t JOIN w ON t.id = w.id AND t.fence = w.fence
        WHERE t.state = 'running' FOR UPDATE OF t SKIP LOCKED),
    extended AS (UPDATE tasks t SET lease_until = $3 FROM held h WHERE t.id = h.id)
    SELECT w.id, w.fence FROM w
    WHERE NOT EXISTS (SELECT 1 FROM tasks t WHERE t.id = w.id AND t.fence = w.fence AND t.state = 'running')";
