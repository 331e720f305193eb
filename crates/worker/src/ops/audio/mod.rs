//! The operations of sounds. ffmpeg does the work, as a child in the sandbox; here is decided what it is asked.

mod cover;
mod download;
mod inspect;
mod loudness;
mod piece;
mod plan;
mod verify;
mod waveform;

pub(crate) use cover::COVER;
pub(crate) use cover::found as cover;
pub(crate) use loudness::Levels;
pub(crate) use piece::Piece;

use crate::attempt::Attempt;
use crate::ops::on_thread;
use crate::ops::video::Film;
use crate::ops::video::verify::made;
use crate::threads::MediaThreads;
use mediaflow_core::{ErrorCode, Failure, Operation};
use mediaflow_engine::store::Output;
use mediaflow_media::video::plan::Packaging;
use mediaflow_media::video::{AudioStream, MediaInfo};
use std::sync::Arc;

/// Runs the attempt's operation, which is one of sounds.
pub(crate) async fn run(attempt: Arc<Attempt>, threads: &MediaThreads) -> Result<Output, Failure> {
    let step = &attempt.task.recipe.steps[attempt.task.step];
    if step.operation == Operation::AudioInspect {
        return on_thread(attempt, threads, inspect::run).await;
    }
    let film = Film::found(&attempt).await?;
    match step.operation.clone() {
        Operation::AudioLoudness(wanted) => {
            on_thread(attempt, threads, move |a| loudness::run(a, &film, wanted)).await
        }
        Operation::AudioPlan(wanted) => {
            on_thread(attempt, threads, move |a| plan::run(a, &film, &wanted)).await
        }
        Operation::AudioEncode => {
            let plan = plan::found(&attempt).await?;
            let levels = Levels::found(&attempt).await?;
            on_thread(attempt, threads, move |a| {
                let piece = Piece {
                    plan: &plan,
                    target_duration: plan::target_duration(&plan),
                    packaging: Packaging::Cmaf,
                    is_alone: true,
                };
                piece.make(a, &film, &levels)
            })
            .await
        }
        Operation::AudioDownload(wanted) => {
            let levels = Levels::found(&attempt).await?;
            on_thread(attempt, threads, move |a| {
                download::run(a, &film, &wanted, &levels)
            })
            .await
        }
        Operation::AudioWaveform => {
            on_thread(attempt, threads, move |a| waveform::run(a, &film)).await
        }
        Operation::AudioCover => on_thread(attempt, threads, move |a| cover::run(a, &film)).await,
        Operation::AudioVerify => {
            let plan = plan::found(&attempt).await?;
            let made = made(&attempt).await?;
            on_thread(attempt, threads, move |a| verify::run(a, &plan, &made)).await
        }
        other => Err(Failure::permanent(
            ErrorCode::Internal,
            format!("{} is no operation of sounds", other.name()),
        )),
    }
}

/// The stream that players choose by themselves: downloads and the waveform are of it.
fn main_stream(info: &MediaInfo) -> Result<&AudioStream, Failure> {
    let default = info.audio.iter().find(|a| a.is_default);
    default
        .or(info.audio.first())
        .ok_or_else(|| Failure::permanent(ErrorCode::InputUnsupported, "there is no sound in it"))
}
