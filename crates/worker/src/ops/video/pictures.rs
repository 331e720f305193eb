//! `video.poster` and `video.storyboard`: pictures of a film, from its key frames alone.

use super::film::{Film, ffmpeg};
use crate::attempt::Attempt;
use crate::ops::failure::from_media;
use crate::ops::own;
use mediaflow_core::Failure;
use mediaflow_core::operation::{Format, POSTER_SIDE_MAX};
use mediaflow_engine::store::{NewRendition, Output};
use mediaflow_media::image::Pixels;
use mediaflow_media::image::encode::{Metadata, jpeg};
use mediaflow_media::video::{self, Plan};
use serde_json::json;

/// The profile of the picture that stands for a video.
pub(crate) const POSTER: &str = "poster";
/// Nothing is lost that its variants could show.
const POSTER_QUALITY: u8 = 95;
const SHEET_QUALITY: u8 = 70;

pub(super) fn poster(attempt: &Attempt, film: &Film) -> Result<Output, Failure> {
    let ffmpeg = ffmpeg(attempt, 0)?;
    let info = film.seekable();
    let reads = video::poster_reads(info).map_err(from_media)?;
    let source = film.open(attempt, &ffmpeg, &reads)?;
    let moment = video::poster(&ffmpeg, source.path(), info, POSTER_SIDE_MAX as u32)
        .map_err(|e| source.failed(attempt, e))?;
    Ok(Output {
        facts: json!({ "time_us": moment.time_us }),
        renditions: store(
            attempt,
            vec![(POSTER.into(), moment.pixels)],
            POSTER_QUALITY,
        )?,
        ..Output::default()
    })
}

pub(super) fn storyboard(attempt: &Attempt, film: &Film, plan: &Plan) -> Result<Output, Failure> {
    let ffmpeg = ffmpeg(attempt, 1)?;
    let (info, interval) = (film.seekable(), plan.storyboard_seconds);
    let reads = video::storyboard_reads(info, interval).map_err(from_media)?;
    let source = film.open(attempt, &ffmpeg, &reads)?;
    let made = video::storyboard(&ffmpeg, source.path(), info, interval)
        .map_err(|e| source.failed(attempt, e))?;
    let uris = (0..made.sheets.len()).map(|n| format!("storyboard-{n}.jpg"));
    let vtt = made.manifest.webvtt(&uris.collect::<Vec<_>>());
    let sheets = made.sheets.into_iter().enumerate();
    let sheets = sheets.map(|(n, pixels)| (format!("storyboard-{n}"), pixels));
    Ok(Output {
        facts: json!({ "manifest": made.manifest, "vtt": vtt }),
        renditions: store(attempt, sheets.collect(), SHEET_QUALITY)?,
        ..Output::default()
    })
}

fn store(
    attempt: &Attempt,
    pictures: Vec<(String, Pixels)>,
    quality: u8,
) -> Result<Vec<NewRendition>, Failure> {
    let options = jpeg::JpegOptions {
        quality,
        ..jpeg::JpegOptions::default()
    };
    let files = pictures
        .iter()
        .map(|(_, pixels)| jpeg::encode(pixels, &options, &Metadata::default()).map(|e| e.bytes))
        .collect::<Result<Vec<_>, _>>()
        .map_err(from_media)?;
    let blobs = attempt.write(&files)?;
    let made = pictures.into_iter().zip(blobs);
    Ok(made
        .map(|((profile, pixels), blob)| {
            let size = (pixels.width(), pixels.height());
            own(attempt, &profile, Format::Jpeg, Some(size), blob)
        })
        .collect())
}
