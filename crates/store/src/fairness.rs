//! Whose turn it is: weighted fair shares between the lines that tasks wait in, whatever database they came from.
//!
//! A line is served at its virtual time: processor time that it was given, divided by its share. The one that is
//! furthest behind goes first. Who comes back after a pause starts where the others are, so nobody saves up.

use mediaflow_core::{Priority, Queue, TenantId};
use std::collections::{BTreeMap, HashMap};

/// How far ahead of another line one may get so that a worker can go on with the asset it holds, in virtual
/// microseconds: what makes an asset viewable fits, what completes it does not.
const OFFER_SLACK: i64 = 250_000;

/// The line that a task waits in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Line {
    pub(crate) tenant: TenantId,
    pub(crate) queue: Queue,
    /// [`Priority::number`]
    pub(crate) priority: u8,
}

impl Line {
    /// What an hour of its work counts as an hour by, for a tenant of this weight.
    fn share(&self, weight: u64) -> u64 {
        let priority = Priority::ALL.iter().find(|p| p.number() == self.priority);
        weight.saturating_mul(priority.copied().unwrap_or_default().share())
    }
}

#[derive(Debug, Clone, Copy)]
struct Standing {
    share: u64,
    vtime: i64,
    is_new: bool,
    served: bool,
}

/// Where lines stand, while tasks of them are given.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    /// Virtual time of all: where the line stood that was served last.
    clock: i64,
    lines: BTreeMap<Line, Standing>,
    /// How many more tasks of tenants with a limit may run.
    left: HashMap<TenantId, u32>,
}

impl Turns {
    pub(crate) fn new(clock: i64) -> Self {
        Self {
            clock,
            ..Self::default()
        }
    }

    /// Adds a line that has work; it has no time yet if it was never served.
    pub(crate) fn add(&mut self, line: Line, weight: u64, vtime: Option<i64>) {
        let share = line.share(weight).max(1);
        let standing = Standing {
            share,
            vtime: vtime.unwrap_or(0),
            is_new: vtime.is_none(),
            served: false,
        };
        self.lines.entry(line).or_insert(standing);
    }

    /// Whether the line was added.
    pub(crate) fn knows(&self, line: &Line) -> bool {
        self.lines.contains_key(line)
    }

    /// A tenant may have so many more tasks running.
    pub(crate) fn limit(&mut self, tenant: TenantId, left: u32) {
        self.left.insert(tenant, left);
    }

    /// Whether the line's tenant may have one more task running.
    pub(crate) fn may_run(&self, line: &Line) -> bool {
        self.left.get(&line.tenant) != Some(&0)
    }

    /// Sorts lines: the smallest goes first.
    pub(crate) fn turn(&self, line: &Line) -> (i64, i64) {
        let vtime = self.lines.get(line).map_or(0, |s| s.vtime);
        (vtime.max(self.clock), vtime)
    }

    /// Whether a worker may go on with a task of this line though `other` waits.
    pub(crate) fn may_overtake(&self, line: &Line, other: &Line) -> bool {
        self.turn(line).0 <= self.turn(other).0.saturating_add(OFFER_SLACK)
    }

    /// Notes that one more task of the line's tenant will run.
    pub(crate) fn give(&mut self, line: &Line) {
        if let Some(left) = self.left.get_mut(&line.tenant) {
            *left = left.saturating_sub(1);
        }
    }

    /// Notes that a task of this cost is given. Also where nobody else waits: what a line got before is forgotten as the
    /// clock goes on.
    pub(crate) fn serve(&mut self, line: &Line, cpu_ms: u32) {
        self.give(line);
        let Some(standing) = self.lines.get_mut(line) else {
            return;
        };
        let work = u64::from(cpu_ms.max(1)) * 1000 * Priority::Normal.share();
        let charge = i64::try_from(work / standing.share).unwrap_or(i64::MAX);
        let start = standing.vtime.max(self.clock);
        self.clock = start;
        standing.vtime = start.saturating_add(charge.max(1));
        standing.served = true;
    }

    /// Lines that were served: where they stand now, and whether for the first time.
    pub(crate) fn served(&self) -> impl Iterator<Item = (Line, i64, bool)> {
        let served = self.lines.iter().filter(|(_, s)| s.served);
        served.map(|(line, s)| (*line, s.vtime, s.is_new))
    }

    /// Where the line stood that was served last.
    pub(crate) fn clock(&self) -> i64 {
        self.clock
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn line(tenant: u128, priority: Priority) -> Line {
        Line {
            tenant: TenantId(Uuid::from_u128(tenant)),
            queue: Queue::Image,
            priority: priority.number(),
        }
    }

    /// How much of a long time each line gets when all always have work of this cost.
    fn shares(lines: &[(Line, u64, u32)]) -> Vec<u64> {
        let mut turns = Turns::new(5);
        for (line, weight, _) in lines {
            turns.add(*line, *weight, None);
        }
        let mut got = vec![0; lines.len()];
        for _ in 0..10_000 {
            let next = (0..lines.len()).min_by_key(|i| turns.turn(&lines[*i].0));
            let (line, _, cost) = &lines[next.unwrap()];
            turns.serve(line, *cost);
            got[next.unwrap()] += u64::from(*cost);
        }
        let least = got.iter().min().unwrap().max(&1);
        got.iter().map(|g| (g * 10 / least + 5) / 10).collect()
    }

    #[test]
    fn work_is_shared_by_weight_and_urgency_whatever_tasks_cost() {
        let (a, b) = (line(1, Priority::Normal), line(2, Priority::Normal));
        assert_eq!(shares(&[(a, 1, 100), (b, 1, 100)]), [1, 1]);
        assert_eq!(shares(&[(a, 1, 10), (b, 1, 500)]), [1, 1]);
        assert_eq!(shares(&[(a, 3, 100), (b, 1, 7)]), [3, 1]);
        let low = line(1, Priority::Low);
        assert_eq!(shares(&[(a, 1, 100), (low, 1, 100)]), [8, 1]);
        let high = line(1, Priority::High);
        assert_eq!(shares(&[(high, 1, 100), (a, 1, 100)]), [8, 1]);
    }

    #[test]
    fn who_comes_back_has_saved_nothing_up() {
        let (a, b) = (line(1, Priority::Normal), line(2, Priority::Normal));
        let mut turns = Turns::new(0);
        turns.add(a, 1, None);
        turns.add(b, 1, Some(9_000_000));
        turns.clock = 8_000_000;
        let mut of_a = 0;
        for _ in 0..100 {
            let next = if turns.turn(&a) < turns.turn(&b) {
                a
            } else {
                b
            };
            of_a += u32::from(next == a);
            turns.serve(&next, 1000);
        }
        assert!((50..=51).contains(&of_a), "{of_a}");
    }
}
