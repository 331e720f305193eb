//! `image.resize` and `image.watermark`: the baseline of every variant, JPEG or, where there is alpha, PNG.
//!
//! Pixels are encoded once: an asset that gets a mark has its sizes cut by the first and
//! encoded by the second, so that nothing without the mark ever exists as a rendition.

use super::source;
use super::writing::{Made, Notes, Wanted, produce, still, wanted};
use crate::attempt::Attempt;
use crate::ops::failure::from_media;
use crate::ops::on_thread;
use crate::threads::MediaThreads;
use mediaflow_core::Failure;
use mediaflow_core::operation::Format;
use mediaflow_engine::store::{NewRendition, Output};
use mediaflow_media::image::encode::{jpeg, png};
use serde_json::json;
use std::sync::Arc;

pub(crate) async fn resize(
    attempt: Arc<Attempt>,
    threads: &MediaThreads,
) -> Result<Output, Failure> {
    if attempt.task.settings.watermark.is_some() {
        // The file proves to be readable here; the step that marks decodes it again only where the
        // scratch was lost.
        on_thread(attempt, threads, |attempt| {
            source::pixels(attempt).map(drop)
        })
        .await?;
        return Ok(Output {
            facts: json!({ "encoded_by": "watermark" }),
            ..Output::default()
        });
    }
    Ok(Output {
        renditions: baseline(attempt, threads, None).await?,
        ..Output::default()
    })
}

pub(crate) async fn watermark(
    attempt: Arc<Attempt>,
    threads: &MediaThreads,
) -> Result<Output, Failure> {
    let mark = attempt.mark().await?;
    Ok(Output {
        renditions: baseline(attempt, threads, mark).await?,
        ..Output::default()
    })
}

async fn baseline(
    attempt: Arc<Attempt>,
    threads: &MediaThreads,
    mark: Option<Vec<u8>>,
) -> Result<Vec<NewRendition>, Failure> {
    let quality = attempt.task.recipe.resize().map_or(87, |r| r.jpeg_quality);
    let wanted = wanted(&attempt, |_| json!({ "baseline": quality }));
    produce(attempt, threads, wanted, move |attempt, missing| {
        encode(attempt, missing, mark.as_deref(), quality)
    })
    .await
}

fn encode(
    attempt: &Attempt,
    missing: Vec<Wanted>,
    mark: Option<&[u8]>,
    quality: u8,
) -> Result<Vec<Made>, Failure> {
    let sizes = source::sizes(attempt, mark)?;
    let source = source::pixels(attempt)?;
    let notes = Notes::of(attempt, source.icc.clone())?;
    let options = jpeg::JpegOptions {
        quality,
        ..jpeg::JpegOptions::default()
    };
    // One format for all sizes, decided by the source: a crop without alpha is still a PNG.
    let has_alpha = source.is_transparent();
    let mut made = Vec::with_capacity(missing.len());
    for wanted in missing {
        attempt.check()?;
        let pixels = &sizes[wanted.variant];
        let (format, encoded) = if has_alpha {
            (
                Format::Png,
                png::encode(pixels, png::PngEffort::default(), &notes.as_metadata()),
            )
        } else {
            (
                Format::Jpeg,
                jpeg::encode(pixels, &options, &notes.as_metadata()),
            )
        };
        let size = (pixels.width(), pixels.height());
        made.push(still(wanted, format, size, encoded.map_err(from_media)?));
    }
    Ok(made)
}
