//! Which sound is made, and where it is cut: at the block of AAC nearest to each border of the
//! film's segments.

use serde::{Deserialize, Serialize};

use super::{FrameGrid, PlanSettings, PlannedSource};
use crate::video::{AudioStream, Container, MediaInfo, Ratio};

/// Samples in one block of AAC.
pub(crate) const BLOCK: u32 = 1024;
/// Segments that the first piece has, so that sound is there as early as the film.
const FIRST_PIECE: u32 = 2;
/// Segments of each further piece: five minutes.
const PIECE: u32 = 50;

/// All sound of a result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AudioPlan {
    /// Samples, and ticks, per second.
    pub sample_rate: u32,
    /// Blocks of 1,024 samples in the whole; sound beyond the film's end is cut, and silence is
    /// added up to it.
    pub blocks: u64,
    /// The first block of each segment.
    pub segment_starts: Vec<u64>,
    /// One for each stream of the source.
    pub tracks: Vec<AudioTrack>,
    /// The tasks; each makes all tracks and bit rates of its segments.
    pub pieces: Vec<AudioPiece>,
}

/// One stream of the source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AudioTrack {
    /// Its number in the file.
    pub stream: u32,
    /// What it is read from.
    pub container: Container,
    /// Seconds per tick of the stream.
    pub time_base: Ratio,
    /// Samples per second of the source.
    pub source_rate: u32,
    /// The tick of its first packet.
    pub first_pts: i64,
    /// Samples per packet, where packets follow each other without a gap.
    pub packet_samples: Option<u32>,
    /// How many channels the source has, where nobody knows where they belong.
    pub unknown_channels: Option<u32>,
    /// Seconds on the source's clock at which the result begins.
    pub start_seconds: f64,
    /// Channels of the result.
    pub channels: u8,
    /// ISO 639-2.
    pub language: Option<String>,
    /// What players show to choose from.
    pub name: String,
    /// Whether players choose it by themselves; true for exactly one.
    pub is_default: bool,
    /// The bit rates, rising.
    pub renditions: Vec<AudioRendition>,
}

/// One bit rate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudioRendition {
    /// Bits per second.
    pub bit_rate: u32,
}

/// Whole segments of sound, made by one task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudioPiece {
    /// Number of the first segment, from 0.
    pub first_segment: u32,
    /// How many segments.
    pub segments: u32,
}

impl AudioPlan {
    /// The blocks of a segment.
    pub fn segment(&self, index: u32) -> std::ops::Range<u64> {
        let at = index as usize;
        let end = self.segment_starts.get(at + 1).copied();
        self.segment_starts[at]..end.unwrap_or(self.blocks)
    }

    /// How many segments there are.
    pub fn segments(&self) -> u32 {
        self.segment_starts.len() as u32
    }
}

pub(super) fn plan(
    info: &MediaInfo,
    source: &PlannedSource,
    grid: &FrameGrid,
    segment_frames: u32,
    settings: &PlanSettings,
) -> Option<AudioPlan> {
    let mut rates: Vec<u32> = settings
        .ladder
        .rungs
        .iter()
        .map(|rung| rung.audio_bit_rate)
        .collect();
    rates.sort_unstable();
    rates.dedup();
    let segment = f64::from(segment_frames) / grid.rate.as_f64();
    cut(
        info,
        source.start_seconds(),
        grid.seconds(),
        segment,
        &rates,
        settings.audio_channels_max,
    )
}

