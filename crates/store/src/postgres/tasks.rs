//! Tasks for display, with their attempts.

use super::Session;
use super::rows::{error, get, id, maybe_time, named, number, sha, time};
use crate::load::listed;
use crate::query::{page_size, tasks_of_all, tasks_of_asset, tasks_page};
use crate::{AttemptRecord, StoreError, TaskFilter, TaskPage, TaskRecord};
use mediaflow_core::{AssetId, Queue, TaskId, TaskState, TenantId};
use std::collections::HashMap;
use tokio_postgres::Row;

pub(super) const SELECT: &str = "SELECT t.id, t.asset, t.generation, t.step, t.number, t.operation, t.queue, t.state, t.tries,
     t.created_at, t.queued_at, t.started_at, t.finished_at, t.retry_at, t.worker, t.error_code, t.error_message,
     t.needs, t.memory_bytes, r.recipe FROM tasks t JOIN runs r ON r.asset = t.asset AND r.generation = t.generation";

/// A page of tasks: one asset's in recipe order, otherwise newest first.
pub(super) async fn page(
    s: &Session,
    tenant: TenantId,
    filter: &TaskFilter,
) -> Result<TaskPage, StoreError> {
    let size = page_size(filter.limit)?;
    let query = match filter.asset {
        Some(asset) => {
            let generation = newest(s, tenant, asset).await?;
            tasks_of_asset(SELECT, (asset, generation), filter, size)?
        }
        None => tasks_of_all(SELECT, tenant, filter, size)?,
    };
    let rows = s.list(&query).await?;
    let mut tries = tries(s, &rows).await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        let place = (number(row, "step")?, number(row, "number")?);
        let mut task = task(s, row).await?;
        task.tries = tries.remove(&task.id).unwrap_or_default();
        found.push((task, place));
    }
    Ok(tasks_page(found, filter, size))
}

async fn newest(s: &Session, tenant: TenantId, asset: AssetId) -> Result<u32, StoreError> {
    let sql = "SELECT generation FROM assets WHERE id = $1 AND tenant = $2";
    let row = s.maybe(sql, &[&asset.0, &tenant.0]).await?;
    number(&row.ok_or(StoreError::AssetNotFound)?, "generation")
}

async fn task(s: &Session, row: &Row) -> Result<TaskRecord, StoreError> {
    let recipe = s.recipe(sha(row, "recipe")?).await?;
    let step: usize = number(row, "step")?;
    Ok(TaskRecord {
        id: id(row, "id")?,
        asset: id(row, "asset")?,
        generation: number(row, "generation")?,
        step: recipe.steps[step].name.clone(),
        operation: get(row, "operation")?,
        queue: named(row, "queue", Queue::parse)?,
        state: named(row, "state", TaskState::parse)?,
        attempts: number(row, "tries")?,
        created_at: time(row, "created_at")?,
        queued_at: maybe_time(row, "queued_at")?,
        started_at: maybe_time(row, "started_at")?,
        finished_at: maybe_time(row, "finished_at")?,
        retry_at: maybe_time(row, "retry_at")?,
        worker: get(row, "worker")?,
        error: error(row, "error_code", "error_message")?,
        tries: Vec::new(),
        needs: listed(get(row, "needs")?),
        memory_bytes: number(row, "memory_bytes")?,
    })
}

/// Attempts that count, oldest first: one that was handed back unharmed does not.
async fn tries(
    s: &Session,
    tasks: &[Row],
) -> Result<HashMap<TaskId, Vec<AttemptRecord>>, StoreError> {
    let ids: Vec<uuid::Uuid> = tasks
        .iter()
        .map(|row| get(row, "id"))
        .collect::<Result<_, _>>()?;
    let sql = "SELECT task, number, worker, started_at, ended_at, code, message FROM attempts
               WHERE task = ANY($1) AND outcome IS DISTINCT FROM 'handed_back' ORDER BY task, fence";
    let mut tries = HashMap::<TaskId, Vec<AttemptRecord>>::new();
    for row in s.query(sql, &[&ids]).await? {
        let of_task = tries.entry(id(&row, "task")?).or_default();
        of_task.push(AttemptRecord {
            number: number(&row, "number")?,
            worker: get(&row, "worker")?,
            started_at: time(&row, "started_at")?,
            ended_at: maybe_time(&row, "ended_at")?,
            error: error(&row, "code", "message")?,
        });
    }
    Ok(tries)
}
