//! Random recipes under random interleavings: the model checks after every act, and in the end
//! every run that is not over can be brought to `ready`.

use crate::generate::recipe;
use crate::model::Model;
use mediaflow_core::transition::{Refused, replay};
use mediaflow_core::{
    Decision, ErrorCode, FailureKind, Operation, Recipe, RunState, TaskState, Verdict,
};
use proptest::prelude::{Strategy, any};
use proptest::test_runner::{Config, RngSeed, TestRunner};
use std::collections::BTreeSet;
use std::sync::Arc;

const CASES: u32 = 3000;

#[derive(Debug, Clone)]
struct Script {
    recipe: Arc<Recipe>,
    watermark: bool,
    generation: u32,
    /// Whether the numbers of tasks are found out on the way, and not known from the start.
    expands: bool,
    tasks: Vec<u32>,
    /// Which task acts, and what happens to it.
    acts: Vec<(u16, u8)>,
    /// The order in which what is left is finished.
    finish: Vec<u16>,
}

fn script() -> impl Strategy<Value = Script> {
    let acts = proptest::collection::vec(any::<(u16, u8)>(), 0..70);
    let tasks = proptest::collection::vec(1..4_u32, 16);
    let finish = proptest::collection::vec(any::<u16>(), 1..24);
    (
        recipe(),
        any::<(bool, bool)>(),
        1..3_u32,
        tasks,
        acts,
        finish,
    )
        .prop_map(
            |(recipe, (watermark, expands), generation, tasks, acts, finish)| Script {
                recipe,
                watermark,
                generation,
                expands,
                tasks,
                acts,
                finish,
            },
        )
}

fn runner() -> TestRunner {
    TestRunner::new(Config {
        cases: CASES,
        rng_seed: RngSeed::Fixed(20_260_101),
        failure_persistence: None,
        ..Config::default()
    })
}

/// Something that can happen to one of the tasks that can still do something.
fn act(model: &mut Model, pick: u16, how: u8) {
    let rows = model.rows.len();
    model.refuses_out_of_turn(usize::from(pick) % rows);
    let may_replay = model.run.state.is_open();
    let able = |s: TaskState| {
        matches!(
            s,
            TaskState::Ready | TaskState::Running | TaskState::Waiting
        ) || s == TaskState::Dead && may_replay
    };
    let rows: Vec<usize> = (0..rows).filter(|&i| able(model.rows[i].state)).collect();
    if model.over || rows.is_empty() {
        return;
    }
    let row = rows[usize::from(pick) % rows.len()];
    let jitter = u32::from(pick) << 16;
    match (model.rows[row].state, how) {
        (_, 0) => model.cancel(ErrorCode::RunSuperseded),
        (_, 1) => model.cancel(ErrorCode::AssetDeleted),
        (TaskState::Ready, _) => model.claim(row),
        (TaskState::Waiting, _) if model.rows[row].retries => model.retry_time_came(row),
        (TaskState::Waiting, 2..25) => model.decide(row, Decision::Reject),
        (TaskState::Waiting, _) => model.decide(row, Decision::Approve),
        (TaskState::Dead, _) => model.replay(row),
        (_, 2..40) => model.fail(row, FailureKind::Permanent, jitter),
        (_, 40..60) => model.fail(row, FailureKind::Transient, jitter),
        (_, 60..80) => model.fail(row, FailureKind::Crash, jitter),
        (_, 80..100) => model.fail(row, FailureKind::Lost, jitter),
        (_, 100..108) => model.hand_back(row),
        (_, 108..115) => model.fail(row, FailureKind::Deferred, jitter),
        (_, 115..130) => model.succeed(row, Some(Verdict::Review)),
        (_, 130..133) => model.succeed(row, Some(Verdict::Reject)),
        (_, 133..140) => model.succeed(row, None),
        (_, _) => model.succeed(row, Some(Verdict::Pass)),
    }
}

/// Replays what is dead, approves what is asked and lets everything succeed, in the order given.
fn finish(model: &mut Model, order: &[u16]) {
    for turn in 0.. {
        let open: Vec<usize> = (0..model.rows.len())
            .filter(|&i| {
                let state = model.rows[i].state;
                !state.is_ended() && state != TaskState::Pending || state == TaskState::Dead
            })
            .collect();
        let Some(&row) = open.get(usize::from(order[turn % order.len()]) % open.len().max(1))
        else {
            return;
        };
        match model.rows[row].state {
            TaskState::Ready => model.claim(row),
            TaskState::Running => model.succeed(row, Some(Verdict::Pass)),
            TaskState::Dead => model.replay(row),
            _ if model.rows[row].retries => model.retry_time_came(row),
            _ => model.decide(row, Decision::Approve),
        }
        assert!(turn < 1000, "it ends");
    }
}

