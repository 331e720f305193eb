//! `video.plan`: which rungs and chunks there are. What it decides is frozen: chunks made anywhere fit each other.

use super::film::{Film, ffmpeg, recorded, unreadable};
use crate::attempt::Attempt;
use crate::ops::failure::from_media;
use crate::planning;
use mediaflow_core::operation::{Cost, Ladder};
use mediaflow_core::transition::{Expansion, TASKS_MAX};
use mediaflow_core::{ErrorCode, Failure, Operation};
use mediaflow_engine::store::Output;
use mediaflow_media::video::Plan;
use mediaflow_media::video::plan;
use serde_json::json;

/// The operation under which the plan is recorded.
const PLAN: &str = "video.plan";

pub(super) fn run(attempt: &Attempt, film: &Film, ladder: &Ladder) -> Result<Output, Failure> {
    let ffmpeg = ffmpeg(attempt, 0)?;
    // What a copy's packets were taken from may change its parameters on the way.
    let may_pass = film.indexed.is_none();
    let plan = planning::film(film.seekable(), ladder, may_pass, ffmpeg.version());
    let plan = plan.map_err(from_media)?;
    for rung in &plan.rungs {
        if !ffmpeg.codecs().contains(&rung.codec) {
            let message = format!(
                "the rung {} is {}, which ffmpeg {} cannot encode here",
                rung.name,
                rung.codec.name(),
                ffmpeg.version()
            );
            return Err(Failure::permanent(ErrorCode::EncoderMissing, message));
        }
    }
    let chunks = u32::try_from(plan.chunks.len()).unwrap_or(u32::MAX);
    let pieces = plan.audio.as_ref().map_or(0, |a| a.pieces.len());
    if chunks > TASKS_MAX {
        let message = format!("it would be made in {chunks} chunks; {TASKS_MAX} are allowed");
        return Err(Failure::permanent(ErrorCode::LimitTasks, message));
    }
    // The first chunk is the lead's.
    let expansions = [
        (Operation::VideoEncode, chunks - 1, cost(attempt, &plan)),
        (
            Operation::VideoAudio,
            u32::try_from(pieces).unwrap_or(u32::MAX),
            attempt.task.cost,
        ),
    ];
    let steps = &attempt.task.recipe.steps;
    Ok(Output {
        expansions: expansions
            .into_iter()
            .filter_map(|(operation, tasks, cost)| {
                let step = steps.iter().position(|s| s.operation == operation)?;
                Some(Expansion { step, tasks, cost })
            })
            .collect(),
        facts: json!({ "plan": plan }),
        ..Output::default()
    })
}

/// Bytes that an encoder holds for each pixel of its rung; measured with ladders up to 1080p.
fn encoding_bytes(codec: plan::VideoCodec) -> u64 {
    match codec {
        plan::VideoCodec::H264 => 105,
        plan::VideoCodec::Hevc => 205,
        plan::VideoCodec::Vp9 => 180,
        plan::VideoCodec::Av1 => 215,
    }
}

fn cost(attempt: &Attempt, plan: &Plan) -> Cost {
    let task = &attempt.task;
    let encode = task
        .recipe
        .steps
        .iter()
        .position(|s| s.operation == Operation::VideoEncode);
    let held = plan
        .rungs
        .iter()
        .map(|r| u64::from(r.width) * u64::from(r.height) * encoding_bytes(r.codec));
    let encoding = held.fold(0, u64::saturating_add);
    let decoding = encode.map_or(task.cost, |step| task.recipe.cost(step, task.facts));
    let longest = plan.chunks.iter().map(|c| c.cost_cpu_seconds).max();
    Cost {
        cpu_ms: longest.unwrap_or(1).saturating_mul(1000),
        memory_bytes: decoding.memory_bytes.saturating_add(encoding),
    }
}

/// The plan that this generation goes by.
pub(super) async fn found(attempt: &Attempt) -> Result<Plan, Failure> {
    let mut facts = recorded(attempt, PLAN).await?;
    serde_json::from_value(facts["plan"].take()).map_err(unreadable)
}
