//! What a worker can still take on. Whoever asks the store for tasks first takes all that is free and
//! gives back what was not used, so that two requests can never promise the same memory twice.

use crate::WorkerConfig;
use mediaflow_core::Queue;
use mediaflow_engine::store::Claimed;
use std::sync::{Arc, Mutex, PoisonError};

/// Slots and memory, free or held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Amount {
    cpu: u32,
    network: u32,
    memory: u64,
}

const NOTHING: Amount = Amount {
    cpu: 0,
    network: 0,
    memory: 0,
};

/// The worker's budget.
#[derive(Debug)]
pub(crate) struct Budget {
    total: Amount,
    /// The queues whose tasks take processors, and those whose tasks wait for others, as far as they are served.
    queues: [&'static [Queue]; 2],
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    free: Amount,
    running: u32,
    /// Of running tasks.
    memory_used: u64,
    /// A task that must run alone is running: nothing else is claimed.
    is_alone: bool,
}

/// A part of the budget, held until dropped.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Arc<Budget>,
    amount: Amount,
    runs_task: bool,
    alone: bool,
}

impl Budget {
    pub(crate) fn new(config: &WorkerConfig) -> Arc<Self> {
        let total = Amount {
            cpu: config.cpu_slots(),
            network: config.network,
            memory: config.memory_bytes - config.scratch_bytes,
        };
        let served = |all| Queue::served(all, &config.queues);
        Arc::new(Self {
            total,
            queues: [served(Queue::BUSY), served(Queue::WAITING)],
            state: Mutex::new(State {
                free: total,
                running: 0,
                memory_used: 0,
                is_alone: false,
            }),
        })
    }

    /// Takes all that is free.
    pub(crate) fn take_all(self: &Arc<Self>) -> Share {
        let mut state = self.lock();
        let amount = if state.is_alone {
            NOTHING
        } else {
            std::mem::replace(&mut state.free, NOTHING)
        };
        Share {
            budget: Arc::clone(self),
            amount,
            runs_task: false,
            alone: false,
        }
    }

    /// An empty share.
    pub(crate) fn nothing(self: &Arc<Self>) -> Share {
        Share {
            budget: Arc::clone(self),
            amount: NOTHING,
            runs_task: false,
            alone: false,
        }
    }

    /// Memory that tasks have when none runs.
    pub(crate) fn memory_total(&self) -> u64 {
        self.total.memory
    }

    /// Memory that running tasks were given.
    pub(crate) fn memory_used(&self) -> u64 {
        self.lock().memory_used
    }

    /// Tasks that are running.
    pub(crate) fn running(&self) -> u32 {
        self.lock().running
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// The same slots and memory, no longer for a running task.
    pub(crate) fn finished(mut self) -> Self {
        let mut state = self.budget.lock();
        state.ended(&self);
        drop(state);
        (self.runs_task, self.alone) = (false, false);
        self
    }

    /// Adds another share to this one.
    pub(crate) fn join(&mut self, mut other: Self) {
        self.amount.cpu += other.amount.cpu;
        self.amount.network += other.amount.network;
        self.amount.memory += other.amount.memory;
        other.amount = NOTHING;
    }

    /// Slots that it can fill, and from which queues.
    pub(crate) fn slots(&self) -> Vec<(&'static [Queue], u32)> {
        let [busy, waiting] = self.budget.queues;
        [(busy, self.amount.cpu), (waiting, self.amount.network)]
            .into_iter()
            .filter(|(queues, slots)| !queues.is_empty() && *slots > 0)
            .collect()
    }

    /// Memory that it can fill.
    pub(crate) fn memory(&self) -> u64 {
        self.amount.memory
    }

    /// What the task needs of this share, as a share of its own. A task that costs more memory than
    /// there is gets what there is: it is refused before it begins.
    pub(crate) fn split(&mut self, task: &Claimed) -> Self {
        let waits = Queue::WAITING.contains(&task.recipe.steps[task.step].operation.queue());
        let needs = Amount {
            cpu: u32::from(!waits).min(self.amount.cpu),
            network: u32::from(waits).min(self.amount.network),
            memory: task.cost.memory_bytes.min(self.amount.memory),
        };
        self.amount.cpu -= needs.cpu;
        self.amount.network -= needs.network;
        self.amount.memory -= needs.memory;
        let mut state = self.budget.lock();
        state.running += 1;
        state.memory_used += needs.memory;
        state.is_alone |= task.alone;
        Self {
            budget: Arc::clone(&self.budget),
            amount: needs,
            runs_task: true,
            alone: task.alone,
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut state = self.budget.lock();
        state.free.cpu += self.amount.cpu;
        state.free.network += self.amount.network;
        state.free.memory += self.amount.memory;
        state.ended(self);
    }
}

impl State {
    /// The share's task has ended, if it is one's.
    fn ended(&mut self, share: &Share) {
        if share.runs_task {
            self.running -= 1;
            self.memory_used -= share.amount.memory;
        }
        self.is_alone &= !share.alone;
    }
}
