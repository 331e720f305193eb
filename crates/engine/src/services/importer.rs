//! Fetches what was asked for by address, several files at the same time. How far each is stands in the store, so that whoever goes
//! on after a crash asks for what is missing.

use super::duty::{Duty, ELSEWHERE};
use super::{Board, ServiceStatus};
use crate::imports::SOURCE;
use crate::{Engine, EngineError};
use mediaflow_core::{TenantId, UploadId};
use mediaflow_store::ImportRecord;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub(super) const NAME: &str = "importer";
const PAUSE: Duration = Duration::from_millis(500);

/// Imports that this process is at.
struct Running {
    tasks: JoinSet<UploadId>,
    ids: HashMap<UploadId, TenantId>,
    stop: CancellationToken,
}

impl Running {
    fn new() -> Self {
        Self {
            tasks: JoinSet::new(),
            ids: HashMap::new(),
            stop: CancellationToken::new(),
        }
    }

    /// Tells all to stop, and waits: what has arrived of each is recorded.
    async fn end(&mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
        *self = Self::new();
    }

    fn ended(&mut self, task: Result<UploadId, tokio::task::JoinError>) {
        match task {
            Ok(id) => drop(self.ids.remove(&id)),
            Err(error) => {
                tracing::error!(%error, "an import ended badly; it is tried again");
                // Which one it was nobody knows; a second task for one that runs would take it over.
                if self.tasks.is_empty() {
                    self.ids.clear();
                }
            }
        }
    }
}

pub(super) async fn run(
    engine: Arc<Engine>,
    mut duty: Duty,
    board: Board,
    stop: CancellationToken,
) {
    let mut running = Running::new();
    loop {
        let pause = match duty.is_ours(&engine).await {
            true => {
                let begun = begin(&engine, &mut running).await;
                let error = begun.err().map(|error| {
                    tracing::warn!(service = NAME, %error, reason = ?error.reason, "a round failed");
                    error.to_string()
                });
                let at = engine.environment().now();
                board.write(NAME, ServiceStatus { at, error });
                engine.imported.running(running.ids.len());
                PAUSE
            }
            false => {
                running.end().await;
                engine.imported.running(0);
                ELSEWHERE
            }
        };
        tokio::select! {
            () = stop.cancelled() => return running.end().await,
            () = tokio::time::sleep(pause) => {}
            () = engine.import_wanted.notified() => {}
            Some(task) = running.tasks.join_next() => running.ended(task),
        }
        while let Some(task) = running.tasks.try_join_next() {
            running.ended(task);
        }
    }
}

/// Begins as many of those that are due as there is room for.
async fn begin(engine: &Arc<Engine>, running: &mut Running) -> Result<(), EngineError> {
    let most = engine.parts.fetcher.concurrent_max();
    // Those that run are due as well.
    let limit = u32::try_from(most * 4).unwrap_or(u32::MAX);
    let due = engine.store().due_in_turns(SOURCE, limit).await?;
    for import in chosen(due, &running.ids, most) {
        let (engine, stop, id) = (Arc::clone(engine), running.stop.clone(), import.id);
        running.ids.insert(id, import.tenant);
        running.tasks.spawn(async move {
            if let Err(error) = engine.try_import(&import, &stop).await {
                tracing::warn!(%id, %error, reason = ?error.reason, "how an import went could not be recorded; it is tried again");
                tokio::time::sleep(PAUSE).await;
            }
            id
        });
    }
    Ok(())
}

/// Which of those that are due begin now: the next one is of the tenant that has the fewest at work. When all places are taken a
/// tenant that has none gets one more, so that nobody waits for the long imports of others; at most as many again.
fn chosen(
    due: Vec<ImportRecord>,
    running: &HashMap<UploadId, TenantId>,
    most: usize,
) -> Vec<ImportRecord> {
    let mut at_work: HashMap<TenantId, usize> = HashMap::new();
    for tenant in running.values() {
        *at_work.entry(*tenant).or_default() += 1;
    }
    let waiting = due.into_iter();
    let mut waiting: Vec<_> = waiting.filter(|i| !running.contains_key(&i.id)).collect();
    let mut chosen = Vec::new();
    loop {
        let of = |import: &ImportRecord| at_work.get(&import.tenant).copied().unwrap_or(0);
        let taken = running.len() + chosen.len();
        let next = waiting
            .iter()
            .map(of)
            .enumerate()
            .min_by_key(|(_, own)| *own);
        match next {
            Some((at, own)) if taken < most || (own == 0 && taken < most * 2) => {
                let import = waiting.remove(at);
                *at_work.entry(import.tenant).or_default() += 1;
                chosen.push(import);
            }
            _ => return chosen,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mediaflow_core::Timestamp;
    use uuid::Uuid;

    fn tenant(number: u8) -> TenantId {
        TenantId(Uuid::from_u128(number.into()))
    }

    /// As the store answers them: the first of each tenant, then the second, ...
    fn due(tenants: &[u8]) -> Vec<ImportRecord> {
        let due = tenants.iter().zip(100u128..);
        let due = due.map(|(of, id)| ImportRecord {
            id: UploadId(Uuid::from_u128(id)),
            tenant: tenant(*of),
            source: SOURCE.into(),
            reference: String::new(),
            validator: None,
            tries: 0,
            error: None,
            asset: None,
            bytes: 0,
            length: None,
            due_at: Some(Timestamp(0)),
            created_at: Timestamp(0),
        });
        due.collect()
    }

    fn check(at_work: &[u8], waiting: &[u8], expected: &[u8]) {
        let at_work = due(at_work);
        let running = at_work.iter().map(|i| (i.id, i.tenant)).collect();
        let mut all = at_work;
        let later = due(waiting).into_iter().map(|i| ImportRecord {
            id: UploadId(Uuid::from_u128(i.id.0.as_u128() + 1000)),
            ..i
        });
        all.extend(later);
        let begun = chosen(all, &running, 4);
        let begun: Vec<TenantId> = begun.iter().map(|i| i.tenant).collect();
        let expected: Vec<TenantId> = expected.iter().map(|of| tenant(*of)).collect();
        assert_eq!(begun, expected);
    }

    #[test]
    fn tenants_have_their_turn_whatever_others_have_asked_for() {
        check(&[], &[], &[]);
        // Alone, a tenant has all places, and no more.
        check(&[], &[1, 1, 1, 1, 1, 1], &[1, 1, 1, 1]);
        check(&[1, 1, 1, 1], &[1, 1], &[]);
        // With others it has its share.
        check(&[], &[1, 2, 1, 2, 1, 1], &[1, 2, 1, 2]);
        check(&[1, 1, 1], &[1, 2, 1, 2], &[2]);
        // Nobody waits for the long ones of somebody else.
        check(&[1, 1, 1, 1], &[1, 2, 3, 2], &[2, 3]);
        // But not everybody at once.
        check(&[1, 1, 1, 1], &[2, 3, 4, 5, 6, 7], &[2, 3, 4, 5]);
        check(&[1, 2, 3, 4, 5], &[5, 6], &[6]);
    }
}
