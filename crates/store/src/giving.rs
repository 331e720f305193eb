//! Which of the ready tasks a worker gets: decided over candidates in hand, whatever database they came from.

use crate::{Capacity, StoreError};
use mediaflow_core::{TaskId, Timestamp};
use std::time::Duration;

/// A task that has waited longer stops smaller ones behind it.
const PATIENCE: Duration = Duration::from_secs(5);
/// The lane that runs only while nothing else waits.
pub(crate) const IDLE_LANE: u8 = 9;
/// Ready tasks looked at beyond the number wanted, because some may not fit.
pub(crate) const LOOKAHEAD: u32 = 32;

/// A ready task, as far as giving it away needs.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) id: TaskId,
    pub(crate) lane: u8,
    pub(crate) rank: i64,
    pub(crate) memory: u64,
    pub(crate) alone: bool,
    pub(crate) queued_at: Timestamp,
}

/// What a claim has left to give, while it gives it.
pub(crate) struct Giving<'a> {
    capacity: &'a Capacity,
    now: Timestamp,
    memory_free: u64,
    given: bool,
    full: bool,
}

impl<'a> Giving<'a> {
    pub(crate) fn new(capacity: &'a Capacity, now: Timestamp) -> Self {
        Self {
            capacity,
            now,
            memory_free: capacity.memory_free,
            given: false,
            full: false,
        }
    }

    /// What to give of candidates in the store's order. `is_idle` tells whether nothing below the idle lane is ready or
    /// running anywhere.
    pub(crate) fn choose(
        &mut self,
        candidates: Vec<Candidate>,
        slots: u32,
        mut is_idle: impl FnMut() -> Result<bool, StoreError>,
    ) -> Result<Vec<Candidate>, StoreError> {
        let mut left = slots;
        let mut chosen = Vec::new();
        for candidate in candidates {
            if left == 0 || self.full {
                break;
            }
            if candidate.lane == IDLE_LANE && !(self.capacity.idle_lane && is_idle()?) {
                break;
            }
            let room =
                self.fits(&candidate) && (!candidate.alone || (self.capacity.idle && !self.given));
            if room {
                self.take(&candidate);
                left -= 1;
                self.full = candidate.alone;
                chosen.push(candidate);
            } else if self.is_overdue(&candidate) {
                self.full = true;
            }
        }
        Ok(chosen)
    }

    /// Whether a task may be offered, if nothing of a lower lane is ready.
    pub(crate) fn may_offer(&self, candidate: &Candidate) -> bool {
        !candidate.alone && candidate.lane != IDLE_LANE && self.fits(candidate)
    }

    /// Whether this task, the first of its queue, has waited too long for room on this worker.
    pub(crate) fn is_blocked_by(&self, first: &Candidate) -> bool {
        (first.alone || !self.fits(first)) && self.is_overdue(first)
    }

    /// Notes that a task is given.
    pub(crate) fn take(&mut self, candidate: &Candidate) {
        if candidate.memory <= self.capacity.memory_total {
            self.memory_free -= candidate.memory;
        }
        self.given = true;
    }

    /// A task that no worker of this size can take is given all the same, for it to say so.
    fn fits(&self, candidate: &Candidate) -> bool {
        candidate.memory <= self.memory_free || candidate.memory > self.capacity.memory_total
    }

    fn is_overdue(&self, candidate: &Candidate) -> bool {
        candidate.lane < IDLE_LANE && self.now.since(candidate.queued_at) > PATIENCE
    }
}
