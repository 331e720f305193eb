//! Background services, one file each. Every one has a name and a visible status, survives errors of its
//! round, and ends at once when told. In a cluster one process at a time runs each.

mod announcer;
mod collector;
mod duty;
mod expirer;
mod importer;
mod pruner;
mod purger;
mod standstill;
mod storage_events;
mod sweeper;
mod teller;
mod watcher;
mod webhooks;

pub use announcer::announce;
pub(crate) use standstill::Standstill;
pub(crate) use teller::OUTLET;

pub use collector::{Shelf, delete_condemned, delete_strays};
pub use pruner::prune;
pub use purger::{Caches, purge_due};

use crate::{Engine, EngineError};
use duty::{Duty, ELSEWHERE};
use futures_util::FutureExt as _;
use mediaflow_core::{ErrorCode, Timestamp, WorkerId};
use std::collections::BTreeMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How a service's last round went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceStatus {
    /// When it ended.
    pub at: Timestamp,
    /// What it said, if it failed.
    pub error: Option<String>,
}

/// The services of one process.
pub struct Services {
    tasks: JoinSet<()>,
    board: Board,
    /// Among the processes of a cluster, of which one at a time runs each service.
    process: WorkerId,
}

/// Where services leave their status.
#[derive(Clone, Default)]
pub struct Board(Arc<Mutex<BTreeMap<&'static str, ServiceStatus>>>);

impl Board {
    /// Each service's last round, by name.
    pub fn read(&self) -> BTreeMap<&'static str, ServiceStatus> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone()
    }

    fn write(&self, name: &'static str, status: ServiceStatus) {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .insert(name, status);
    }
}

impl Services {
    /// Starts all of them; they end when `stop` is cancelled.
    pub fn start(engine: &Arc<Engine>, stop: &CancellationToken) -> Self {
        let mut services = Self {
            tasks: JoinSet::new(),
            board: Board::default(),
            process: WorkerId(engine.environment().id()),
        };
        services.every(engine, stop, "sweeper", sweeper::PAUSE, sweeper::round);
        services.every(
            engine,
            stop,
            "collector",
            collector::PAUSE,
            collector::round,
        );
        services.every(engine, stop, "purger", purger::PAUSE, purger::round);
        services.every(engine, stop, "expirer", expirer::PAUSE, expirer::round);
        services.every(engine, stop, "pruner", pruner::PAUSE, pruner::round);
        services.tasks.spawn(importer::run(
            Arc::clone(engine),
            Duty::new(importer::NAME, services.process),
            services.board.clone(),
            stop.clone(),
        ));
        if engine.has_webhooks() {
            services.tasks.spawn(webhooks::run(
                Arc::clone(engine),
                Duty::new(webhooks::NAME, services.process),
                services.board.clone(),
                stop.clone(),
            ));
        }
        if !engine.parts.watches.is_empty() {
            services.tasks.spawn(watcher::run(
                Arc::clone(engine),
                Duty::new(watcher::NAME, services.process),
                services.board.clone(),
                stop.clone(),
            ));
        }
        if !engine.storage_sources().is_empty() {
            services.tasks.spawn(storage_events::run(
                Arc::clone(engine),
                Duty::new(storage_events::NAME, services.process),
                services.board.clone(),
                stop.clone(),
            ));
        }
        if engine.outlet().is_some() {
            services.every(engine, stop, "teller", teller::PAUSE, teller::round);
        }
        if engine.broker().is_some() {
            services.every(
                engine,
                stop,
                "announcer",
                announcer::PAUSE,
                announcer::round,
            );
        }
        services
    }

    /// Where they leave their status.
    pub fn board(&self) -> Board {
        self.board.clone()
    }

    /// Waits until all have ended.
    pub async fn join(mut self) {
        while self.tasks.join_next().await.is_some() {}
    }

    fn every<F>(
        &mut self,
        engine: &Arc<Engine>,
        stop: &CancellationToken,
        name: &'static str,
        pause: Duration,
        round: impl Fn(Arc<Engine>) -> F + Send + 'static,
    ) where
        F: Future<Output = Result<Round, EngineError>> + Send + 'static,
    {
        let (engine, stop, board) = (Arc::clone(engine), stop.clone(), self.board.clone());
        let mut duty = Duty::new(name, self.process);
        self.tasks.spawn(async move {
            loop {
                if !duty.is_ours(&engine).await {
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = tokio::time::sleep(ELSEWHERE) => continue,
                    }
                }
                let outcome = tokio::select! {
                    () = stop.cancelled() => return,
                    outcome = survived(round(Arc::clone(&engine))) => outcome,
                };
                let error = outcome.as_ref().err().map(ToString::to_string);
                if let Err(e) = &outcome {
                    tracing::warn!(service = name, error = %e, reason = ?e.reason, "a round failed");
                }
                board.write(name, ServiceStatus { at: engine.environment().now(), error });
                if matches!(outcome, Ok(Round::More)) {
                    continue;
                }
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(pause) => {}
                }
            }
        });
    }
}

/// A round's outcome; a bug in it is an error like others, and the next round comes all the same.
async fn survived(
    round: impl Future<Output = Result<Round, EngineError>>,
) -> Result<Round, EngineError> {
    let outcome = AssertUnwindSafe(round).catch_unwind().await;
    outcome.unwrap_or_else(|_| {
        let text = "a bug ended the round; the log has its place";
        Err(EngineError::new(ErrorCode::Internal, text))
    })
}

/// What a round found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Round {
    /// As much as it takes at once: go on without a pause.
    More,
    /// All there was.
    Done,
}

impl Round {
    pub(crate) fn of(found: usize, limit: u32) -> Self {
        if found as u64 >= u64::from(limit) {
            Self::More
        } else {
            Self::Done
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_bug_in_a_round_is_an_error_and_no_end() {
        let error = survived(async { panic!("a bug") }).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::Internal);
        let fine = survived(async { Ok(Round::More) }).await;
        assert_eq!(fine.unwrap(), Round::More);
    }
}
