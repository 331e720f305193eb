//! Sound: streams in pieces, loudness, the shape of its wave, cover art, files to take away.

mod adts;
mod cover;
mod download;
mod encode;
mod filters;
mod loudness;
mod waveform;

use crate::MediaError;
use crate::video::MediaInfo;
use crate::video::plan::AudioPlan;

pub use cover::{cover, has_cover};
pub use download::{Download, DownloadFormat, download};
pub use encode::{AudioSegment, encode_piece, init_segment};
pub use loudness::{Loudness, loudness};
pub use waveform::{Waveform, waveform};

/// Plans the sound of a recording without a film, in segments of about `segment_seconds`.
///
/// # Errors
/// `input.unsupported` when there is no sound.
pub fn plan(
    info: &MediaInfo,
    bit_rates: &[u32],
    segment_seconds: u32,
    channels_max: u8,
) -> Result<AudioPlan, MediaError> {
    let none = || MediaError::unsupported("there is no sound in it");
    let first = info.audio.first().ok_or_else(none)?;
    let (base, line) = (first.time_base.as_f64(), &first.timeline);
    crate::video::plan::cut_audio(
        info,
        line.first_pts as f64 * base,
        (line.end_pts - line.first_pts) as f64 * base,
        f64::from(segment_seconds),
        bit_rates,
        channels_max,
    )
    .ok_or_else(none)
}
