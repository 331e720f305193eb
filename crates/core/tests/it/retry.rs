//! How often a task is tried, and how long it waits in between.

use crate::model::Model;
use mediaflow_core::failure::{BACKOFF_FIRST, BACKOFF_MAX, backoff};
use mediaflow_core::{FailureKind, Recipe, TaskState};
use proptest::prelude::{any, prop_assert, proptest};
use std::sync::Arc;
use std::time::Duration;

proptest! {
    #[test]
    fn a_pause_is_between_half_and_all_of_a_delay_that_doubles(attempts: u32, jitter: u32) {
        let doublings = attempts.saturating_sub(1).min(20);
        let nominal = Duration::from_secs(1 << doublings).min(BACKOFF_MAX);
        let pause = backoff(attempts, jitter);
        prop_assert!(nominal / 2 <= pause && pause <= nominal, "{pause:?} of {nominal:?}");
    }

    #[test]
    fn more_jitter_never_waits_less(attempts in 0..12_u32, a in any::<u32>(), b in any::<u32>()) {
        prop_assert!(backoff(attempts, a.min(b)) <= backoff(attempts, a.max(b)));
    }
}

#[test]
fn the_first_and_the_longest_pause() {
    assert_eq!(backoff(1, 0), BACKOFF_FIRST / 2);
    assert_eq!(backoff(1, u32::MAX), BACKOFF_FIRST);
    assert_eq!(backoff(u32::MAX, u32::MAX), BACKOFF_MAX);
}

/// Attempts until a task that fails in these ways, in turn, is dead.
fn attempts(limit: u32, kinds: &[FailureKind]) -> usize {
    let text = format!(
        "name = \"x\"\nkind = \"image\"\n[[steps]]\nname = \"a\"\noperation = \"image.inspect\"\nattempts = {limit}\n\
         [[steps]]\nname = \"p\"\noperation = \"publish\"\nneeds = [\"a\"]"
    );
    let recipe = Arc::new(Recipe::parse(&text).expect("it parses"));
    let mut model = Model::start(&recipe, false, 1, &[]);
    for (tried, &kind) in kinds.iter().cycle().enumerate() {
        if model.rows[0].state == TaskState::Dead {
            return tried;
        }
        model.claim(0);
        model.fail(0, kind, 0);
        if model.rows[0].state == TaskState::Waiting {
            model.retry_time_came(0);
        }
    }
    unreachable!("the kinds repeat")
}

#[test]
fn attempts_until_a_task_is_dead() {
    use FailureKind::{Crash, Lost, Permanent, Transient};
    assert_eq!(attempts(5, &[Permanent]), 1);
    assert_eq!(attempts(5, &[Transient]), 5);
    assert_eq!(attempts(1, &[Transient]), 1);
    assert_eq!(attempts(5, &[Crash]), 3);
    assert_eq!(attempts(2, &[Crash]), 2);
    // A crash is an attempt like others: after four that passed by it is the last.
    assert_eq!(
        attempts(5, &[Transient, Transient, Transient, Transient, Crash]),
        5
    );
    // The first loss makes it run alone; four more condemn it, however few attempts it has.
    assert_eq!(attempts(5, &[Lost]), 5);
    assert_eq!(attempts(1, &[Lost]), 5);
    assert_eq!(attempts(5, &[Lost, Permanent]), 2);
}

#[test]
fn putting_off_costs_nothing_and_is_no_fact() {
    let mut model = Model::start(&one_attempt(), false, 1, &[]);
    let known = model.events.len();
    for _ in 0..10 {
        model.claim(0);
        model.fail(0, FailureKind::Deferred, 0);
        assert_eq!(model.rows[0].state, TaskState::Waiting);
        model.retry_time_came(0);
    }
    assert_eq!(model.events.len(), known);
}

fn one_attempt() -> Arc<Recipe> {
    let text = "name = \"x\"\nkind = \"image\"\n[[steps]]\nname = \"a\"\noperation = \"image.inspect\"\nattempts = 1\n\
                [[steps]]\nname = \"p\"\noperation = \"publish\"\nneeds = [\"a\"]";
    Arc::new(Recipe::parse(text).expect("it parses"))
}

#[test]
fn handing_back_costs_nothing() {
    let mut model = Model::start(&one_attempt(), false, 1, &[]);
    for _ in 0..10 {
        model.claim(0);
        model.hand_back(0);
    }
    assert_eq!(model.rows[0].state, TaskState::Ready);
    assert_eq!(
        model.rows[0].fence, 20,
        "each claim and each end of one raises it"
    );
}
