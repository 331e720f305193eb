//! How much there is to do in each queue, how fast it goes, and what nobody can do: what scales a cluster.

use crate::Presence;
use mediaflow_core::{Queue, Timestamp};
use std::collections::BTreeMap;
use std::time::Duration;

/// Whole minutes, before the present one, that rates are told of.
pub(crate) const MINUTES: i64 = 5;
/// Minutes that counts are kept for.
pub(crate) const MINUTES_KEPT: i64 = 60;

/// The minute since 1970.
pub(crate) fn minute(at: Timestamp) -> i64 {
    at.0.div_euclid(60_000)
}

/// What came and went lately.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recent {
    /// Tasks that could be claimed, again after a failed attempt or for the first time.
    pub arrived: u64,
    /// Attempts that ended, handed back ones aside.
    pub done: u64,
    /// What these attempts were estimated to cost, in milliseconds.
    pub estimated_ms: u64,
    /// What they took, in milliseconds.
    pub spent_ms: u64,
    /// How long all of this took: the last minutes.
    pub span: Duration,
}

impl Recent {
    /// Nothing yet.
    pub(crate) fn until(now: Timestamp) -> Self {
        let begun = now.0.rem_euclid(60_000) + MINUTES * 60_000;
        Self {
            span: Duration::from_millis(u64::try_from(begun).unwrap_or(0)),
            ..Self::default()
        }
    }

    /// How long an estimated second really takes; one while nothing is known.
    fn slowness(&self) -> f64 {
        match self.done {
            0 => 1.0,
            _ => self.spent_ms.max(1) as f64 / self.estimated_ms.max(1) as f64,
        }
    }
}

/// Why no worker takes a task that is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Obstacle {
    /// Claims of its queue are switched off.
    Paused,
    /// No worker that lives serves its queue.
    NoQueue,
    /// None of those has what it needs.
    NoCapability,
    /// None of those has the memory.
    NoMemory,
}

impl Obstacle {
    /// The stable name in API and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Paused => "paused",
            Self::NoQueue => "no_worker.queue",
            Self::NoCapability => "no_worker.capability",
            Self::NoMemory => "no_worker.memory",
        }
    }
}

/// What keeps a task from all of these workers, if anything does. `needs` are capabilities with commas between them.
pub fn obstacle(queue: Queue, needs: &str, memory: u64, workers: &[Presence]) -> Option<Obstacle> {
    let mut found = Obstacle::NoQueue;
    for worker in workers.iter().filter(|w| w.queues.contains(&queue)) {
        if !can(needs, &worker.capabilities) {
            found = found.max(Obstacle::NoCapability);
        } else if memory > worker.memory_bytes {
            found = found.max(Obstacle::NoMemory);
        } else {
            return None;
        }
    }
    Some(found)
}

/// Whether all needs of a task, as they are stored, are among these capabilities.
pub(crate) fn can(needs: &str, capabilities: &[String]) -> bool {
    let mut needs = needs.split(',').filter(|need| !need.is_empty());
    needs.all(|need| capabilities.iter().any(|c| c == need))
}

/// Ready tasks that no worker can take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stuck {
    /// The capabilities that they need; empty when nobody serves the queue.
    pub needs: Vec<String>,
    /// What is missing.
    pub obstacle: Obstacle,
    /// How many there are; at most a thousand are counted.
    pub tasks: u64,
}

/// Gathers what is stuck, by what it needs.
#[derive(Default)]
pub(crate) struct Unplaced(BTreeMap<(Obstacle, String), u64>);

impl Unplaced {
    pub(crate) fn add(&mut self, needs: &str, obstacle: Obstacle, tasks: u64) {
        let needs = match obstacle {
            Obstacle::NoQueue => "",
            _ => needs,
        };
        *self.0.entry((obstacle, needs.to_owned())).or_default() += tasks;
    }

    pub(crate) fn into_list(self) -> Vec<Stuck> {
        let stuck = self.0.into_iter().map(|((obstacle, needs), tasks)| Stuck {
            needs: listed(&needs),
            obstacle,
            tasks,
        });
        stuck.collect()
    }
}

