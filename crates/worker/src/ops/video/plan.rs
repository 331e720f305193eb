//! `video.plan`: which rungs and chunks there are. What it decides is frozen: chunks made anywhere fit each other.

use super::film::{Film, ffmpeg, recorded, unreadable};
use super::packaging;
use crate::attempt::Attempt;
use crate::config::processors;
use crate::ops::failure::from_media;
use mediaflow_core::operation::{Cost, Ladder, VideoCodec};
use mediaflow_core::transition::{Expansion, TASKS_MAX};
use mediaflow_core::{ErrorCode, Failure, Operation};
use mediaflow_engine::store::Output;
use mediaflow_media::video::plan::{self, Rung};
use mediaflow_media::video::{Plan, PlanSettings};
use serde_json::json;

/// The operation under which the plan is recorded.
const PLAN: &str = "video.plan";

pub(super) fn run(attempt: &Attempt, film: &Film, ladder: &Ladder) -> Result<Output, Failure> {
    let ffmpeg = ffmpeg(attempt, 0)?;
    let usual = PlanSettings::default();
    let settings = PlanSettings {
        chunk_cpu_seconds: ladder.chunk_cpu_s.unwrap_or(usual.chunk_cpu_seconds),
        ladder: plan::Ladder {
            rungs: ladder.rungs.iter().map(rung).collect(),
        },
        // A rung may ask for more pictures than are usual.
        frame_rate_max: ladder
            .rungs
            .iter()
            .filter_map(|rung| rung.frame_rate_max)
            .fold(usual.frame_rate_max, u32::max),
        audio_channels_max: ladder.channels_max,
        // What a copy's packets were taken from may change its parameters on the way.
        pass_through: ladder.pass_through && film.indexed.is_none(),
        packaging: packaging::planned(ladder.packaging),
        processors: processors(),
        ..usual
    };
    let plan = plan::plan(film.seekable(), &settings, ffmpeg.version()).map_err(from_media)?;
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

fn rung(rung: &mediaflow_core::operation::Rung) -> Rung {
    Rung {
        name: rung.name.clone(),
        height: rung.height,
        video_bit_rate: rung.video_kbps * 1000,
        audio_bit_rate: rung.audio_kbps * 1000,
        frame_rate_max: rung.frame_rate_max.unwrap_or(60),
        codec: match rung.codec {
            VideoCodec::H264 => plan::VideoCodec::H264,
            VideoCodec::Hevc => plan::VideoCodec::Hevc,
            VideoCodec::Vp9 => plan::VideoCodec::Vp9,
            VideoCodec::Av1 => plan::VideoCodec::Av1,
        },
    }
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
