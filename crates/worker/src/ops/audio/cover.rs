//! `audio.cover`: the picture that a recording carries. It is decoded here as any stranger's picture; the image
//! operations go on from what is made of it.

use crate::attempt::Attempt;
use crate::ops::failure::from_media;
use crate::ops::own;
use crate::ops::video::Film;
use crate::ops::video::film::{ffmpeg, source};
use mediaflow_core::operation::Format;
use mediaflow_core::transition::Expansion;
use mediaflow_core::{Failure, FailureKind, Operation};
use mediaflow_engine::store::Output;
use mediaflow_media::audio;
use mediaflow_media::image::encode::{Metadata, jpeg, png};
use mediaflow_media::image::resize::{Fit, cascade};
use mediaflow_media::image::{Pixels, decode};
use serde_json::json;
use std::sync::Arc;

/// The profile of the picture that stands for a sound.
pub(crate) const COVER: &str = "cover";
/// Pixels of its width: enough for the largest variant.
const WIDTH_MAX: u32 = 2160;
/// Nothing is lost that its variants could show.
const QUALITY: u8 = 95;

/// The picture itself; `None` where there is none.
pub(crate) fn found(attempt: &Attempt, film: &Film) -> Result<Option<Pixels>, Failure> {
    let ffmpeg = ffmpeg(attempt, 1)?;
    let source = source(attempt, &ffmpeg, film.info.container, &[])?;
    let art = audio::cover(&ffmpeg, source.path(), &film.info);
    let art = art.map_err(|e| source.failed(attempt, e))?;
    let options = attempt.toolbox.decoding(false);
    art.map(|bytes| decode(&bytes, &options).map_err(from_media))
        .transpose()
}

pub(super) fn run(attempt: &Attempt, film: &Film) -> Result<Output, Failure> {
    match found(attempt, film) {
        Ok(Some(pixels)) => {
            let cut = cascade(&Arc::new(pixels), &[Fit::Width(WIDTH_MAX)]).map_err(from_media)?;
            let pixels = cut.first().expect("one fit gives one picture");
            store(attempt, pixels)
        }
        Ok(None) => Ok(without(attempt, "there is none")),
        // Sound whose cover is broken is sound all the same.
        Err(failure) if failure.kind == FailureKind::Permanent => {
            Ok(without(attempt, &failure.message))
        }
        Err(failure) => Err(failure),
    }
}

fn store(attempt: &Attempt, pixels: &Pixels) -> Result<Output, Failure> {
    let plain = Metadata::default();
    let (format, encoded) = match pixels.is_transparent() {
        true => {
            let effort = png::PngEffort::default();
            (Format::Png, png::encode(pixels, effort, &plain))
        }
        false => {
            let options = jpeg::JpegOptions {
                quality: QUALITY,
                ..jpeg::JpegOptions::default()
            };
            (Format::Jpeg, jpeg::encode(pixels, &options, &plain))
        }
    };
    let blob = attempt
        .write(&[encoded.map_err(from_media)?.bytes])?
        .remove(0);
    let size = (pixels.width(), pixels.height());
    Ok(Output {
        facts: json!({ "width": size.0, "height": size.1 }),
        renditions: vec![own(attempt, COVER, format, Some(size), blob)],
        ..Output::default()
    })
}

/// Nothing is there for the steps that would go on from it.
fn without(attempt: &Attempt, reason: &str) -> Output {
    let steps = attempt.task.recipe.steps.iter().enumerate();
    let after = steps.filter(|(_, step)| {
        let goes_on = matches!(
            step.operation,
            Operation::Resize(_) | Operation::Placeholder
        );
        goes_on && step.needs.contains(&attempt.task.step)
    });
    Output {
        facts: json!({ "reason": reason }),
        expansions: after
            .map(|(step, _)| Expansion {
                step,
                tasks: 0,
                cost: attempt.task.cost,
            })
            .collect(),
        ..Output::default()
    }
}
