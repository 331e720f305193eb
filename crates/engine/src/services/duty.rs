//! Which process of a cluster runs a service: the store gives each duty to one, for a while.

use crate::Engine;
use mediaflow_core::WorkerId;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long a duty is given for. When its process vanishes another one takes over after as long.
const TIME: Duration = Duration::from_secs(10);
/// How often a process asks whose turn it is while it is another one's.
pub(super) const ELSEWHERE: Duration = Duration::from_secs(2);

/// How often a process that has tasks at work asks whether it is still its turn.
const PAUSE: Duration = Duration::from_secs(1);

/// A service of this process, at work or waiting for its turn.
pub(super) struct Duty {
    name: &'static str,
    process: WorkerId,
    ours_until: Option<Instant>,
}

impl Duty {
    pub(super) fn new(name: &'static str, process: WorkerId) -> Self {
        Self {
            name,
            process,
            ours_until: None,
        }
    }

    /// Whether a round may begin. Rounds are safe to run twice, so one that lasts longer than the turn harms nobody.
    pub(super) async fn is_ours(&mut self, engine: &Engine) -> bool {
        let now = Instant::now();
        if self.ours_until.is_some_and(|end| now + TIME / 2 < end) {
            return true;
        }
        match engine.store().lead(self.name, self.process, TIME).await {
            Ok(is_ours) => {
                engine.standstill.answered(engine.environment().now());
                if is_ours && self.ours_until.is_none() {
                    tracing::debug!(service = self.name, "this process runs it");
                }
                self.ours_until = is_ours.then(|| now + TIME);
                is_ours
            }
            Err(error) => {
                tracing::warn!(service = self.name, %error, "nobody knows whose turn it is");
                self.ours_until.is_some_and(|end| now < end)
            }
        }
    }

    /// Keeps a service's tasks going whenever it is this process's turn. They end when their token is cancelled; when one of them ends
    /// by itself all begin again, after a pause.
    pub(super) async fn run(
        mut self,
        engine: &Engine,
        stop: &CancellationToken,
        begin: impl Fn(&CancellationToken) -> JoinSet<()>,
    ) {
        loop {
            if self.is_ours(engine).await {
                let ours = stop.child_token();
                let mut tasks = begin(&ours);
                self.stay(engine, &mut tasks, stop).await;
                ours.cancel();
                while tasks.join_next().await.is_some() {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(ELSEWHERE) => {}
            }
        }
    }

    /// Until it is somebody else's turn, or a task has ended.
    async fn stay(&mut self, engine: &Engine, tasks: &mut JoinSet<()>, stop: &CancellationToken) {
        while self.is_ours(engine).await {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(PAUSE) => {}
                Some(ended) = tasks.join_next() => {
                    if let Err(error) = ended {
                        tracing::error!(service = self.name, %error, "a task ended badly");
                    }
                    return;
                }
            }
        }
    }
}
