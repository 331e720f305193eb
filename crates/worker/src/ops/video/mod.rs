//! The video operations. ffmpeg does the work, as a child in the sandbox; here is decided what it is asked.

mod captions;
mod download;
mod encode;
pub(crate) mod film;
mod inspect;
pub(crate) mod packaging;
mod pictures;
mod pieces;
mod plan;
mod sound;
pub(crate) mod verify;

pub(crate) use film::{Film, ffmpeg};
pub(crate) use inspect::{essentials, search_text};
pub(crate) use pictures::POSTER;

use crate::attempt::Attempt;
use crate::ops::audio::Levels;
use crate::ops::on_thread;
use crate::threads::MediaThreads;
use mediaflow_core::{ErrorCode, Failure, Operation};
use mediaflow_engine::store::Output;
use std::sync::Arc;

/// Runs the attempt's operation, which is one of videos.
pub(crate) async fn run(attempt: Arc<Attempt>, threads: &MediaThreads) -> Result<Output, Failure> {
    let step = &attempt.task.recipe.steps[attempt.task.step];
    if step.operation == Operation::VideoInspect {
        return on_thread(attempt, threads, inspect::run).await;
    }
    let film = Film::found(&attempt).await?;
    match step.operation.clone() {
        Operation::VideoPlan(ladder) => {
            on_thread(attempt, threads, move |a| plan::run(a, &film, &ladder)).await
        }
        Operation::VideoPoster => {
            on_thread(attempt, threads, move |a| pictures::poster(a, &film)).await
        }
        Operation::VideoStoryboard => {
            let plan = plan::found(&attempt).await?;
            on_thread(attempt, threads, move |a| {
                pictures::storyboard(a, &film, &plan)
            })
            .await
        }
        Operation::VideoLead => {
            let plan = plan::found(&attempt).await?;
            on_thread(attempt, threads, move |a| encode::run(a, &film, &plan, 0)).await
        }
        Operation::VideoEncode => {
            let plan = plan::found(&attempt).await?;
            let chunk = attempt.task.number as usize + 1;
            on_thread(attempt, threads, move |a| {
                encode::run(a, &film, &plan, chunk)
            })
            .await
        }
        Operation::VideoAudio => {
            let plan = plan::found(&attempt).await?;
            let levels = Levels::found(&attempt).await?;
            on_thread(attempt, threads, move |a| {
                sound::run(a, &film, &plan, &levels)
            })
            .await
        }
        Operation::VideoVerify => {
            let plan = plan::found(&attempt).await?;
            let made = verify::made(&attempt).await?;
            on_thread(attempt, threads, move |a| verify::run(a, &plan, &made)).await
        }
        Operation::VideoCaptions => {
            on_thread(attempt, threads, move |a| captions::run(a, &film)).await
        }
        Operation::VideoDownload(download) => {
            let made = verify::made(&attempt).await?;
            on_thread(attempt, threads, move |a| {
                download::run(a, &download, &made)
            })
            .await
        }
        other => Err(Failure::permanent(
            ErrorCode::Internal,
            format!("{} is no operation of videos", other.name()),
        )),
    }
}
