//! ffmpeg's filters that put a track's sound onto the plan's clock.

use crate::video::plan::AudioTrack;

/// Samples of `track` from `first` up to `end` on the plan's clock at `sample_rate`: exactly so
/// many, silent where the source has none. Ends without a label.
pub(super) fn placed(
    track: &AudioTrack,
    sample_rate: u32,
    first: u64,
    end: u64,
    gain_db: f64,
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
    if track.has_unknown_layout {
        graph += "pan=stereo|c0=c0|c1=c1,";
    }
    // Gaps over a tenth of a second become silence, overlaps are cut.
    graph += &format!("aresample={sample_rate}:async=1:first_pts={first},");
    let layout = match track.channels {
        1 => "mono",
        6 => "5.1",
        _ => "stereo",
    };
    graph += &format!("aformat=sample_fmts=fltp:channel_layouts={layout},");
    if gain_db != 0.0 {
        graph += &format!("volume={gain_db:.2}dB,");
    }
    graph + &format!("apad,atrim=start_pts={first}:end_pts={end}")
}
