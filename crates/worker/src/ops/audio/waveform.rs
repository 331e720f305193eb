//! `audio.waveform`: the shape of the wave, as figures for players to draw and as a picture.

use super::main_stream;
use crate::attempt::Attempt;
use crate::ops::failure::from_media;
use crate::ops::own;
use crate::ops::video::Film;
use crate::ops::video::film::ffmpeg;
use mediaflow_core::operation::Format;
use mediaflow_core::{ErrorCode, Failure};
use mediaflow_engine::store::Output;
use mediaflow_media::audio::waveform;
use mediaflow_media::image::encode::{Metadata, png};
use mediaflow_media::video::sound_reads;
use serde_json::json;

const PROFILE: &str = "waveform";
/// Pairs of peaks, about: enough for the widest screen.
const PAIRS: u32 = 4000;
/// The picture's width and height.
const PICTURE: (u32, u32) = (1600, 240);
/// A blue that can be seen on white and on black.
const COLOR: [u8; 3] = [0x4c, 0x86, 0xd9];

pub(super) fn run(attempt: &Attempt, film: &Film) -> Result<Output, Failure> {
    let ffmpeg = ffmpeg(attempt, 0)?;
    let info = film.seekable();
    let stream = main_stream(info)?;
    let source = film.open(attempt, &ffmpeg, &[sound_reads(info)])?;
    let wave = waveform(&ffmpeg, source.path(), info.container, stream, PAIRS)
        .map_err(|e| source.failed(attempt, e))?;
    let picture = wave.picture(PICTURE.0, PICTURE.1, COLOR);
    let drawn = png::encode(&picture, png::PngEffort::default(), &Metadata::default());
    let figures = serde_json::to_vec(&wave).map_err(|e| {
        let message = format!("the waveform cannot be written: {e}");
        Failure::permanent(ErrorCode::Internal, message)
    })?;
    let mut blobs = attempt.write(&[figures, drawn.map_err(from_media)?.bytes])?;
    let picture = blobs.remove(1);
    Ok(Output {
        facts: json!({ "length": wave.length, "samples_per_pixel": wave.samples_per_pixel }),
        renditions: vec![
            own(attempt, PROFILE, Format::Json, None, blobs.remove(0)),
            own(attempt, PROFILE, Format::Png, Some(PICTURE), picture),
        ],
        ..Output::default()
    })
}
