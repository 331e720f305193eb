//! What the processing of a file would cost: from what a server's own tasks took, or else from figures of ours.

mod figures;
mod measured;
mod subject;

pub(crate) use figures::{
    CPU_MS_AROUND_ASSET, CPU_MS_PER_DELIVERY, POSTGRES_TASKS_PER_SECOND, SQLITE_TASKS_PER_SECOND,
};
pub(crate) use measured::{Asset, Measured};
pub(crate) use subject::{Film, Sounds, Subject};

use mediaflow_core::recipe::Condition;
use mediaflow_core::{Kind, Operation, Queue, Recipe};

/// What a figure stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Basis {
    /// The median of so many assets of a server.
    Measured(usize),
    /// What the operation says of itself, or a benchmark of ours.
    Stated,
}

impl Basis {
    /// For people and programs.
    pub(crate) fn words(self) -> String {
        match self {
            Self::Measured(1) => "measured, 1 asset".to_owned(),
            Self::Measured(assets) => format!("measured, {assets} assets"),
            Self::Stated => "stated".to_owned(),
        }
    }
}

/// What a step would take.
#[derive(Debug, Clone)]
pub(crate) struct StepCost {
    pub(crate) step: String,
    pub(crate) operation: &'static str,
    pub(crate) queue: Queue,
    pub(crate) needs: Vec<usize>,
    /// None: it would be skipped.
    pub(crate) tasks: u32,
    /// Of all its tasks together.
    pub(crate) cpu_seconds: f64,
    pub(crate) basis: Basis,
}

/// What each step of the recipe would take for this file.
pub(crate) fn steps(
    recipe: &Recipe,
    subject: &Subject,
    watermark: bool,
    measured: &Measured,
) -> Vec<StepCost> {
    let step = |(n, step): (usize, &mediaflow_core::recipe::Step)| {
        let tasks = tasks(recipe, n, subject, watermark);
        let operation = &step.operation;
        let measured = measured.seconds(operation.name(), subject.amount(operation));
        let (cpu_seconds, basis) = match (tasks, measured) {
            (0, _) => (0.0, Basis::Stated),
            (_, Some((seconds, assets))) => (seconds, Basis::Measured(assets)),
            (_, None) => {
                let one = figures::cpu_seconds(recipe, n, subject);
                (one, Basis::Stated)
            }
        };
        StepCost {
            step: step.name.clone(),
            operation: operation.name(),
            queue: operation.queue(),
            needs: step.needs.clone(),
            tasks,
            cpu_seconds,
            basis,
        }
    };
    recipe.steps.iter().enumerate().map(step).collect()
}

/// How many tasks a step has for this file.
fn tasks(recipe: &Recipe, step: usize, subject: &Subject, watermark: bool) -> u32 {
    let of = &recipe.steps[step];
    let film = subject.film.as_ref();
    let sounds = subject.sounds.as_ref();
    match &of.operation {
        _ if of.when == Some(Condition::Watermark) && !watermark => 0,
        Operation::VideoEncode => film.map_or(0, |film| film.encode_tasks),
        Operation::VideoAudio | Operation::AudioEncode => sounds.map_or(0, |sounds| sounds.pieces),
        Operation::AudioDownload(wanted) => u32::try_from(wanted.files.len()).unwrap_or(u32::MAX),
        Operation::AudioCover => u32::from(subject.has_cover),
        operation if recipe.kind == Kind::Audio && operation.queue() == Queue::Image => {
            u32::from(subject.has_cover)
        }
        _ => 1,
    }
}

