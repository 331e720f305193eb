//! Worlds in which only one thing goes wrong, to measure what it costs.

use mediaflow_sim::{Broken, Fault, Outcome, Plan, Simulator};

fn run(plan: Plan) -> Outcome {
    let outcome = Simulator::new(Broken::Nothing).run(plan, false);
    if let Some(violation) = &outcome.violation {
        panic!("{}\n{}", violation.what, violation.trace.join("\n"));
    }
    outcome
}

#[test]
fn losing_every_wake_up_costs_the_poll_interval_alone() {
    for seed in 0..20 {
        let rung = run(Plan::calm(seed, 4, 3, 60));
        let deaf = run(Plan::calm(seed, 4, 3, 60).with(Fault::BellLost, 1000));
        assert!(rung.ready_at_ms.iter().all(Option::is_some));
        assert!(deaf.ready_at_ms.iter().all(Option::is_some));
        // Each worker polls every ten seconds.
        let most = rung.waited_ms_max + 10_000;
        assert!(
            deaf.waited_ms_max <= most,
            "seed {seed}: {} ms",
            deaf.waited_ms_max
        );
    }
}

#[test]
fn a_poisonous_file_leaves_the_others_nine_tenths_of_their_throughput() {
    let (mut clean, mut poisoned) = (0, 0);
    for seed in 0..4 {
        let plan = || Plan::calm(seed, 150, 4, 600);
        // Files arrive until the 360th second; what is ready then was not kept waiting.
        let ready = |outcome: &Outcome| {
            let others = outcome.ready_at_ms[1..].iter().flatten();
            others.filter(|at| **at <= 360_000).count()
        };
        clean += ready(&run(plan()));
        let outcome = run(plan().poisoned(1));
        assert_eq!(outcome.ready_at_ms[0], None, "it is quarantined");
        assert!(
            outcome.ready_at_ms[1..].iter().all(Option::is_some),
            "nobody starves"
        );
        poisoned += ready(&outcome);
    }
    assert!(poisoned * 10 >= clean * 9, "{poisoned} of {clean}");
}

#[test]
fn a_tenant_waits_at_most_twice_as_long_beside_another_ones_bulk_import() {
    const BULK: u32 = 300;
    let (mut alone, mut beside) = (0, 0);
    for seed in 0..4 {
        let plan = || Plan::calm(seed, 40, 4, 600);
        // From the answer until its asset is ready, of the last forty files.
        let took = |outcome: &Outcome| {
            let files = outcome.ready_at_ms.iter().zip(&outcome.acknowledged_at_ms);
            let took = files.map(|(ready, sent)| ready.expect("nobody starves") - sent.unwrap());
            took.rev().take(40).sum::<i64>()
        };
        alone += took(&run(plan()));
        let outcome = run(plan().beside(BULK));
        beside += took(&outcome);
        let last = outcome.ready_at_ms[..BULK as usize].iter().flatten().max();
        assert!(*last.unwrap() > 120_000, "the import kept everybody busy");
    }
    assert!(beside <= 2 * alone, "{beside} instead of {alone} ms");
}
