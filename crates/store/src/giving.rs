//! Which of the ready tasks a worker gets: decided over candidates in hand, whatever database they came from.

use crate::fairness::{Line, Turns};
use crate::load::obstacle;
use crate::{Capacity, Presence, StoreError};
use mediaflow_core::{TaskId, Timestamp};
use std::cmp::Reverse;
use std::collections::BTreeMap;
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
    pub(crate) line: Line,
    pub(crate) lane: u8,
    pub(crate) rank: i64,
    pub(crate) cpu_ms: u32,
    pub(crate) memory: u64,
    pub(crate) alone: bool,
    pub(crate) queued_at: Timestamp,
    pub(crate) needs: String,
    /// Whether another worker that lives can take it, and this one never.
    pub(crate) elsewhere: bool,
}

impl Candidate {
    /// Its place in its line.
    pub(crate) fn place(&self) -> (u8, i64, TaskId) {
        (self.lane, self.rank, self.id)
    }
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

    /// What to give of candidates, which are the first of each line that has any. `is_idle` tells whether nothing below
    /// the idle lane is ready or running anywhere.
    pub(crate) fn choose(
        &mut self,
        candidates: Vec<Candidate>,
        turns: &mut Turns,
        slots: u32,
        is_idle: impl FnOnce() -> Result<bool, StoreError>,
    ) -> Result<Vec<Candidate>, StoreError> {
        let mut lines: BTreeMap<Line, Vec<Candidate>> = BTreeMap::new();
        for candidate in candidates {
            lines.entry(candidate.line).or_default().push(candidate);
        }
        for tasks in lines.values_mut() {
            // The next one is taken from the end.
            tasks.sort_by_key(|task| Reverse(task.place()));
        }
        let mut chosen = Vec::new();
        let mut lanes = IDLE_LANE;
        let mut is_idle = Some(is_idle);
        while !self.full && chosen.len() < slots as usize {
            let Some(candidate) = next(&mut lines, turns, lanes) else {
                // What runs only while nothing else waits has its turn when nothing else is left.
                let is_left = lines.values().any(|tasks| !tasks.is_empty());
                let is_idle = is_idle
                    .take()
                    .filter(|_| is_left && self.capacity.idle_lane);
                match is_idle {
                    Some(is_idle) => {
                        if !is_idle()? {
                            break;
                        }
                        lanes = IDLE_LANE + 1;
                    }
                    None => break,
                }
                continue;
            };
            let alone = candidate.alone && (self.given || !self.capacity.idle);
            if self.fits(&candidate) && !alone {
                self.take(&candidate);
                turns.serve(&candidate.line, candidate.cpu_ms);
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
        !candidate.alone && candidate.lane != IDLE_LANE && candidate.memory <= self.memory_free
    }

    /// Whether this task, the first of its line, has waited too long for room on this worker.
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

    /// A task that no worker that lives can take is given all the same, for it to say so.
    fn fits(&self, candidate: &Candidate) -> bool {
        let is_too_large = candidate.memory > self.capacity.memory_total;
        candidate.memory <= self.memory_free || (is_too_large && !candidate.elsewhere)
    }

    /// Whether smaller tasks wait for this one, which this worker could take if it had nothing else.
    fn is_overdue(&self, candidate: &Candidate) -> bool {
        candidate.lane < IDLE_LANE
            && candidate.memory <= self.capacity.memory_total
            && self.now.since(candidate.queued_at) > PATIENCE
    }
}

/// Notes which tasks this worker can never take and another one can. `others` are all workers that live, and asked for
/// only where there is such a task.
pub(crate) fn look_elsewhere(
    candidates: &mut [Candidate],
    capacity: &Capacity,
    others: Vec<Presence>,
) {
    for task in candidates {
        task.elsewhere = task.memory > capacity.memory_total
            && obstacle(task.line.queue, &task.needs, task.memory, &others).is_none();
    }
}

/// Whether any task needs more memory than this worker has.
pub(crate) fn any_too_large(candidates: &[Candidate], capacity: &Capacity) -> bool {
    let mut memory = candidates.iter().map(|task| task.memory);
    memory.any(|bytes| bytes > capacity.memory_total)
}

/// Takes the first task of the line whose turn it is, of lanes below this one.
fn next(lines: &mut BTreeMap<Line, Vec<Candidate>>, turns: &Turns, lanes: u8) -> Option<Candidate> {
    let waiting = lines.iter().filter_map(|(line, tasks)| {
        let first = tasks.last().filter(|first| first.lane < lanes)?;
        turns
            .may_run(line)
            .then(|| ((turns.turn(line), first.place()), *line))
    });
    let (_, line) = waiting.min()?;
    lines.get_mut(&line)?.pop()
}

/// Whether a worker that has just ended a task of the same asset may go on with this one, of all the first ones that wait
/// in its queues.
pub(crate) fn is_its_turn<'c>(
    candidate: &Candidate,
    turns: &Turns,
    heads: impl IntoIterator<Item = &'c Candidate>,
) -> bool {
    turns.may_run(&candidate.line)
        && heads
            .into_iter()
            .all(|head| match head.line == candidate.line {
                true => head.lane >= candidate.lane,
                false => {
                    !turns.may_run(&head.line) || turns.may_overtake(&candidate.line, &head.line)
                }
            })
}
