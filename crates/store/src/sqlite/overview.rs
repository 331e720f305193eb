//! What people look at to see how it goes.

use super::rows::{id, named, time};
use super::{SqliteStore, record, uploads};
use crate::load::{MINUTES_KEPT, minute};
use crate::overview::{FAILED_MAX, Failed, grouped};
use crate::{FailureGroup, Overview, QueueMinute, StoreError, UploadRecord};
use async_trait::async_trait;
use mediaflow_core::{AssetId, Queue, Recipe, TaskState, TenantId, Timestamp};
use rusqlite::params;
use std::sync::Arc;

#[async_trait]
impl Overview for SqliteStore {
    async fn last_hour(&self) -> Result<Vec<QueueMinute>, StoreError> {
        let now = self.env.now();
        self.read(move |conn, _| {
            let mut statement = conn.prepare_cached(MINUTES)?;
            let minutes = statement.query_map([minute(now) - MINUTES_KEPT], |row| {
                Ok(QueueMinute {
                    at: Timestamp(row.get::<_, i64>("minute")? * 60_000),
                    queue: named(row, "queue", Queue::parse)?,
                    arrived: row.get("arrived")?,
                    done: row.get("done")?,
                    spent_ms: row.get("spent_ms")?,
                })
            })?;
            Ok(minutes.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn failures(&self, tenant: TenantId) -> Result<Vec<FailureGroup>, StoreError> {
        let now = self.env.now();
        self.read(move |conn, _| {
            let mut statement = conn.prepare_cached(FAILED)?;
            let mut failed = Vec::new();
            for state in [TaskState::Dead, TaskState::Waiting] {
                let params = params![tenant.as_bytes(), state.as_str(), FAILED_MAX];
                let found = statement.query_map(params, |row| {
                    Ok(Failed {
                        state,
                        code: row.get("error_code")?,
                        operation: row.get("operation")?,
                        task: id(row, "id")?,
                        at: time(row, "at")?,
                    })
                })?;
                for one in found {
                    failed.push(one?);
                }
            }
            Ok(grouped(failed, now))
        })
        .await
    }

    async fn recipe_of(&self, tenant: TenantId, asset: AssetId) -> Result<Arc<Recipe>, StoreError> {
        self.read(move |conn, frozen| {
            let found = record::asset(conn, frozen, asset)?;
            if found.tenant != tenant {
                return Err(StoreError::AssetNotFound);
            }
            let (_, _, hash) = found.run.recipe;
            frozen.recipe(conn, hash)
        })
        .await
    }

    async fn uploads_under_way(
        &self,
        tenant: TenantId,
        limit: u32,
    ) -> Result<Vec<UploadRecord>, StoreError> {
        self.read(move |conn, _| {
            let mut statement = conn.prepare_cached(UNDER_WAY)?;
            let params = params![tenant.as_bytes(), limit];
            let found = statement.query_map(params, uploads::record)?;
            Ok(found.collect::<Result<_, _>>()?)
        })
        .await
    }
}

pub(super) const MINUTES: &str = "SELECT minute, queue, arrived, done, spent_ms FROM queue_minutes
     WHERE minute > ?1 ORDER BY minute, queue";
pub(super) const FAILED: &str =
    "SELECT t.id, t.error_code, t.operation, coalesce(t.finished_at, t.started_at, t.created_at) AS at
     FROM tasks t INDEXED BY tasks_by_state CROSS JOIN assets a ON a.id = t.asset
     WHERE t.tenant = ?1 AND t.state = ?2 AND t.error_code IS NOT NULL AND t.generation = a.generation
       AND a.state NOT IN ('rejected', 'deleted')
     ORDER BY t.id DESC LIMIT ?3";
/// No more than all keys together may have open.
pub(super) const UNDER_WAY: &str = "SELECT * FROM uploads INDEXED BY uploads_open WHERE tenant = ?1 AND asset IS NULL AND state <> 'refused' LIMIT ?2";
