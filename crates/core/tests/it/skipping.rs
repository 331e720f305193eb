//! A step that finds nothing to work on takes with it what would be made of that, and nothing else.

use mediaflow_core::operation::Facts;
use mediaflow_core::transition::{Expansion, TaskInHand, start, succeed};
use mediaflow_core::{Recipe, Run, RunSettings, TaskState, Verdict};
use std::sync::Arc;

fn step(run: &Run, name: &str) -> usize {
    let mut steps = run.recipe.steps.iter();
    steps
        .position(|s| s.name == name)
        .expect("the step is there")
}

fn succeeded(run: &mut Run, name: &str, verdict: Option<Verdict>, without: &[&str]) {
    let hand = TaskInHand {
        step: step(run, name),
        state: TaskState::Running,
        attempts: 1,
        crashes: 0,
        alone: false,
        losses_alone: 0,
    };
    let without: Vec<Expansion> = without
        .iter()
        .map(|name| {
            let step = step(run, name);
            let cost = run.recipe.cost(step, Facts::default());
            let tasks = 0;
            Expansion { step, tasks, cost }
        })
        .collect();
    succeed(run, hand, verdict, &without).expect("it runs");
}

fn skipped(run: &Run) -> Vec<&str> {
    let steps = run.recipe.steps.iter().zip(&run.steps);
    let skipped = steps.filter(|(_, status)| status.skipped > 0);
    skipped.map(|(step, _)| step.name.as_str()).collect()
}

fn sound() -> Run {
    let recipe = include_str!("../../../../recipes/audio.toml");
    let recipe = Arc::new(Recipe::parse(recipe).expect("the built-in recipe parses"));
    start(recipe, &RunSettings::default(), 1).0
}

const PICTURES: [&str; 3] = ["resize", "compress", "placeholder"];

#[test]
fn without_a_cover_there_are_no_pictures_and_everything_else_waits_as_before() {
    let mut run = sound();
    succeeded(&mut run, "inspect", None, &["cover"]);
    assert_eq!(skipped(&run).len(), 4, "{:?}", skipped(&run));
    assert!(PICTURES.iter().all(|name| skipped(&run).contains(name)));
    let released = |run: &Run, name: &str| run.steps[step(run, name)].released;
    assert!(!released(&run, "distribute") && !released(&run, "waveform"));
    succeeded(&mut run, "moderate", Some(Verdict::Pass), &[]);
    assert!(!run.is_viewable());
    for name in ["loudness", "plan"] {
        succeeded(&mut run, name, None, &[]);
    }
    succeeded(&mut run, "encode", None, &[]);
    assert!(run.is_viewable());
    for name in ["download", "waveform", "verify", "distribute"] {
        assert!(released(&run, name), "{name}");
        succeeded(&mut run, name, None, &[]);
    }
    assert_eq!(run.state, mediaflow_core::RunState::Ready);
}

#[test]
fn a_cover_that_is_no_picture_is_as_none() {
    let mut run = sound();
    succeeded(&mut run, "inspect", None, &[]);
    succeeded(&mut run, "moderate", Some(Verdict::Pass), &[]);
    succeeded(&mut run, "cover", None, &["resize", "placeholder"]);
    assert_eq!(skipped(&run), PICTURES);
}
