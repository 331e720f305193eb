//! `audio.plan`: which pieces there are. What it decides is frozen: pieces made anywhere fit each other.

use crate::attempt::Attempt;
use crate::ops::failure::from_media;
use crate::ops::video::Film;
use crate::ops::video::film::{recorded, unreadable};
use crate::planning::{self, SEGMENT_SECONDS};
use mediaflow_core::operation::{Cost, Sounds};
use mediaflow_core::transition::{Expansion, TASKS_MAX};
use mediaflow_core::{ErrorCode, Failure, Operation};
use mediaflow_engine::store::Output;
use mediaflow_media::video::plan::AudioPlan;
use serde_json::json;

/// The operation under which the plan is recorded.
const PLAN: &str = "audio.plan";
/// Processor time of a second of sound at one bit rate, with its check: 50 times faster than it is heard.
const CPU_MS_PER_SECOND: f64 = 20.0;

pub(super) fn run(attempt: &Attempt, film: &Film, wanted: &Sounds) -> Result<Output, Failure> {
    let plan = planning::sound(film.seekable(), wanted).map_err(from_media)?;
    let pieces = u32::try_from(plan.pieces.len()).unwrap_or(u32::MAX);
    if pieces > TASKS_MAX {
        let message = format!("it would be made in {pieces} pieces; {TASKS_MAX} are allowed");
        return Err(Failure::permanent(ErrorCode::LimitTasks, message));
    }
    let steps = attempt.task.recipe.steps.iter().enumerate();
    let expansions = steps.filter_map(|(step, s)| match &s.operation {
        Operation::AudioEncode => Some(Expansion {
            step,
            tasks: pieces,
            cost: cost(attempt, &plan),
        }),
        Operation::AudioDownload(wanted) => Some(Expansion {
            step,
            tasks: u32::try_from(wanted.files.len()).unwrap_or(u32::MAX),
            cost: s.operation.cost(attempt.task.facts),
        }),
        _ => None,
    });
    Ok(Output {
        expansions: expansions.collect(),
        facts: json!({ "plan": plan }),
        ..Output::default()
    })
}

fn cost(attempt: &Attempt, plan: &AudioPlan) -> Cost {
    let longest = plan.pieces.iter().map(|p| p.segments).max().unwrap_or(1);
    let streams: usize = plan.tracks.iter().map(|t| t.renditions.len()).sum();
    let seconds = f64::from(longest * SEGMENT_SECONDS) * streams as f64;
    Cost {
        cpu_ms: (seconds * CPU_MS_PER_SECOND) as u32,
        ..Operation::AudioEncode.cost(attempt.task.facts)
    }
}

/// The longest segment in whole seconds, rounded, as playlists say it.
pub(super) fn target_duration(plan: &AudioPlan) -> u32 {
    let blocks = (0..plan.segments()).map(|n| {
        let blocks = plan.segment(n);
        blocks.end - blocks.start
    });
    let samples = blocks.max().unwrap_or(0) * 1024;
    let seconds = samples as f64 / f64::from(plan.sample_rate);
    (seconds.round() as u32).max(1)
}

/// The plan that this generation goes by.
pub(super) async fn found(attempt: &Attempt) -> Result<AudioPlan, Failure> {
    let mut facts = recorded(attempt, PLAN).await?;
    serde_json::from_value(facts["plan"].take()).map_err(unreadable)
}
