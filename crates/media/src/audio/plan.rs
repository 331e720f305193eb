//! Plans the sound of a recording that has no film. Pure: facts in, a plan out.

use crate::MediaError;
use crate::video::plan::{AUDIO_BLOCK, AudioPlan, audio_channels, audio_sample_rate, cut_audio};
use crate::video::{AudioStream, Container, MediaInfo};

/// Plans the sound of a recording without a film, in segments of about `segment_seconds`. Of `bit_rates`, which rise,
/// those are left out that would only make a source of fewer bits larger.
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
    let heard: Vec<_> = info.audio.iter().map(AudioStream::heard).collect();
    let start = heard.iter().map(|h| h.start).reduce(f64::min);
    let end = heard.iter().map(|h| h.end).reduce(f64::max);
    let (start, end) = start.zip(end).ok_or_else(none)?;
    // Up to the next whole block, so that nothing is lost at the end; a sample is no reason for one more.
    let blocks_per_second = f64::from(audio_sample_rate(info)) / f64::from(AUDIO_BLOCK);
    let blocks = ((end - start) * blocks_per_second - 0.001).ceil().max(1.0);
    cut_audio(
        info,
        start,
        blocks / blocks_per_second,
        f64::from(segment_seconds),
        worth(info, bit_rates),
        channels_max,
    )
    .ok_or_else(none)
}

/// The bit rates up to the first that has as many bits as the source, where that is compressed with losses.
fn worth<'a>(info: &MediaInfo, bit_rates: &'a [u32]) -> &'a [u32] {
    let is_lossless = |audio: &AudioStream| {
        let codec = audio.codec.as_str();
        codec.starts_with("pcm_") || matches!(codec, "flac" | "alac" | "truehd" | "mlp")
    };
    if info.audio.iter().any(is_lossless) {
        return bit_rates;
    }
    let most = info.audio.iter().map(|a| a.bit_rate).max().unwrap_or(0);
    let enough = bit_rates.iter().position(|&rate| u64::from(rate) >= most);
    &bit_rates[..enough.map_or(bit_rates.len(), |last| last + 1)]
}

/// Channels that `stream` has in a plan with so many at most.
pub fn channels(stream: &AudioStream, channels_max: u8) -> u8 {
    audio_channels(stream, channels_max)
}

/// Whether a recording must be remuxed before it can be cut: where a seek guesses by bytes, pieces would meet with a
/// click.
pub fn needs_index(info: &MediaInfo) -> bool {
    let finds_samples = matches!(
        info.container,
        Container::Wav | Container::Aiff | Container::Flac | Container::Ogg
    );
    !info.container.is_indexed() && !finds_samples
}
