//! `moderate`: the gate. Off passes, review waits for a person, a classifier's scores decide.

use crate::attempt::Attempt;
use crate::classifier::{Frame, Scores};
use crate::ops::audio;
use crate::ops::failure::from_media;
use crate::ops::on_thread;
use crate::ops::video::{Film, ffmpeg};
use crate::threads::MediaThreads;
use mediaflow_core::moderation::{ModerationPolicy, judge};
use mediaflow_core::{ErrorCode, Failure, FailureKind, Kind, Thresholds, Verdict};
use mediaflow_engine::store::Output;
use mediaflow_media::MediaError;
use mediaflow_media::image::encode::{Metadata, jpeg};
use mediaflow_media::image::resize::{Fit, cascade};
use mediaflow_media::image::{Pixels, decode, decode_frames};
use mediaflow_media::video;
use serde_json::json;
use std::sync::Arc;

/// Classifiers look at small pictures.
const FRAME_WIDTH: u32 = 512;
/// Pictures of an animation that are looked at, evenly spread.
const FRAMES_MAX: u32 = 8;
/// Pictures of a video that are looked at.
const KEY_FRAMES_MAX: usize = 64;

pub(crate) async fn run(attempt: Arc<Attempt>, threads: &MediaThreads) -> Result<Output, Failure> {
    let policy = attempt.task.settings.moderation;
    let verdict = match policy {
        ModerationPolicy::Off => Verdict::Pass,
        ModerationPolicy::Review => Verdict::Review,
        ModerationPolicy::Classifier => return classify(attempt, threads).await,
    };
    Ok(Output {
        verdict: Some(verdict),
        facts: json!({ "policy": policy.as_str(), "verdict": verdict.as_str() }),
        ..Output::default()
    })
}

async fn classify(attempt: Arc<Attempt>, threads: &MediaThreads) -> Result<Output, Failure> {
    let classifier = attempt.toolbox.classifier.as_ref().ok_or_else(|| {
        Failure::transient(
            ErrorCode::ModerationUnavailable,
            "no classifier is configured on this worker",
        )
    })?;
    classifier.admit()?;
    let frames = match attempt.task.recipe.kind {
        Kind::Image => on_thread(Arc::clone(&attempt), threads, frames).await?,
        Kind::Video => {
            let film = Film::found(&attempt).await?;
            on_thread(Arc::clone(&attempt), threads, move |a| key_frames(a, &film)).await?
        }
        Kind::Audio => {
            let film = Film::found(&attempt).await?;
            let cover = on_thread(Arc::clone(&attempt), threads, move |a| cover(a, &film)).await?;
            if cover.is_empty() {
                return Ok(nothing_to_see());
            }
            cover
        }
    };
    let Scores { scores, model } = classifier
        .classify(&attempt.task.asset.to_string(), frames)
        .await?;
    let settings = &attempt.task.settings;
    let default = settings.default_thresholds.unwrap_or(Thresholds {
        review: 0.5,
        reject: 0.9,
    });
    // A classifier that saw nothing at all has not passed the picture: a person looks.
    let verdict = if scores.is_empty() {
        Verdict::Review
    } else {
        judge(&scores, &settings.thresholds, default)
    };
    Ok(Output {
        verdict: Some(verdict),
        facts: json!({ "policy": "classifier", "verdict": verdict.as_str(), "scores": scores, "model": model }),
        ..Output::default()
    })
}

/// The pictures to look at, small, as JPEG.
fn frames(attempt: &Attempt) -> Result<Vec<Frame>, Failure> {
    let bytes = attempt.original()?;
    let options = attempt.toolbox.decoding(false);
    let count = attempt.task.facts.frames.max(1);
    if count == 1 {
        let pixels = decode(&bytes, &options).map_err(from_media)?;
        return Ok(vec![frame(0, pixels).map_err(from_media)?]);
    }
    let stride = count.div_ceil(FRAMES_MAX);
    let (mut index, mut chosen) = (0, Vec::new());
    decode_frames(&bytes, &options, &mut |picture| {
        if index % stride == 0 {
            chosen.push(frame(index, picture.pixels)?);
        }
        index += 1;
        Ok(())
    })
    .map_err(from_media)?;
    Ok(chosen)
}

/// Classifiers judge pictures: of a sound they see the cover. One that cannot be decoded is never shown.
fn cover(attempt: &Attempt, film: &Film) -> Result<Vec<Frame>, Failure> {
    match audio::cover(attempt, film) {
        Ok(Some(pixels)) => Ok(vec![frame(0, pixels).map_err(from_media)?]),
        Ok(None) => Ok(Vec::new()),
        Err(failure) if failure.kind == FailureKind::Permanent => Ok(Vec::new()),
        Err(failure) => Err(failure),
    }
}

fn nothing_to_see() -> Output {
    let verdict = Verdict::Pass;
    Output {
        verdict: Some(verdict),
        facts: json!({
            "policy": "classifier", "verdict": verdict.as_str(), "reason": "there is no picture to look at",
        }),
        ..Output::default()
    }
}

/// Key frames of a video, evenly spread.
fn key_frames(attempt: &Attempt, film: &Film) -> Result<Vec<Frame>, Failure> {
    let ffmpeg = ffmpeg(attempt, 0)?;
    let (count, side) = (KEY_FRAMES_MAX, FRAME_WIDTH);
    let reads = video::frames_read(film.seekable(), count).map_err(from_media)?;
    let source = film.open(attempt, &ffmpeg, &reads)?;
    let mut chosen = Vec::new();
    video::frames(
        &ffmpeg,
        source.path(),
        film.seekable(),
        count,
        side,
        &mut |moment| {
            let index = u32::try_from(chosen.len()).unwrap_or(u32::MAX);
            chosen.push(frame(index, moment.pixels)?);
            Ok(())
        },
    )
    .map_err(|e| source.failed(attempt, e))?;
    Ok(chosen)
}

fn frame(index: u32, pixels: Pixels) -> Result<Frame, MediaError> {
    let small = cascade(&Arc::new(pixels), &[Fit::Width(FRAME_WIDTH)])?;
    let small = small.into_iter().next().expect("one fit gives one picture");
    let encoded = jpeg::encode(&small, &jpeg::JpegOptions::default(), &Metadata::default())?;
    Ok(Frame {
        index,
        width: small.width(),
        height: small.height(),
        jpeg: encoded.bytes,
    })
}
