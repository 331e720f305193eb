//! What goes wrong when: one source of chance that everything asks which may fail, and a count of what did.

use crate::clock::Clock;
use crate::plan::{Fault, Plan};
use crate::random::Random;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

struct State {
    random: Random,
    rates: [u32; Fault::COUNT],
    happened: [u64; Fault::COUNT],
    over: bool,
}

/// A handle on it; all of them are the same.
#[derive(Clone)]
pub(crate) struct Trouble {
    state: Arc<Mutex<State>>,
    clock: Arc<Clock>,
}

impl Trouble {
    pub(crate) fn new(plan: &Plan, random: Random, clock: Arc<Clock>) -> Self {
        Self {
            state: Arc::new(Mutex::new(State {
                random,
                rates: plan.rates,
                happened: [0; Fault::COUNT],
                over: false,
            })),
            clock,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Whether it goes wrong this time.
    pub(crate) fn happens(&self, fault: Fault) -> bool {
        let mut state = self.state();
        let rate = state.rates[fault as usize];
        let now = !state.over && state.random.chance(rate);
        state.happened[fault as usize] += u64::from(now);
        now
    }

    pub(crate) fn below(&self, end: u64) -> u64 {
        self.state().random.below(end)
    }

    /// From now on nothing goes wrong any more.
    pub(crate) fn end(&self) {
        self.state().over = true;
    }

    pub(crate) fn is_over(&self) -> bool {
        self.state().over
    }

    /// How often each fault happened.
    pub(crate) fn happened(&self) -> [u64; Fault::COUNT] {
        self.state().happened
    }
}
