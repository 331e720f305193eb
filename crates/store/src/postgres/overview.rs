//! What people look at to see how it goes.

use super::rows::{get, id, named, number, time};
use super::{PostgresStore, Session, record, uploads};
use crate::load::{MINUTES_KEPT, minute};
use crate::overview::{FAILED_MAX, Failed, grouped};
use crate::{FailureGroup, Overview, QueueMinute, StoreError, UploadRecord};
use async_trait::async_trait;
use futures_util::FutureExt;
use mediaflow_core::{AssetId, Queue, Recipe, TaskState, TenantId, Timestamp};
use std::sync::Arc;

#[async_trait]
impl Overview for PostgresStore {
    async fn last_hour(&self) -> Result<Vec<QueueMinute>, StoreError> {
        self.read(move |s, _| last_hour(s).boxed()).await
    }

    async fn failures(&self, tenant: TenantId) -> Result<Vec<FailureGroup>, StoreError> {
        self.read(move |s, _| failures(s, tenant).boxed()).await
    }

    async fn recipe_of(&self, tenant: TenantId, asset: AssetId) -> Result<Arc<Recipe>, StoreError> {
        self.read(move |s, _| recipe_of(s, tenant, asset).boxed())
            .await
    }

    async fn uploads_under_way(
        &self,
        tenant: TenantId,
        limit: u32,
    ) -> Result<Vec<UploadRecord>, StoreError> {
        self.read(move |s, _| under_way(s, tenant, limit).boxed())
            .await
    }
}

/// Each statement counts what it did, so a minute has many rows until they are folded.
const MINUTES: &str =
    "SELECT minute, queue, sum(arrived)::bigint AS arrived, sum(done)::bigint AS done,
            sum(spent_ms)::bigint AS spent_ms
     FROM queue_minutes WHERE minute > $1 GROUP BY minute, queue ORDER BY minute, queue";
const FAILED: &str =
    "SELECT t.id, t.error_code, t.operation, coalesce(t.finished_at, t.started_at, t.created_at) AS at
     FROM tasks t JOIN assets a ON a.id = t.asset
     WHERE t.tenant = $1 AND t.state = $2 AND t.state IN ('waiting', 'dead') AND t.error_code IS NOT NULL
       AND t.generation = a.generation AND a.state NOT IN ('rejected', 'deleted')
     ORDER BY t.id DESC LIMIT $3";
const UNDER_WAY: &str =
    "SELECT * FROM uploads WHERE tenant = $1 AND asset IS NULL AND state <> 'refused' LIMIT $2";

async fn last_hour(s: &Session) -> Result<Vec<QueueMinute>, StoreError> {
    let rows = s.query(MINUTES, &[&(minute(s.now) - MINUTES_KEPT)]).await?;
    let minutes = rows.iter().map(|row| {
        Ok(QueueMinute {
            at: Timestamp(get::<i64>(row, "minute")? * 60_000),
            queue: named(row, "queue", Queue::parse)?,
            arrived: number(row, "arrived")?,
            done: number(row, "done")?,
            spent_ms: number(row, "spent_ms")?,
        })
    });
    minutes.collect()
}

async fn failures(s: &Session, tenant: TenantId) -> Result<Vec<FailureGroup>, StoreError> {
    let mut failed = Vec::new();
    for state in [TaskState::Dead, TaskState::Waiting] {
        let params = (tenant.0, state.as_str(), i64::from(FAILED_MAX));
        let rows = s.query(FAILED, &[&params.0, &params.1, &params.2]).await?;
        for row in &rows {
            failed.push(Failed {
                state,
                code: get(row, "error_code")?,
                operation: get(row, "operation")?,
                task: id(row, "id")?,
                at: time(row, "at")?,
            });
        }
    }
    Ok(grouped(failed, s.now))
}

async fn recipe_of(
    s: &Session,
    tenant: TenantId,
    asset: AssetId,
) -> Result<Arc<Recipe>, StoreError> {
    let found = record::asset(s, asset).await?;
    if found.tenant != tenant {
        return Err(StoreError::AssetNotFound);
    }
    let (_, _, hash) = found.run.recipe;
    s.recipe(hash).await
}

async fn under_way(
    s: &Session,
    tenant: TenantId,
    limit: u32,
) -> Result<Vec<UploadRecord>, StoreError> {
    let rows = s.query(UNDER_WAY, &[&tenant.0, &i64::from(limit)]).await?;
    rows.iter().map(uploads::record).collect()
}
