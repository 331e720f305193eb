//! What each operation does: one file each. They turn a task into an output or a failure, and know
//! neither claims nor states.

mod audio;
mod distribute;
pub(crate) mod failure;
mod image;
mod moderate;
mod video;

pub(crate) use video::packaging;

use crate::attempt::Attempt;
use crate::threads::MediaThreads;
use audio::COVER;
use failure::panicked;
use mediaflow_core::operation::Format;
use mediaflow_core::{ErrorCode, Failure, Kind, Operation, Queue, Sha256};
use mediaflow_engine::Depot;
use mediaflow_engine::store::{Claimed, NewBlob, NewRendition, Output, RenditionBlob};
use rustix::time::{ClockId, clock_gettime};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use video::POSTER;

/// In a recipe of other media the operations of pictures take the poster or the cover for the original.
///
/// # Errors
/// When it is not there.
pub(crate) async fn with_source(depot: &dyn Depot, mut task: Claimed) -> Result<Claimed, Failure> {
    let operation = &task.recipe.steps[task.step].operation;
    let profile = match task.recipe.kind {
        Kind::Video => POSTER,
        Kind::Audio => COVER,
        Kind::Image => return Ok(task),
    };
    if operation.queue() != Queue::Image {
        return Ok(task);
    }
    let recorded = depot.recorded(&task).await;
    let recorded = recorded.map_err(|e| failure::from_engine(e.into()))?;
    let picture = recorded.into_iter().find(|(r, _)| r.profile == profile);
    let (_, blob) = picture.ok_or_else(|| {
        let message = format!("there is no {profile} to work on");
        Failure::permanent(ErrorCode::Internal, message)
    })?;
    task.original = blob;
    Ok(task)
}

/// Runs the attempt's operation.
pub(crate) async fn run(attempt: Arc<Attempt>, threads: &MediaThreads) -> Result<Output, Failure> {
    let step = &attempt.task.recipe.steps[attempt.task.step];
    match &step.operation {
        Operation::Moderate => moderate::run(attempt, threads).await,
        Operation::Distribute => distribute::run(&attempt).await,
        Operation::Inspect => on_thread(attempt, threads, image::inspect::run).await,
        Operation::Placeholder => on_thread(attempt, threads, image::placeholder::run).await,
        Operation::Resize(_) => image::baseline::resize(attempt, threads).await,
        Operation::Watermark => image::baseline::watermark(attempt, threads).await,
        Operation::Compress(_) => image::compress::compress(attempt, threads).await,
        Operation::Squeeze(_) => image::compress::squeeze(attempt, threads).await,
        Operation::VideoInspect
        | Operation::VideoPlan(_)
        | Operation::VideoLead
        | Operation::VideoEncode
        | Operation::VideoAudio
        | Operation::VideoPoster
        | Operation::VideoStoryboard
        | Operation::VideoVerify
        | Operation::VideoCaptions
        | Operation::VideoDownload(_) => video::run(attempt, threads).await,
        Operation::AudioInspect
        | Operation::AudioLoudness(_)
        | Operation::AudioPlan(_)
        | Operation::AudioEncode
        | Operation::AudioDownload(_)
        | Operation::AudioWaveform
        | Operation::AudioCover
        | Operation::AudioVerify => audio::run(attempt, threads).await,
        Operation::Publish => unreachable!("the core publishes; no worker is given such a task"),
    }
}

/// A rendition that belongs to this asset alone: nobody else's can be made of the same bytes.
pub(crate) fn own(
    attempt: &Attempt,
    profile: &str,
    format: Format,
    dimensions: Option<(u32, u32)>,
    blob: NewBlob,
) -> NewRendition {
    let made = format!("{} {}", blob.sha256, attempt.task.asset);
    NewRendition {
        derivation: Sha256::of(made.as_bytes()),
        profile: profile.to_owned(),
        format,
        dimensions,
        animated: false,
        blob: RenditionBlob::New(blob),
    }
}

/// Runs blocking work on a media thread.
pub(crate) async fn on_thread<T: Send + 'static>(
    attempt: Arc<Attempt>,
    threads: &MediaThreads,
    work: impl FnOnce(&Attempt) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let span = tracing::Span::current();
    let job = move || {
        let _entered = span.enter();
        let before = thread_cpu_ns();
        let outcome = attempt.check().and_then(|()| work(&attempt));
        attempt
            .spent
            .making
            .fetch_add(thread_cpu_ns() - before, Ordering::Relaxed);
        outcome
    };
    threads.run(job).await.unwrap_or_else(|_| Err(panicked()))
}

/// Processor time of this thread so far.
fn thread_cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    u64::try_from(time.tv_sec * 1_000_000_000 + time.tv_nsec).unwrap_or(0)
}