fn play(script: &Script) -> Model {
    let mut model = Model::start(
        &script.recipe,
        script.watermark,
        script.generation,
        if script.expands { &[] } else { &script.tasks },
    );
    if script.expands {
        model.found = script.tasks.iter().map(|t| t - 1).collect();
    }
    for &(pick, how) in &script.acts {
        act(&mut model, pick, how);
    }
    if !model.over && model.run.state.is_open() {
        finish(&mut model, &script.finish);
        assert_eq!(model.run.state, RunState::Ready);
        assert!(model.run.is_viewable());
        assert_eq!(model.run.progress(), 1.0);
        let ended_well = |s| matches!(s, TaskState::Succeeded | TaskState::Skipped);
        assert!(model.rows.iter().all(|r| ended_well(r.state)));
    }
    model
}

#[test]
fn whatever_happens_the_run_stays_sound_and_can_become_ready() {
    let seen = std::cell::RefCell::new((BTreeSet::new(), BTreeSet::new()));
    let outcome = runner().run(&script(), |script| {
        let model = play(&script);
        let mut seen = seen.borrow_mut();
        seen.0.extend(model.seen);
        seen.1.insert(model.run.state);
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
    let (changes, ends) = seen.into_inner();
    for &from in TaskState::ALL {
        for &to in TaskState::ALL {
            let expected = from.allows(to);
            assert_eq!(
                changes.contains(&(from, to)),
                expected,
                "{from:?} to {to:?} was met"
            );
        }
    }
    for end in [RunState::Ready, RunState::Rejected, RunState::Cancelled] {
        assert!(ends.contains(&end), "no run ended {end:?}");
    }
}

fn built_in(watermark: bool) -> Model {
    let recipe = Recipe::parse(include_str!("../../../../recipes/image.toml")).expect("it parses");
    Model::start(&Arc::new(recipe), watermark, 1, &[])
}

fn state(model: &Model, name: &str) -> TaskState {
    let step = model.run.recipe.steps.iter().position(|s| s.name == name);
    model.rows[step.expect("there is such a step")].state
}

fn done(model: &mut Model, name: &str) {
    let step = model.run.recipe.steps.iter().position(|s| s.name == name);
    let row = step.expect("there is such a step");
    model.claim(row);
    model.succeed(row, Some(Verdict::Pass));
}

#[test]
fn a_skipped_step_does_not_let_its_followers_overtake_what_it_needs() {
    let mut model = built_in(false);
    assert_eq!(state(&model, "watermark"), TaskState::Skipped);
    assert_eq!(state(&model, "compress"), TaskState::Pending);
    done(&mut model, "moderate");
    assert_eq!(state(&model, "compress"), TaskState::Pending);
    done(&mut model, "resize");
    assert_eq!(state(&model, "compress"), TaskState::Ready);
}

#[test]
fn with_a_watermark_nothing_without_it_shows() {
    let mut model = built_in(true);
    done(&mut model, "moderate");
    done(&mut model, "resize");
    assert!(!model.run.is_viewable());
    done(&mut model, "watermark");
    assert!(model.run.is_viewable());
}

#[test]
fn an_optional_step_does_not_hide_that_what_it_needs_is_dead() {
    let text = "name = \"x\"\nkind = \"image\"
        [[steps]]\nname = \"inspect\"\noperation = \"image.inspect\"
        [[steps]]\nname = \"hint\"\noperation = \"image.placeholder\"\nneeds = [\"inspect\"]\noptional = true
        [[steps]]\nname = \"publish\"\noperation = \"publish\"\nneeds = [\"hint\"]";
    let recipe = Recipe::parse(text).expect("it parses");
    let inspect = recipe
        .steps
        .iter()
        .position(|s| s.operation == Operation::Inspect);
    let row = inspect.expect("it is there");
    let mut model = Model::start(&Arc::new(recipe), false, 1, &[]);
    model.claim(row);
    model.fail(row, FailureKind::Permanent, 0);
    assert_eq!(model.run.state, RunState::Failed);
    assert_eq!(state(&model, "publish"), TaskState::Cancelled);
}

#[test]
fn a_failed_run_is_over_once_a_newer_one_begins() {
    let mut model = built_in(false);
    model.claim(0);
    model.fail(0, FailureKind::Permanent, 0);
    done(&mut model, "moderate");
    done(&mut model, "resize");
    done(&mut model, "compress");
    done(&mut model, "placeholder");
    assert_eq!(model.run.state, RunState::Failed);
    model.cancel(ErrorCode::RunSuperseded);
    assert_eq!(model.run.state, RunState::Cancelled);
    let hand = model.hand(0);
    assert_eq!(replay(&mut model.run, hand), Err(Refused::RunOver));
}
