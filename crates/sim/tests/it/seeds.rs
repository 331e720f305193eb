//! Many seeds.

use mediaflow_sim::{Broken, Coverage, Outcome, Plan, Simulator};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Two slow cores take two minutes for them.
const SEEDS: u64 = 10_000;

/// Runs seeds on every core, until `wanted` says that it was enough.
fn run(seeds: u64, broken: Broken, wanted: impl Fn(u64, Outcome) -> bool + Sync) {
    let next = AtomicU64::new(0);
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut simulator = Simulator::new(broken);
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds || !wanted(seed, simulator.seed(seed)) {
                        next.store(seeds, Ordering::Relaxed);
                        return;
                    }
                }
            });
        }
    });
}

#[test]
fn the_same_seed_is_the_same_world_whatever_ran_before_it() {
    let mut one = Simulator::new(Broken::Nothing);
    for seed in 0..40 {
        let first = one.seed(seed).digest;
        let again = Simulator::new(Broken::Nothing)
            .run(Plan::of(seed), true)
            .digest;
        assert_eq!(first, again, "seed {seed}");
    }
    assert_ne!(one.seed(0).digest, one.seed(1).digest);
}

#[test]
fn every_promise_holds_in_every_world() {
    let coverage = Mutex::new(Coverage::default());
    run(SEEDS, Broken::Nothing, |seed, outcome| {
        if let Some(violation) = outcome.violation {
            panic!(
                "seed {seed}: {}\n{}",
                violation.what,
                violation.trace.join("\n")
            );
        }
        coverage.lock().unwrap().add(&outcome.coverage);
        true
    });
    let missing = coverage.into_inner().unwrap().missing();
    // The rarest, a task handed back by a zombie when it is dead already, needs some ten thousand seeds.
    assert!(missing.len() <= 1, "never met: {missing:?}");
}

#[test]
fn a_missing_mechanism_is_noticed() {
    for broken in [
        Broken::Fencing,
        Broken::Outbox,
        Broken::Idempotency,
        Broken::Sweeper,
    ] {
        let found = Mutex::new(None);
        run(1000, broken, |seed, outcome| {
            let failed = outcome.violation.is_some();
            if failed {
                *found.lock().unwrap() = Some(seed);
            }
            !failed
        });
        assert!(
            found.into_inner().unwrap().is_some(),
            "a thousand seeds do not miss {broken:?}"
        );
    }
}
