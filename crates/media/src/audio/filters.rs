//! ffmpeg's filters that put a track's sound onto the plan's clock.

use super::Level;
use crate::video::AudioStream;
use crate::video::plan::{AudioTrack, unknown_channels};

/// A stream as it sounds in so many channels. Ends with a comma.
pub(super) fn in_channels(stream: &AudioStream, channels: u8) -> String {
    let known = unknown_channels(stream).map(mixed).unwrap_or_default();
    let layout = layout(channels);
    format!("{known}aformat=sample_fmts=fltp:channel_layouts={layout},")
}

/// Samples of `track` from `first` up to `end` on the plan's clock at `sample_rate`: exactly so
/// many, silent where the source has none. Ends without a label.
pub(super) fn placed(
    track: &AudioTrack,
    sample_rate: u32,
    first: u64,
    end: u64,
    level: Level,
) -> String {
    let rate = track.source_rate;
    let zero = (track.start_seconds * f64::from(rate)).round() as i64;
    let mut graph = format!("[0:{}]asettb=1/{rate},", track.stream);
    let seconds_per_tick = track.time_base.as_f64();
    let time = match track.packet_samples {
        // Containers round times; where packets follow each other regularly the true ones are
        // known, and using them keeps pieces from meeting a fraction of a millisecond off.
        Some(samples) => {
            let base = track.first_pts as f64 * seconds_per_tick * f64::from(rate);
            let near = (seconds_per_tick * f64::from(rate)).max(1.0) + 1.0;
            let exact = format!("{base:.3}+round((PTS-{base:.3})/{samples})*{samples}");
            format!("if(lt(abs(PTS-({exact}))\\,{near:.3})\\,round({exact})\\,PTS)")
        }
        None => "PTS".to_owned(),
    };
    graph += &format!("asetpts={time}-({zero}),");
    if let Some(channels) = track.unknown_channels {
        graph += &mixed(channels);
    }
    let (source_from, from) = resampled_from(rate, sample_rate, first);
    graph += &format!("atrim=start_pts={source_from},");
    // Gaps over a tenth of a second become silence, overlaps are cut.
    graph += &format!("aresample={sample_rate}:async=1:first_pts={from},");
    let layout = layout(track.channels);
    graph += &format!("aformat=sample_fmts=fltp:channel_layouts={layout},");
    graph += &level.filters(sample_rate);
    graph + &format!("apad,atrim=start_pts={first}:end_pts={end}")
}

/// What ffmpeg calls the layout of a result.
pub(super) fn layout(channels: u8) -> &'static str {
    match channels {
        1 => "mono",
        6 => "5.1",
        _ => "stereo",
    }
}

/// The last moment well before sample `first` that is a whole number of samples at both rates, in each of them.
/// Resampling from there on gives all pieces the very same samples; left to itself the resampler begins up to a
/// packet too late.
fn resampled_from(source_rate: u32, sample_rate: u32, first: u64) -> (u64, u64) {
    const WELL_BEFORE: u64 = 2048;
    let (mut a, mut b) = (u64::from(source_rate), u64::from(sample_rate));
    while b != 0 {
        (a, b) = (b, a % b);
    }
    let steps = first.saturating_sub(WELL_BEFORE) / (u64::from(sample_rate) / a);
    (
        steps * (u64::from(source_rate) / a),
        steps * (u64::from(sample_rate) / a),
    )
}

/// Two channels out of `channels` of which nobody knows where they belong: the first two are left and right as they
/// are everywhere, and the others are heard on both sides, as loud together as one of them.
fn mixed(channels: u32) -> String {
    let each = 0.7 / f64::from(channels.saturating_sub(2).max(1)).sqrt();
    let others: String = (2..channels).map(|n| format!("+{each:.3}*c{n}")).collect();
    format!("pan=stereo|c0=0.7*c0{others}|c1=0.7*c1{others},")
}