/// Capabilities as they are stored, one by one.
pub(crate) fn listed(needs: &str) -> Vec<String> {
    let needs = needs.split(',').filter(|need| !need.is_empty());
    needs.map(str::to_owned).collect()
}

/// How much waits and runs in a queue, and how fast it goes.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueLoad {
    /// Which.
    pub queue: Queue,
    /// Could be claimed.
    pub ready: u64,
    /// Is being worked on.
    pub running: u64,
    /// Waits for a retry time or a person.
    pub waiting: u64,
    /// Is dead and not replayed.
    pub dead: u64,
    /// When the oldest ready task became ready.
    pub oldest_ready_at: Option<Timestamp>,
    /// What ready tasks are estimated to cost, in milliseconds.
    pub ready_cpu_ms: u64,
    /// What came and went.
    pub recent: Recent,
    /// Workers that live, work and serve it.
    pub workers: u32,
    /// Tasks of it that those take at the same time, if they do nothing else.
    pub slots: u32,
    /// Whether its claims are switched off.
    pub paused: bool,
    /// What waits for a worker that there is not.
    pub stuck: Vec<Stuck>,
}

impl QueueLoad {
    /// Tasks that become ready in a second.
    pub fn arrival_rate(&self) -> f64 {
        self.recent.arrived as f64 / self.recent.span.as_secs_f64()
    }

    /// Attempts that end in a second.
    pub fn completion_rate(&self) -> f64 {
        self.recent.done as f64 / self.recent.span.as_secs_f64()
    }

    /// How long one slot would need for what is ready, in seconds, by what attempts took lately.
    pub fn work_seconds(&self) -> f64 {
        self.ready_cpu_ms as f64 / 1000.0 * self.recent.slowness()
    }

    /// How long the workers that there are need for it, in seconds; nothing when there are none.
    pub fn drain_seconds(&self) -> Option<f64> {
        match (self.ready, self.slots, self.paused) {
            (0, _, _) => Some(0.0),
            (_, 0, _) | (_, _, true) => None,
            (_, slots, _) => Some(self.work_seconds() / f64::from(slots)),
        }
    }

    /// Notes who serves it.
    pub(crate) fn staff(&mut self, workers: &[Presence]) {
        let busy = Queue::BUSY.contains(&self.queue);
        for worker in workers.iter().filter(|w| w.queues.contains(&self.queue)) {
            self.workers += 1;
            self.slots += if busy { worker.cpu } else { worker.network };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mediaflow_core::WorkerId;

    fn worker(queues: &[Queue], capabilities: &[&str], memory_bytes: u64) -> Presence {
        Presence {
            id: WorkerId(uuid::Uuid::nil()),
            name: String::new(),
            version: String::new(),
            queues: queues.to_vec(),
            cpu: 2,
            network: 16,
            capabilities: capabilities.iter().map(|c| (*c).to_owned()).collect(),
            memory_bytes,
            started_at: Timestamp(0),
        }
    }

    #[test]
    fn what_is_missing_is_what_the_nearest_worker_lacks() {
        let small = worker(&[Queue::Video], &[], 10);
        let able = worker(&[Queue::Video], &["gpu", "hevc"], 5);
        let image = worker(&[Queue::Image], &["gpu"], 100);
        let all = [small, able, image];
        let of = |needs, memory| obstacle(Queue::Video, needs, memory, &all);
        assert_eq!(of("", 10), None);
        assert_eq!(of("gpu,hevc", 5), None);
        assert_eq!(of("gpu", 6), Some(Obstacle::NoMemory));
        assert_eq!(of("av1", 1), Some(Obstacle::NoCapability));
        assert_eq!(of("", 11), Some(Obstacle::NoMemory));
        assert_eq!(
            obstacle(Queue::Network, "", 0, &all),
            Some(Obstacle::NoQueue)
        );
    }
}
