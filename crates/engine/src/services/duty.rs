//! Which process of a cluster runs a service: the store gives each duty to one, for a while.

use crate::Engine;
use mediaflow_core::WorkerId;
use std::time::{Duration, Instant};

/// How long a duty is given for. When its process vanishes another one takes over after as long.
const TIME: Duration = Duration::from_secs(10);
/// How often a process asks whose turn it is while it is another one's.
pub(super) const ELSEWHERE: Duration = Duration::from_secs(2);

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
}
