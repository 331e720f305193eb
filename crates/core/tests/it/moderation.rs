//! The gate: what scores mean, and that nothing passes it by mistake.

use crate::model::Model;
use mediaflow_core::moderation::judge;
use mediaflow_core::{
    Decision, ErrorCode, EventType, FailureKind, Recipe, RunState, TaskState, Thresholds, Verdict,
};
use std::collections::BTreeMap;
use std::sync::Arc;

#[test]
fn scores_against_thresholds() {
    let default = Thresholds {
        review: 0.5,
        reject: 0.9,
    };
    let own = BTreeMap::from([
        (
            "violence".to_owned(),
            Thresholds {
                review: 0.2,
                reject: 0.3,
            },
        ),
        (
            "never".to_owned(),
            Thresholds {
                review: 1.0,
                reject: 1.0,
            },
        ),
    ]);
    let check = |scores: &[(&str, f32)], expected: Verdict| {
        let map = scores
            .iter()
            .map(|&(label, score)| (label.to_owned(), score))
            .collect();
        assert_eq!(judge(&map, &own, default), expected, "{scores:?}");
    };
    check(&[], Verdict::Pass);
    check(&[("nudity", 0.0)], Verdict::Pass);
    check(&[("nudity", 0.49)], Verdict::Pass);
    check(&[("nudity", 0.5)], Verdict::Review);
    check(&[("nudity", 0.9)], Verdict::Reject);
    check(&[("violence", 0.19)], Verdict::Pass);
    check(&[("violence", 0.25)], Verdict::Review);
    check(&[("violence", 0.3)], Verdict::Reject);
    check(&[("never", 0.99)], Verdict::Pass);
    check(&[("never", 1.0)], Verdict::Reject);
    // The gravest label decides, wherever it stands.
    check(&[("a", 0.6), ("b", 0.1), ("c", 0.95)], Verdict::Reject);
    check(&[("a", 0.95), ("b", 0.6)], Verdict::Reject);
    check(&[("a", 0.6), ("z", 0.1)], Verdict::Review);
    // What is no score asks for a person, and hides no rejection.
    for broken in [f32::NAN, f32::INFINITY, -0.1, 1.1] {
        check(&[("a", broken)], Verdict::Review);
        check(&[("a", broken), ("b", 0.95)], Verdict::Reject);
        check(&[("a", 0.95), ("b", broken)], Verdict::Reject);
    }
}

#[test]
fn thresholds_are_ordered_fractions() {
    let valid = |review, reject| Thresholds { review, reject }.is_valid();
    assert!(valid(0.0, 0.0) && valid(0.5, 0.9) && valid(1.0, 1.0));
    assert!(!valid(0.9, 0.5) && !valid(-0.1, 0.5) && !valid(0.5, 1.1));
    assert!(!valid(f32::NAN, 0.5) && !valid(0.5, f32::NAN));
}

/// A run in which the baseline is made beside the gate, so that only the verdict is missing.
fn gated() -> Model {
    let text = "name = \"x\"\nkind = \"image\"
        [[steps]]\nname = \"gate\"\noperation = \"moderate\"
        [[steps]]\nname = \"sizes\"\noperation = \"image.resize\"\nvariants = [{ name = \"a\", fit = \"original\" }]
        [[steps]]\nname = \"more\"\noperation = \"image.placeholder\"\nneeds = [\"sizes\"]
        [[steps]]\nname = \"publish\"\noperation = \"publish\"\nneeds = [\"gate\", \"more\"]";
    let recipe = Recipe::parse(text).expect("it parses");
    let mut model = Model::start(&Arc::new(recipe), false, 1, &[]);
    model.claim(1);
    model.succeed(1, None);
    assert!(!model.run.is_viewable());
    model.claim(0);
    model
}

#[test]
fn a_pass_shows_what_was_made_before_it_and_says_so() {
    let mut model = gated();
    model.succeed(0, Some(Verdict::Pass));
    assert!(model.run.is_viewable());
    assert!(model.events.contains(&EventType::AssetViewable));
}

#[test]
fn no_verdict_at_all_asks_for_a_person() {
    let mut model = gated();
    model.succeed(0, None);
    assert_eq!(model.run.state, RunState::InReview);
    assert!(!model.run.is_showing());
    model.decide(0, Decision::Approve);
    assert!(model.run.is_viewable());
}

#[test]
fn a_rejection_ends_everything_whoever_says_it() {
    for by_person in [false, true] {
        let mut model = gated();
        model.claim(2);
        let fence = model.rows[2].fence;
        if by_person {
            model.succeed(0, Some(Verdict::Review));
            model.decide(0, Decision::Reject);
        } else {
            model.succeed(0, Some(Verdict::Reject));
        }
        assert_eq!(model.run.state, RunState::Rejected);
        assert!(model.dropped && !model.published && !model.run.is_viewable());
        assert!(
            model.rows[2].fence > fence,
            "the worker's result will not be taken"
        );
        model.refuses_out_of_turn(2);
        model.cancel(ErrorCode::AssetDeleted);
        assert_eq!(model.run.state, RunState::Cancelled);
    }
}

#[test]
fn nobody_decides_about_a_task_that_waits_for_its_next_attempt() {
    let mut model = gated();
    model.fail(0, FailureKind::Transient, 0);
    assert_eq!(model.rows[0].state, TaskState::Waiting);
    model.refuses_out_of_turn(0);
    assert_eq!(model.run.verdict, None);
}

#[test]
fn a_verdict_of_another_step_is_no_verdict() {
    let mut model = gated();
    model.claim(2);
    model.succeed(2, Some(Verdict::Pass));
    assert_eq!(model.run.verdict, None);
    assert!(!model.run.is_showing());
}
