//! Workers of all processes: who was heard of, and what operators want of them.

use super::rows::{clamp, get, id, named, number, time};
use super::{PostgresStore, Repeat, Session};
use crate::cluster::{REMEMBERED, SILENCE_MAX, is_living};
use crate::{Cluster, Presence, RunningTask, StoreError, Wish, WorkerRecord};
use async_trait::async_trait;
use futures_util::FutureExt;
use mediaflow_core::{Queue, WorkerId};
use std::collections::HashMap;
use std::time::Duration;
use tokio_postgres::Row;

const PRESENT: &str = "INSERT INTO workers (id, name, version, queues, cpu, memory_bytes, started_at, wish, seen_at, network,
                          capabilities)
     VALUES ($1, $2, $3, $4, $5, $6, $7, 'work', $8, $9, $10)
     ON CONFLICT (id) DO UPDATE SET name = excluded.name, version = excluded.version, queues = excluded.queues,
            cpu = excluded.cpu, memory_bytes = excluded.memory_bytes, started_at = excluded.started_at,
            seen_at = excluded.seen_at, network = excluded.network, capabilities = excluded.capabilities
     RETURNING wish";
const WORKERS: &str = "SELECT * FROM workers ORDER BY name, id";
const RUNNING: &str = "SELECT worker, id, asset, operation, started_at FROM tasks
     WHERE state = 'running' ORDER BY started_at, id";

/// Taken where nobody has it any more, and kept by who has it.
const LEAD: &str = "INSERT INTO duties (name, holder, until) VALUES ($1, $2, $3)
     ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
     WHERE duties.holder = excluded.holder OR duties.until <= $4";

#[async_trait]
impl Cluster for PostgresStore {
    async fn lead(
        &self,
        duty: &str,
        process: WorkerId,
        time: Duration,
    ) -> Result<bool, StoreError> {
        self.write(Repeat::Always, move |s, _| {
            let until = s.now.after(time).0;
            async move {
                let values: super::session::Params<'_> = &[&duty, &process.0, &until, &s.now.0];
                Ok(s.execute(LEAD, values).await? > 0)
            }
            .boxed()
        })
        .await
    }

    async fn present(&self, worker: &Presence) -> Result<Wish, StoreError> {
        self.write(Repeat::Always, move |s, _| hear(s, worker).boxed())
            .await
    }

    async fn leave(&self, worker: WorkerId) -> Result<(), StoreError> {
        let sql = "DELETE FROM workers WHERE id = $1";
        self.write(Repeat::Always, move |s, _| {
            async move { s.execute(sql, &[&worker.0]).await.map(drop) }.boxed()
        })
        .await
    }

    async fn workers(&self) -> Result<Vec<WorkerRecord>, StoreError> {
        self.write(Repeat::Always, |s, _| list(s).boxed()).await
    }

    async fn at_work(&self) -> Result<Vec<Presence>, StoreError> {
        // Only a transaction knows the time.
        self.write(Repeat::Always, |s, _| at_work(s).boxed()).await
    }

    async fn wish(&self, worker: WorkerId, wish: Wish) -> Result<bool, StoreError> {
        let sql = "UPDATE workers SET wish = $2 WHERE id = $1";
        self.write(Repeat::Always, move |s, _| {
            async move { Ok(s.execute(sql, &[&worker.0, &wish.as_str()]).await? > 0) }.boxed()
        })
        .await
    }
}

async fn hear(s: &mut Session, worker: &Presence) -> Result<Wish, StoreError> {
    let queues: Vec<&str> = worker.queues.iter().map(|queue| queue.as_str()).collect();
    let row = s
        .one(
            PRESENT,
            &[
                &worker.id.0,
                &worker.name,
                &worker.version,
                &queues,
                &i64::from(worker.cpu),
                &clamp(worker.memory_bytes),
                &worker.started_at.0,
                &s.now.0,
                &i64::from(worker.network),
                &worker.capabilities,
            ],
        )
        .await?;
    named(&row, "wish", Wish::parse)
}

/// Lists workers, and forgets those that said nothing for long.
async fn list(s: &mut Session) -> Result<Vec<WorkerRecord>, StoreError> {
    let since = s.now.0.saturating_sub(clamp(REMEMBERED.as_millis()));
    let answers = s
        .all(&[
            ("DELETE FROM workers WHERE seen_at <= $1", &[&since]),
            (RUNNING, &[]),
            (WORKERS, &[]),
        ])
        .await?;
    let mut running: HashMap<String, Vec<RunningTask>> = HashMap::new();
    for row in &answers[1] {
        let worker: Option<String> = get(row, "worker")?;
        let tasks = running.entry(worker.unwrap_or_default()).or_default();
        tasks.push(RunningTask {
            id: id(row, "id")?,
            asset: id(row, "asset")?,
            operation: get(row, "operation")?,
            started_at: time(row, "started_at")?,
        });
    }
    let mut workers = Vec::with_capacity(answers[2].len());
    for row in &answers[2] {
        let presence = presence(row)?;
        workers.push(WorkerRecord {
            tasks: running.remove(&presence.name).unwrap_or_default(),
            presence,
            wish: named(row, "wish", Wish::parse)?,
            seen_at: time(row, "seen_at")?,
            is_gone: !is_living(time(row, "seen_at")?, s.now),
        });
    }
    Ok(workers)
}

const AT_WORK: &str = "SELECT * FROM workers WHERE seen_at >= $1 AND wish = 'work' ORDER BY id";

/// Those that live and are to work.
pub(super) async fn at_work(s: &Session) -> Result<Vec<Presence>, StoreError> {
    let since = s.now.0.saturating_sub(clamp(SILENCE_MAX.as_millis()));
    let rows = s.query(AT_WORK, &[&since]).await?;
    rows.iter().map(presence).collect()
}

fn presence(row: &Row) -> Result<Presence, StoreError> {
    let queues: Vec<&str> = get(row, "queues")?;
    Ok(Presence {
        id: id(row, "id")?,
        name: get(row, "name")?,
        version: get(row, "version")?,
        queues: queues.into_iter().filter_map(Queue::parse).collect(),
        cpu: number(row, "cpu")?,
        network: number(row, "network")?,
        capabilities: get(row, "capabilities")?,
        memory_bytes: number(row, "memory_bytes")?,
        started_at: time(row, "started_at")?,
    })
}
