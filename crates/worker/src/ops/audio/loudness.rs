//! `audio.loudness`: how loud each stream is, and so by how much all of it is turned up or down.

use crate::attempt::Attempt;
use crate::ops::video::Film;
use crate::ops::video::film::{ffmpeg, recorded, unreadable};
use mediaflow_core::operation::Loudness;
use mediaflow_core::{Failure, Operation};
use mediaflow_engine::store::Output;
use mediaflow_media::audio::{self, Evened, Level};
use mediaflow_media::video;
use mediaflow_media::video::plan::AudioPlan;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeSet;

/// The operation under which it is recorded.
const LOUDNESS: &str = "audio.loudness";

/// One stream as it sounds in so many channels.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Measured {
    /// Its number in the file.
    stream: u32,
    channels: u8,
    #[serde(flatten)]
    found: Evened,
}

pub(super) fn run(attempt: &Attempt, film: &Film, wanted: Loudness) -> Result<Output, Failure> {
    let ffmpeg = ffmpeg(attempt, 0)?;
    let info = film.seekable();
    let source = film.open(attempt, &ffmpeg, &[video::sound_reads(info)])?;
    let path = source.path();
    let mut tracks = Vec::new();
    for stream in &info.audio {
        for channels in mixes(attempt, stream) {
            attempt.check()?;
            let target = (wanted.target_lufs, wanted.true_peak_dbtp);
            let found = audio::even(&ffmpeg, path, info.container, stream, channels, target)
                .map_err(|e| source.failed(attempt, e))?;
            tracks.push(Measured {
                stream: stream.index,
                channels,
                found,
            });
        }
    }
    Ok(Output {
        facts: json!({
            "target_lufs": wanted.target_lufs,
            "true_peak_dbtp": wanted.true_peak_dbtp,
            "tracks": tracks,
        }),
        ..Output::default()
    })
}

/// The channels in which the recipe makes this stream: mixing down changes how loud it is.
fn mixes(attempt: &Attempt, stream: &mediaflow_media::video::AudioStream) -> BTreeSet<u8> {
    let steps = attempt.task.recipe.steps.iter();
    steps
        .filter_map(|step| match &step.operation {
            Operation::AudioPlan(wanted) => Some(audio::channels(stream, wanted.channels)),
            Operation::AudioDownload(_) => Some(audio::download_channels(stream)),
            Operation::VideoPlan(ladder) => Some(audio::channels(stream, ladder.channels_max)),
            _ => None,
        })
        .collect()
}

/// What is done to each stream; nothing where the recipe does not measure.
#[derive(Debug, Default)]
pub(crate) struct Levels(Vec<Measured>);

impl Levels {
    /// Asks the store for it.
    pub(crate) async fn found(attempt: &Attempt) -> Result<Self, Failure> {
        let measures = |o: &Operation| matches!(o, Operation::AudioLoudness(_));
        let mut steps = attempt.task.recipe.steps.iter();
        if !steps.any(|s| measures(&s.operation)) {
            return Ok(Self::default());
        }
        let mut facts = recorded(attempt, LOUDNESS).await?;
        let tracks = serde_json::from_value(facts["tracks"].take());
        tracks.map(Self).map_err(unreadable)
    }

    /// Of one stream in so many channels.
    pub(crate) fn of(&self, stream: u32, channels: u8) -> Level {
        let is_it = |m: &&Measured| m.stream == stream && m.channels == channels;
        self.0
            .iter()
            .find(is_it)
            .map(|m| m.found.level)
            .unwrap_or_default()
    }

    /// One for each track of a plan.
    pub(crate) fn of_plan(&self, plan: &AudioPlan) -> Vec<Level> {
        let tracks = plan.tracks.iter();
        tracks.map(|t| self.of(t.stream, t.channels)).collect()
    }
}
