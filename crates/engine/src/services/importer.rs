//! Fetches what was asked for by address, several files at the same time. How far each is stands in the store, so that whoever goes
//! on after a crash asks for what is missing.

use super::duty::{Duty, ELSEWHERE};
use super::{Board, ServiceStatus};
use crate::imports::SOURCE;
use crate::{Engine, EngineError};
use mediaflow_core::UploadId;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub(super) const NAME: &str = "importer";
const PAUSE: Duration = Duration::from_millis(500);

/// Imports that this process is at.
struct Running {
    tasks: JoinSet<UploadId>,
    ids: HashSet<UploadId>,
    stop: CancellationToken,
}

impl Running {
    fn new() -> Self {
        Self {
            tasks: JoinSet::new(),
            ids: HashSet::new(),
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
                PAUSE
            }
            false => {
                running.end().await;
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
    let free = most.saturating_sub(running.ids.len());
    if free == 0 {
        return Ok(());
    }
    // Those that run are due as well.
    let limit = u32::try_from(most + free).unwrap_or(u32::MAX);
    let due = engine.store().due_imports(SOURCE, limit).await?;
    let due = due
        .into_iter()
        .filter(|import| !running.ids.contains(&import.id));
    for import in due.take(free).collect::<Vec<_>>() {
        let (engine, stop, id) = (Arc::clone(engine), running.stop.clone(), import.id);
        running.ids.insert(id);
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