/// The sound of `info` from `start` (seconds on the source's clock), `seconds` long, in segments
/// of `segment` seconds.
pub(crate) fn cut(
    info: &MediaInfo,
    start: f64,
    seconds: f64,
    segment: f64,
    bit_rates: &[u32],
    channels_max: u8,
) -> Option<AudioPlan> {
    if info.audio.is_empty() || bit_rates.is_empty() {
        return None;
    }
    let default = info.audio.iter().position(|a| a.is_default).unwrap_or(0);
    let tracks: Vec<AudioTrack> = info
        .audio
        .iter()
        .enumerate()
        .map(|(n, audio)| AudioTrack {
            stream: audio.index,
            container: info.container,
            time_base: audio.time_base,
            source_rate: audio.sample_rate,
            first_pts: audio.timeline.first_pts,
            packet_samples: audio.timeline.packet_samples,
            unknown_channels: unknown_channels(audio),
            start_seconds: start,
            channels: channels(audio, channels_max),
            language: audio.language.clone(),
            name: name(audio, n),
            is_default: n == default,
            renditions: bit_rates
                .iter()
                .map(|&bit_rate| AudioRendition { bit_rate })
                .collect(),
        })
        .collect();
    let sample_rate = sample_rate(info);
    let blocks_per_second = f64::from(sample_rate) / f64::from(BLOCK);
    let blocks = ((seconds * blocks_per_second).round() as u64).max(1);
    let segment_starts: Vec<u64> = (0u32..)
        .map(|n| (f64::from(n) * segment * blocks_per_second).round() as u64)
        .take_while(|start| *start < blocks)
        .collect();
    let exact = info.audio.iter().all(|audio| cuts_exactly(info, audio));
    let pieces = pieces(segment_starts.len() as u32, exact);
    Some(AudioPlan {
        sample_rate,
        blocks,
        segment_starts,
        tracks,
        pieces,
    })
}

/// One rate for all tracks, so that their segments have the same borders.
pub(crate) fn sample_rate(info: &MediaInfo) -> u32 {
    match info.audio.iter().all(|a| a.sample_rate % 11_025 == 0) {
        true => 44_100,
        false => 48_000,
    }
}

/// 5.1 where it is wanted and there, else what stereo can hold.
pub(crate) fn channels(audio: &AudioStream, max: u8) -> u8 {
    match audio.channels {
        1 => 1,
        6.. if max >= 6 => 6,
        _ => max.clamp(1, 2),
    }
}

fn name(audio: &AudioStream, position: usize) -> String {
    let title = audio.title.clone().or_else(|| audio.language.clone());
    // It becomes a quoted string of a playlist, which has no way to escape.
    let title = title.map(|t| t.replace(['"', '\n', '\r'], " "));
    match (title, position) {
        (Some(title), 0) => title,
        (Some(title), n) => format!("{title} ({})", n + 1),
        (None, 0) => "Audio".into(),
        (None, n) => format!("Audio {}", n + 1),
    }
}

/// How many channels there are, where nobody knows where they belong. Layouts that have a name can be mixed; so can
/// what has as many channels as a usual one.
pub(crate) fn unknown_channels(audio: &AudioStream) -> Option<u32> {
    let named = audio
        .channel_layout
        .as_deref()
        .is_some_and(|layout| !layout.contains("channels"));
    (!named && !matches!(audio.channels, 1..=8)).then_some(audio.channels)
}

/// Whether reading can begin anywhere and know to the sample where it is.
fn cuts_exactly(info: &MediaInfo, audio: &AudioStream) -> bool {
    let seekable = info.container.is_indexed()
        || matches!(
            info.container,
            Container::Wav | Container::Aiff | Container::Flac | Container::Ogg
        );
    let fine = f64::from(audio.sample_rate) * audio.time_base.as_f64() <= 1.0;
    seekable && (fine || audio.timeline.packet_samples.is_some())
}

/// All in one where pieces would meet with a click: sound is encoded a hundred times faster than
/// it is heard, so only a crash makes that dear.
fn pieces(segments: u32, exact: bool) -> Vec<AudioPiece> {
    let mut pieces = Vec::new();
    let mut at = 0;
    while at < segments {
        let length = match at {
            _ if !exact => segments,
            0 => FIRST_PIECE,
            _ => PIECE,
        };
        let length = length.min(segments - at);
        pieces.push(AudioPiece {
            first_segment: at,
            segments: length,
        });
        at += length;
    }
    pieces
}
