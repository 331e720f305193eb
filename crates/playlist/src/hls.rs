//! HLS playlists (RFC 8216 and its second edition) as text. Pure: nothing is read or run.
//!
//! Knows segments and addresses as they are given; who serves them, and under which address a
//! playlist itself is found, is for the caller.

mod master;
mod media;
pub mod mpeg_ts;

pub use master::{AudioVariant, CaptionsVariant, KeyFrameVariant, Master, VideoVariant};
pub use media::{
    MediaPlaylist, PlaylistKind, PlaylistSegment, Setup, captions_playlist, key_frame_playlist,
};

/// Most bits per second over any segment, and the mean over all: BANDWIDTH, AVERAGE-BANDWIDTH.
///
/// `segments` are (bytes, seconds) pairs. HLS lets short segments at the end be left out of the
/// peak, as a few bytes over nothing would say little: those under half the longest are. The peak is never below the mean.
pub fn bandwidth(segments: &[(u64, f64)]) -> (u64, u64) {
    let longest = segments.iter().map(|s| s.1).fold(0.0, f64::max);
    let peak = segments
        .iter()
        .filter(|(_, seconds)| *seconds * 2.0 >= longest && *seconds > 0.0)
        .map(|(bytes, seconds)| (*bytes as f64 * 8.0 / seconds).ceil() as u64)
        .max();
    let bytes: u64 = segments.iter().map(|s| s.0).sum();
    let seconds: f64 = segments.iter().map(|s| s.1).sum();
    let mean = (bytes as f64 * 8.0 / seconds.max(0.001)).ceil() as u64;
    (peak.map_or(mean, |peak| peak.max(mean)), mean)
}
