//! Runs worlds, one after the other, over one database in memory that is emptied between them.

use crate::clock::Clock;
use crate::coverage::Coverage;
use crate::database::{Broken, now};
use crate::plan::{Fault, Plan};
use crate::seen;
use crate::world::World;
use mediaflow_store::{Environment, SqliteStore};
use std::sync::Arc;

/// What must never be, and was.
#[derive(Debug, Clone)]
pub struct Violation {
    /// Which promise was broken, and by what.
    pub what: String,
    /// The end of the trace.
    pub trace: Vec<String>,
}

/// How a world went.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Of everything that happened in it, in order.
    pub digest: u64,
    /// Things that happened.
    pub events: u64,
    /// Verbs of the store that were called.
    pub verbs: u64,
    /// Changes of a task's, run's or asset's state.
    pub transitions: u64,
    /// How often each fault happened, in the order of [`Fault::ALL`].
    pub faults: [u64; Fault::COUNT],
    /// Which event met a task in which state.
    pub coverage: Coverage,
    /// Virtual milliseconds from its beginning to its end.
    pub lasted_ms: i64,
    /// The longest that a ready task waited for a worker, in virtual milliseconds.
    pub waited_ms_max: i64,
    /// When each upload's asset was ready, in virtual milliseconds from the beginning; none for those that never were.
    pub ready_at_ms: Vec<Option<i64>>,
    /// When each upload was acknowledged first, likewise.
    pub acknowledged_at_ms: Vec<Option<i64>>,
    /// What went wrong that must not.
    pub violation: Option<Violation>,
}

/// Runs any number of worlds on one thread.
pub struct Simulator {
    store: Arc<SqliteStore>,
    clock: Arc<Clock>,
    broken: Broken,
}

impl Simulator {
    /// One over a database of its own, in which a mechanism may be missing.
    ///
    /// # Panics
    /// When there is no memory for a database.
    pub fn new(broken: Broken) -> Self {
        let clock = Arc::new(Clock::new());
        let env: Arc<dyn Environment> = Arc::clone(&clock) as _;
        let store = SqliteStore::open_in_memory(env).expect("memory for a database");
        now(store.inspect(seen::prepare)).expect("a new database takes triggers");
        Self {
            store: Arc::new(store),
            clock,
            broken,
        }
    }

    /// The world of a seed.
    pub fn seed(&mut self, seed: u64) -> Outcome {
        self.run(Plan::of(seed), false)
    }

    /// The world of a plan; with its whole trace if that is wanted.
    pub fn run(&mut self, plan: Plan, whole_trace: bool) -> Outcome {
        let mut world = World::new(
            plan,
            Arc::clone(&self.store),
            Arc::clone(&self.clock),
            self.broken,
            whole_trace,
        );
        world.live();
        world.outcome()
    }

    /// Takes away uploads, workers and faults for as long as the world still fails: what is left explains it best.
    pub fn shrink(&mut self, plan: Plan) -> Plan {
        let mut best = plan;
        let mut fails = |plan: &Plan| self.run(plan.clone(), false).violation.is_some();
        for &fault in Fault::ALL {
            let smaller = best.clone().without(fault);
            if best.rates[fault as usize] > 0 && fails(&smaller) {
                best = smaller;
            }
        }
        for uploads in 1..best.uploads {
            let smaller = Plan {
                uploads,
                ..best.clone()
            };
            if fails(&smaller) {
                best = smaller;
                break;
            }
        }
        for workers in 1..best.workers {
            let smaller = Plan {
                workers,
                ..best.clone()
            };
            if fails(&smaller) {
                best = smaller;
                break;
            }
        }
        best
    }
}
