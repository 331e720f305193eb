//! Which event met a task in which state, and how often.

use mediaflow_core::TaskState;

/// What can happen to a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Met {
    /// A worker claims, or asks again for what it claimed.
    Claim,
    /// A worker says that it lives.
    Heartbeat,
    /// A worker reports success.
    Success,
    /// A worker reports a failure.
    Failure,
    /// A worker gives it back.
    HandBack,
    /// The sweeper finds its lease run out, or the process that held it died.
    Lost,
    /// The sweeper finds its retry time come.
    Due,
    /// A person decides about its asset.
    Decide,
    /// A person replays it.
    Replay,
    /// A person has its asset processed anew.
    Reprocess,
    /// A person deletes its asset.
    Delete,
}

impl Met {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::Claim,
        Self::Heartbeat,
        Self::Success,
        Self::Failure,
        Self::HandBack,
        Self::Lost,
        Self::Due,
        Self::Decide,
        Self::Replay,
        Self::Reprocess,
        Self::Delete,
    ];

    /// Whether it can meet a task in this state at all.
    pub const fn can_meet(self, state: TaskState) -> bool {
        use TaskState::{Pending, Ready, Running, Skipped, Waiting};
        match self {
            Self::Claim => matches!(state, Ready | Running),
            // What was never claimed has nobody who could speak of it, but a task that was replayed waits again.
            Self::Heartbeat | Self::Success | Self::Failure | Self::HandBack => {
                !matches!(state, Skipped | Pending)
            }
            Self::Lost => matches!(state, Running),
            Self::Due => matches!(state, Waiting),
            Self::Decide | Self::Replay | Self::Reprocess | Self::Delete => true,
        }
    }
}

/// Counts by event and state.
#[derive(Debug, Clone, Default)]
pub struct Coverage([[u64; TaskState::ALL.len()]; Met::ALL.len()]);

impl Coverage {
    pub(crate) fn hit(&mut self, met: Met, state: TaskState) {
        self.0[met as usize][state as usize] += 1;
    }

    /// Adds what another world met.
    pub fn add(&mut self, other: &Self) {
        for (row, more) in self.0.iter_mut().zip(&other.0) {
            for (count, more) in row.iter_mut().zip(more) {
                *count += more;
            }
        }
    }

    /// How often.
    pub fn of(&self, met: Met, state: TaskState) -> u64 {
        self.0[met as usize][state as usize]
    }

    /// Pairs that can be, and were not.
    pub fn missing(&self) -> Vec<(Met, TaskState)> {
        let pairs = Met::ALL
            .iter()
            .flat_map(|&met| TaskState::ALL.iter().map(move |&state| (met, state)));
        pairs
            .filter(|&(met, state)| met.can_meet(state) && self.of(met, state) == 0)
            .collect()
    }
}
