//! Decodes a piece that was made, before anybody is told that it is there.

use std::collections::BTreeSet;
use std::path::Path;

use super::{AudioSegment, init_segment};
use crate::MediaError;
use crate::video::plan::AudioPlan;
use crate::video::{Ffmpeg, verify_sound};

/// The plain name of the file that is decoded.
const FILE: &str = "verify.mp4";

/// Decodes all of `made`, segments as [`super::encode_piece`] gave them: each track at each bit rate must be whole,
/// without a gap and at its time.
///
/// # Errors
/// `encoder.failed` when it is not.
pub fn verify_piece(
    ffmpeg: &Ffmpeg,
    plan: &AudioPlan,
    made: &[AudioSegment],
    scratch: &Path,
) -> Result<(), MediaError> {
    let which: BTreeSet<(usize, usize)> = made.iter().map(|s| (s.track, s.rendition)).collect();
    let path = scratch.join(FILE);
    for (track, rendition) in which {
        let own = |s: &&AudioSegment| (s.track, s.rendition) == (track, rendition);
        let segments: Vec<_> = made.iter().filter(own).map(|s| &s.segment).collect();
        let (Some(first), Some(last)) = (segments.first(), segments.last()) else {
            continue;
        };
        let (start, end) = (
            plan.segment(first.index).start,
            plan.segment(last.index).end,
        );
        let mut bytes = init_segment(plan, track, rendition)?;
        for segment in &segments {
            bytes.extend_from_slice(&segment.bytes);
        }
        std::fs::write(&path, bytes)
            .map_err(|e| MediaError::scratch("scratch cannot be written", &e))?;
        let decoded = verify_sound(ffmpeg, &path, plan.sample_rate, start, end - start);
        let _ = std::fs::remove_file(&path);
        decoded?;
    }
    Ok(())
}
