//! The sizes and bit rates that a film is made in.

use serde::{Deserialize, Serialize};

use super::FrameGrid;
use super::grid::divisor;
use super::pass_through::PassThrough;
use crate::video::VideoStream;

/// A source this much smaller than a rung still gets it, at its own size: 1920x1072 is 1080p.
const NEARLY: f64 = 1.12;
/// Encoders of newer codecs refuse pictures with a side shorter than this, in pixels.
const SIDE_MIN: u32 = 64;

/// The wanted rungs, in any order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ladder {
    /// The rungs.
    pub rungs: Vec<Rung>,
}

/// One wanted size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rung {
    /// What it is called: `720p`.
    pub name: String,
    /// Height in pixels of a 16:9 film; others get what fits into the same box, upright ones
    /// into the box on its side.
    pub height: u32,
    /// Most bits per second of the pictures, over any second.
    pub video_bit_rate: u32,
    /// Bits per second of the sound that goes with it.
    pub audio_bit_rate: u32,
    /// Most pictures per second.
    #[serde(default = "any_rate")]
    pub frame_rate_max: u32,
    /// What the pictures are coded in.
    #[serde(default)]
    pub codec: VideoCodec,
}

/// Codecs of pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VideoCodec {
    /// Plays everywhere.
    #[default]
    H264,
    /// H.265, by x265.
    Hevc,
    /// By libvpx.
    Vp9,
    /// By SVT-AV1.
    Av1,
}

impl VideoCodec {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::H264, Self::Hevc, Self::Vp9, Self::Av1];

    /// What people call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::H264 => "H.264",
            Self::Hevc => "HEVC",
            Self::Vp9 => "VP9",
            Self::Av1 => "AV1",
        }
    }

    /// ffmpeg's name of its encoder.
    pub(crate) const fn encoder(self) -> &'static str {
        match self {
            Self::H264 => "libx264",
            Self::Hevc => "libx265",
            Self::Vp9 => "libvpx-vp9",
            Self::Av1 => "libsvtav1",
        }
    }

    /// CPU time of a picture in units of what H.264's takes; measured at 360 lines.
    pub(crate) const fn cost(self) -> f64 {
        match self {
            Self::H264 => 1.0,
            Self::Hevc | Self::Av1 => 4.0,
            Self::Vp9 => 6.0,
        }
    }

    /// Pictures that its encoder may store ahead of their turn. The edit list says so, so it must
    /// be the same for all chunks; ours are told to hold back no more.
    pub(crate) const fn reordered(self) -> u32 {
        match self {
            Self::H264 | Self::Hevc => 2,
            Self::Vp9 | Self::Av1 => 0,
        }
    }
}

/// One rung that is made of a particular film.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedRung {
    /// What it is called.
    pub name: String,
    /// Even, in pixels.
    pub width: u32,
    /// Even, in pixels.
    pub height: u32,
    /// Most bits per second of the pictures.
    pub video_bit_rate: u32,
    /// Bits per second of the sound that goes with it.
    pub audio_bit_rate: u32,
    /// Of how many pictures of the grid one is kept.
    pub every: u32,
    /// What the pictures are coded in.
    pub codec: VideoCodec,
    /// That the source's own packets serve, and how. Without it the rung is encoded.
    #[serde(default)]
    pub pass_through: Option<PassThrough>,
}

impl PlannedRung {
    /// For how many pictures one may be stored ahead of its turn.
    pub(crate) fn reordered(&self) -> u32 {
        match self.pass_through {
            Some(taken) => taken.reordered,
            None => self.codec.reordered(),
        }
    }
}

impl Default for Ladder {
    fn default() -> Self {
        let rung = |name: &str, height, video, audio| Rung {
            name: name.into(),
            height,
            video_bit_rate: video,
            audio_bit_rate: audio,
            frame_rate_max: any_rate(),
            codec: VideoCodec::H264,
        };
        Self {
            rungs: vec![
                rung("360p", 360, 800_000, 96_000),
                rung("720p", 720, 2_500_000, 128_000),
                rung("1080p", 1080, 5_000_000, 192_000),
            ],
        }
    }
}

fn any_rate() -> u32 {
    u32::MAX
}

/// The rungs that `video` is large enough for, lowest first of each codec; at least one, of the film's own size
/// when it is smaller than all.
pub(super) fn rungs(video: &VideoStream, grid: &FrameGrid, ladder: &Ladder) -> Vec<PlannedRung> {
    let mut wanted: Vec<&Rung> = ladder.rungs.iter().collect();
    // The lowest of the codec that plays everywhere comes first: with it watching begins.
    wanted.sort_by_key(|rung| (rung.codec, rung.height));
    let size = (
        f64::from(video.display_width),
        f64::from(video.display_height),
    );
    let enlarged: Vec<f64> = wanted.iter().map(|rung| scale(size, rung.height)).collect();
    let mut planned: Vec<PlannedRung> = Vec::new();
    for (index, (rung, scale)) in wanted.iter().zip(&enlarged).enumerate() {
        if *scale > NEARLY && index > 0 {
            continue;
        }
        let side = |side: f64| ((side * scale.min(1.0) / 2.0).round() as u32 * 2).max(2);
        let (width, height) = (side(size.0), side(size.1));
        let codec = match width.min(height) < SIDE_MIN {
            true => VideoCodec::H264,
            false => rung.codec,
        };
        if planned
            .iter()
            .any(|p| (p.width, p.height, p.codec) == (width, height, codec))
        {
            continue;
        }
        planned.push(PlannedRung {
            name: rung.name.clone(),
            width,
            height,
            video_bit_rate: rung.video_bit_rate,
            audio_bit_rate: rung.audio_bit_rate,
            every: divisor(grid.rate, rung.frame_rate_max),
            codec,
            pass_through: None,
        });
    }
    planned
}

/// What a film of this size is multiplied by to fill the box of a rung.
fn scale((width, height): (f64, f64), rung: u32) -> f64 {
    let short = f64::from(rung);
    let long = (short * 16.0 / 9.0).round();
    (long / width.max(height)).min(short / width.min(height))
}