/// The time from the first task's start to the last one's end on so many slots that do nothing else: the longest way through the
/// graph, or what all of it takes shared by all, whichever is longer.
pub(crate) fn wall_seconds(steps: &[StepCost], slots: u32) -> f64 {
    let slots = f64::from(slots.max(1));
    let mut done: Vec<f64> = Vec::new();
    for step in steps {
        let begins = step
            .needs
            .iter()
            .map(|&need| done[need])
            .fold(0.0, f64::max);
        let at_once = f64::from(step.tasks.max(1)).min(slots);
        done.push(begins + step.cpu_seconds / at_once);
    }
    let all: f64 = steps.iter().map(|step| step.cpu_seconds).sum();
    done.into_iter().fold(all / slots, f64::max)
}

/// Bytes of all that would be made, and what that stands on.
pub(crate) fn made_bytes(recipe: &Recipe, subject: &Subject, measured: &Measured) -> (u64, Basis) {
    let mut basis = None;
    let mut from = |found: Option<(f64, usize)>, stated: f64| {
        let (bytes, now) = match found {
            Some((bytes, assets)) => (bytes, Basis::Measured(assets)),
            None => (stated, Basis::Stated),
        };
        // One guess in a sum makes it one.
        basis = match basis {
            None | Some(Basis::Measured(_)) => Some(now),
            stated => stated,
        };
        bytes
    };
    let mut bytes = 0.0;
    for picture in subject.pictures(recipe) {
        let pixels = picture.pixels as f64;
        let found = measured.picture_bytes(&picture.profile, picture.format, pixels);
        bytes += from(found, pixels * figures::bytes_per_pixel(picture.format));
    }
    if recipe.kind != Kind::Image {
        let found = measured.stream_bytes(subject.stream_amount());
        bytes += from(found, figures::stream_bytes(recipe, subject));
    }
    (bytes as u64, basis.unwrap_or(Basis::Stated))
}

#[cfg(test)]
mod tests {
    use super::{Basis, Measured, StepCost, Subject, made_bytes, steps, wall_seconds};
    use mediaflow_core::{Kind, Queue};
    use mediaflow_engine::Recipes;

    fn step(needs: &[usize], tasks: u32, cpu_seconds: f64) -> StepCost {
        StepCost {
            step: String::new(),
            operation: "image.inspect",
            queue: Queue::Image,
            needs: needs.to_vec(),
            tasks,
            cpu_seconds,
            basis: Basis::Stated,
        }
    }

    #[test]
    fn the_longest_way_or_the_whole_work_decides_about_time() {
        let chain = [step(&[], 1, 2.0), step(&[0], 10, 10.0), step(&[1], 1, 1.0)];
        assert_eq!(wall_seconds(&chain, 1), 13.0);
        assert_eq!(wall_seconds(&chain, 10), 2.0 + 1.0 + 1.0);
        // More slots than tasks help nobody.
        assert_eq!(wall_seconds(&chain, 1000), 4.0);
        let beside = [step(&[], 1, 3.0), step(&[], 1, 3.0)];
        assert_eq!(wall_seconds(&beside, 1), 6.0);
        assert_eq!(wall_seconds(&beside, 2), 3.0);
    }

    #[test]
    fn without_a_server_all_is_stated_and_grows_with_the_picture() {
        let recipes = Recipes::load(None).expect("the built-in recipes");
        let recipe = recipes.find(None, Kind::Image).expect("one for pictures");
        let measured = Measured::default();
        let small = Subject::picture(1000, 1000, 300_000);
        let large = Subject::picture(4000, 3000, 4_000_000);
        let cpu = |subject: &Subject| -> f64 {
            let steps = steps(&recipe, subject, false, &measured);
            assert!(steps.iter().all(|s| s.basis == Basis::Stated));
            let watermark = steps.iter().find(|s| s.step == "watermark");
            assert_eq!(watermark.map(|s| s.tasks), Some(0), "nobody asked for it");
            steps.iter().map(|s| s.cpu_seconds).sum()
        };
        assert!(cpu(&large) > 10.0 * cpu(&small));
        let made = |subject| made_bytes(&recipe, subject, &measured).0;
        assert!(made(&large) > made(&small));
    }
}
