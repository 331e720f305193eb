//! What people look at to see how it goes: the last hour, what fails and by what, what is on its way in, and a run's graph.

use crate::{StoreError, UploadRecord};
use async_trait::async_trait;
use mediaflow_core::{AssetId, Queue, Recipe, TaskId, TaskState, TenantId, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Failed tasks that are looked at, the newest first, of each state.
pub const FAILED_MAX: u32 = 10_000;
/// Hours that failures are counted by.
pub(crate) const HOURS: usize = 24;

/// What came and went in a queue in one minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueMinute {
    /// When the minute began.
    pub at: Timestamp,
    /// Which queue.
    pub queue: Queue,
    /// Tasks that could be claimed, again after a failed attempt or for the first time.
    pub arrived: u64,
    /// Attempts that ended, handed back ones aside.
    pub done: u64,
    /// What these attempts took, in milliseconds.
    pub spent_ms: u64,
}

/// Tasks that failed alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailureGroup {
    /// `dead`, or `waiting` for the next try.
    pub state: TaskState,
    /// Of the last error.
    pub code: String,
    /// Of which operation.
    pub operation: String,
    /// How many.
    pub tasks: u64,
    /// When the first of them failed last.
    pub oldest_at: Timestamp,
    /// When the last of them failed.
    pub newest_at: Timestamp,
    /// One of them: that which was made last.
    pub example: TaskId,
    /// How many failed in each of the last hours; the present one is the last.
    pub by_hour: [u64; 24],
}

/// A task that failed, as far as groups need it.
pub(crate) struct Failed {
    pub(crate) state: TaskState,
    pub(crate) code: String,
    pub(crate) operation: String,
    pub(crate) task: TaskId,
    pub(crate) at: Timestamp,
}

/// Tasks that failed alike, the largest group first.
pub(crate) fn grouped(
    failed: impl IntoIterator<Item = Failed>,
    now: Timestamp,
) -> Vec<FailureGroup> {
    let mut groups: BTreeMap<(&'static str, String, String), FailureGroup> = BTreeMap::new();
    for one in failed {
        let key = (one.state.as_str(), one.code.clone(), one.operation.clone());
        let group = groups.entry(key).or_insert_with(|| FailureGroup {
            state: one.state,
            code: one.code,
            operation: one.operation,
            tasks: 0,
            oldest_at: one.at,
            newest_at: one.at,
            example: one.task,
            by_hour: [0; HOURS],
        });
        group.tasks += 1;
        group.oldest_at = group.oldest_at.min(one.at);
        group.newest_at = group.newest_at.max(one.at);
        group.example = group.example.max(one.task);
        let ago = now.since(one.at).as_secs() / 3600;
        let place = usize::try_from(ago)
            .ok()
            .and_then(|ago| (HOURS - 1).checked_sub(ago));
        if let Some(place) = place {
            group.by_hour[place] += 1;
        }
    }
    let mut groups: Vec<FailureGroup> = groups.into_values().collect();
    groups.sort_by_key(|group| std::cmp::Reverse((group.state == TaskState::Dead, group.tasks)));
    groups
}

/// Verbs of people who look.
#[async_trait]
pub trait Overview: Send + Sync {
    /// What came and went in each minute of the last hour, oldest first; minutes in which nothing did are missing.
    async fn last_hour(&self) -> Result<Vec<QueueMinute>, StoreError>;

    /// Tasks of newest runs that are dead and may be replayed, and that wait for another try, by what failed. Of each
    /// state the newest [`FAILED_MAX`] are counted.
    async fn failures(&self, tenant: TenantId) -> Result<Vec<FailureGroup>, StoreError>;

    /// The recipe that the asset's newest run was frozen with.
    ///
    /// # Errors
    /// [`StoreError::AssetNotFound`].
    async fn recipe_of(&self, tenant: TenantId, asset: AssetId) -> Result<Arc<Recipe>, StoreError>;

    /// Uploads that are not whole yet, over several requests or directly, up to `limit`.
    async fn uploads_under_way(
        &self,
        tenant: TenantId,
        limit: u32,
    ) -> Result<Vec<UploadRecord>, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn groups_count_by_hour_and_the_dead_come_first() {
        let now = Timestamp(100 * 3_600_000);
        let failed = |state, code: &str, id: u128, hours_ago: i64| Failed {
            state,
            code: code.into(),
            operation: "moderate".into(),
            task: TaskId(Uuid::from_u128(id)),
            at: Timestamp(now.0 - hours_ago * 3_600_000),
        };
        let groups = grouped(
            [
                failed(TaskState::Waiting, "timeout", 1, 0),
                failed(TaskState::Waiting, "timeout", 2, 0),
                failed(TaskState::Dead, "timeout", 3, 1),
                failed(TaskState::Dead, "input.corrupt", 4, 0),
                failed(TaskState::Dead, "input.corrupt", 5, 50),
            ],
            now,
        );
        let seen: Vec<_> = groups
            .iter()
            .map(|g| (g.state, &*g.code, g.tasks))
            .collect();
        assert_eq!(
            seen,
            [
                (TaskState::Dead, "input.corrupt", 2),
                (TaskState::Dead, "timeout", 1),
                (TaskState::Waiting, "timeout", 2),
            ]
        );
        assert_eq!(groups[0].by_hour.iter().sum::<u64>(), 1);
        assert_eq!(groups[0].by_hour[HOURS - 1], 1);
        assert_eq!(groups[1].by_hour[HOURS - 2], 1);
        assert_eq!(groups[0].example, TaskId(Uuid::from_u128(5)));
    }
}
