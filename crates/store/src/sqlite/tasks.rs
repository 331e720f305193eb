//! Tasks for display, with their attempts.

use super::rows::{error, id, maybe_time, named, sha, time};
use crate::frozen::Frozen;
use crate::load::listed;
use crate::query::{page_size, tasks_of_all, tasks_of_asset, tasks_page};
use crate::{AttemptRecord, StoreError, TaskFilter, TaskPage, TaskRecord};
use mediaflow_core::{AssetId, Queue, TaskId, TaskState, TenantId};
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

const COLUMNS: &str = "t.id, t.asset, t.generation, t.step, t.number, t.operation, t.queue, t.state, t.tries,
     t.created_at, t.queued_at, t.started_at, t.finished_at, t.retry_at, t.worker, t.error_code, t.error_message,
     t.needs, t.memory_bytes, r.recipe FROM tasks t";
const RUNS: &str = "CROSS JOIN runs r ON r.asset = t.asset AND r.generation = t.generation";

/// A page of tasks: one asset's in recipe order, otherwise newest first.
pub(super) fn page(
    conn: &Connection,
    frozen: &Frozen,
    tenant: TenantId,
    filter: &TaskFilter,
) -> Result<TaskPage, StoreError> {
    let size = page_size(filter.limit)?;
    let query = match filter.asset {
        Some(asset) => {
            let generation = newest(conn, tenant, asset)?;
            let select = format!("SELECT {COLUMNS} INDEXED BY tasks_by_step {RUNS}");
            tasks_of_asset(&select, (asset, generation), filter, size)?
        }
        None => {
            let index = match (&filter.code, filter.state) {
                (Some(_), _) => "INDEXED BY tasks_by_code",
                (None, Some(_)) => "INDEXED BY tasks_by_state",
                (None, None) => "",
            };
            let select = format!("SELECT {COLUMNS} {index} {RUNS}");
            tasks_of_all(&select, tenant, filter, size)?
        }
    };
    let mut statement = conn.prepare_cached(&query.sql)?;
    let mut rows = statement.query(params_from_iter(query.args))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let place = (row.get("step")?, row.get("number")?);
        found.push((task(conn, frozen, row)?, place));
    }
    Ok(tasks_page(found, filter, size))
}

fn newest(conn: &Connection, tenant: TenantId, asset: AssetId) -> Result<u32, StoreError> {
    conn.prepare_cached("SELECT generation FROM assets WHERE id = ?1 AND tenant = ?2")?
        .query_row(params![asset.as_bytes(), tenant.as_bytes()], |row| {
            row.get(0)
        })
        .optional()?
        .ok_or(StoreError::AssetNotFound)
}

fn task(conn: &Connection, frozen: &Frozen, row: &Row<'_>) -> Result<TaskRecord, StoreError> {
    let task: TaskId = id(row, "id")?;
    let recipe = frozen.recipe(conn, sha(row, "recipe")?)?;
    let step: usize = row.get("step")?;
    Ok(TaskRecord {
        id: task,
        asset: id::<AssetId>(row, "asset")?,
        generation: row.get("generation")?,
        step: recipe.steps[step].name.clone(),
        operation: row.get("operation")?,
        queue: named(row, "queue", Queue::parse)?,
        state: named(row, "state", TaskState::parse)?,
        attempts: row.get("tries")?,
        created_at: time(row, "created_at")?,
        queued_at: maybe_time(row, "queued_at")?,
        started_at: maybe_time(row, "started_at")?,
        finished_at: maybe_time(row, "finished_at")?,
        retry_at: maybe_time(row, "retry_at")?,
        worker: row.get("worker")?,
        error: error(row, "error_code", "error_message")?,
        tries: tries(conn, task)?,
        needs: listed(row.get_ref("needs")?.as_str().unwrap_or_default()),
        memory_bytes: row.get("memory_bytes")?,
    })
}

/// Attempts that count: one that was handed back unharmed does not.
fn tries(conn: &Connection, task: TaskId) -> Result<Vec<AttemptRecord>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT number, worker, started_at, ended_at, code, message FROM attempts
         WHERE task = ?1 AND outcome IS NOT 'handed_back' ORDER BY fence",
    )?;
    let tries = statement.query_map([task.as_bytes()], |row| {
        Ok(AttemptRecord {
            number: row.get("number")?,
            worker: row.get("worker")?,
            started_at: time(row, "started_at")?,
            ended_at: maybe_time(row, "ended_at")?,
            error: error(row, "code", "message")?,
        })
    })?;
    Ok(tries.collect::<Result<_, _>>()?)
}
