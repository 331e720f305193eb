//! Decides how a film becomes streams. Pure: facts and settings in, a plan out, no process run.
//!
//! A plan is frozen once made. Every chunk is a function of the source and the plan, so it can be
//! made anywhere, any number of times, and still fits its neighbours.

mod audio;
mod chunks;
mod grid;
mod ladder;
mod packaging;
mod pass_through;
mod source;

use serde::{Deserialize, Serialize};

use super::MediaInfo;
use crate::MediaError;

pub use audio::{AudioPiece, AudioPlan, AudioRendition, AudioTrack};
pub(crate) use audio::{
    BLOCK as AUDIO_BLOCK, channels as audio_channels, cut as cut_audio,
    sample_rate as audio_sample_rate, unknown_channels,
};
pub use chunks::Chunk;
pub use grid::FrameGrid;
pub use ladder::{Ladder, PlannedRung, Rung, VideoCodec};
pub use packaging::Packaging;
pub use pass_through::PassThrough;
pub use source::{PlannedSource, ToneMap};

/// What the recipe wants.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PlanSettings {
    /// The rungs to make where the source is large enough.
    pub ladder: Ladder,
    /// Length of a segment, in seconds.
    pub segment_seconds: u32,
    /// Most pictures per second of any rung.
    pub frame_rate_max: u32,
    /// CPU seconds that one chunk should take, which sets its length.
    pub chunk_cpu_seconds: u32,
    /// Processors that make it. Where they need longer for all rungs than the film lasts, the lowest
    /// rung gets chunks of its own, to be made before all others.
    pub processors: u32,
    /// x264's preset.
    pub preset: String,
    /// x264's constant quality, 0 to 51; smaller is better and larger.
    pub crf: u8,
    /// Most channels of sound: 2 mixes surround down, 6 keeps 5.1.
    pub audio_channels_max: u8,
    /// Whether a source that is already what a rung should be serves as it is.
    pub pass_through: bool,
    /// What segments are wrapped in.
    pub packaging: Packaging,
}

impl Default for PlanSettings {
    fn default() -> Self {
        Self {
            ladder: Ladder::default(),
            segment_seconds: 6,
            frame_rate_max: 60,
            chunk_cpu_seconds: 60,
            processors: 4,
            preset: "veryfast".into(),
            crf: 23,
            audio_channels_max: 2,
            pass_through: true,
            packaging: Packaging::default(),
        }
    }
}

/// How one film becomes streams.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The build of ffmpeg that must make all chunks: others may write other headers.
    pub encoder: String,
    /// What is read and how it is brought into shape.
    pub source: PlannedSource,
    /// When the pictures of the result are shown.
    pub grid: FrameGrid,
    /// Pictures per segment, at the grid's rate.
    pub segment_frames: u32,
    /// How many segments each rung has.
    pub segments: u32,
    /// What is made, lowest first.
    pub rungs: Vec<PlannedRung>,
    /// The tasks, in the order in which they should be made.
    pub chunks: Vec<Chunk>,
    /// x264's preset.
    pub preset: String,
    /// x264's constant quality.
    pub crf: u8,
    /// The sound; absent when there is none.
    pub audio: Option<AudioPlan>,
    /// Seconds between two pictures of the storyboard.
    pub storyboard_seconds: f64,
    /// What segments are wrapped in.
    #[serde(default)]
    pub packaging: Packaging,
}

/// Plans the first film of `info`, to be encoded by the ffmpeg of this `encoder` version.
///
/// The source must be in a container with an index; see [`super::needs_index`].
///
/// # Errors
/// `input.unsupported` when there is no film, or one in a Dolby Vision profile that has no base
/// layer others can show; `internal` when the container has no index.
pub fn plan(info: &MediaInfo, settings: &PlanSettings, encoder: &str) -> Result<Plan, MediaError> {
    let video = info
        .video
        .first()
        .ok_or_else(|| MediaError::unsupported("there is no film in it"))?;
    if super::needs_index(info) {
        return Err(MediaError {
            code: "internal",
            message: "a film without an index cannot be cut; it must be remuxed first".into(),
            kind: crate::ErrorKind::Permanent,
        });
    }
    let source = PlannedSource::of(info.container, video)?;
    let grid = FrameGrid::of(video, settings.frame_rate_max);
    let mut rungs = ladder::rungs(video, &grid, &settings.ladder);
    for rung in &mut rungs {
        rung.video_bit_rate = rung.video_bit_rate.min(affordable(video.bit_rate));
    }
    let segment_frames = grid.segment_frames(settings.segment_seconds, &rungs);
    let segments = grid.total.div_ceil(u64::from(segment_frames)) as u32;
    if settings.pass_through {
        let offer = pass_through::Offer::of(video, &source, &grid, segment_frames);
        for rung in &mut rungs {
            rung.pass_through = offer.as_ref().and_then(|offer| offer.serves(rung));
        }
    }
    let chunks = chunks::cut(&grid, segment_frames, segments, &rungs, settings);
    let audio = audio::plan(info, &source, &grid, segment_frames, settings);
    Ok(Plan {
        encoder: encoder.to_owned(),
        storyboard_seconds: storyboard_interval(grid.seconds()),
        source,
        grid,
        segment_frames,
        segments,
        rungs,
        chunks,
        preset: settings.preset.clone(),
        crf: settings.crf,
        audio,
        packaging: settings.packaging,
    })
}

impl Plan {
    /// The pictures of a segment, as numbers on the grid.
    pub fn segment(&self, index: u32) -> std::ops::Range<u64> {
        let start = u64::from(index) * u64::from(self.segment_frames);
        start..(start + u64::from(self.segment_frames)).min(self.grid.total)
    }

    /// The pictures of a chunk, as numbers on the grid.
    pub fn frames(&self, chunk: &Chunk) -> std::ops::Range<u64> {
        let last = chunk.first_segment + chunk.segments - 1;
        self.segment(chunk.first_segment).start..self.segment(last).end
    }

    /// Of how many pictures one is in every rung.
    pub(crate) fn pictures_shared(&self) -> u64 {
        grid::shared(&self.rungs).into()
    }

    /// Length of the longest segment in whole seconds, rounded: HLS' TARGETDURATION.
    pub fn target_duration(&self) -> u32 {
        let frames = self.segment(0).end;
        ((frames as f64 / self.grid.rate.as_f64()).round() as u32).max(1)
    }
}

/// Bits of a rung for each bit of the source, beyond what anything may have: a few bytes can say "film grain" or "the
/// same again" for hours.
const BITS_PER_BIT: u64 = 100;
const BITS_FOR_ANYTHING: u64 = 400_000;

/// Most bits per second of a rung of a source with so many.
fn affordable(source_bit_rate: u64) -> u32 {
    let bits = source_bit_rate.saturating_mul(BITS_PER_BIT);
    u32::try_from(bits.saturating_add(BITS_FOR_ANYTHING)).unwrap_or(u32::MAX)
}

/// Two seconds for a short film, more for a long one, so that there are about 200 pictures.
fn storyboard_interval(seconds: f64) -> f64 {
    [1.0, 2.0, 5.0, 10.0, 20.0, 30.0]
        .into_iter()
        .find(|interval| seconds / interval <= 200.0)
        .unwrap_or_else(|| (seconds / 200.0).ceil())
}
