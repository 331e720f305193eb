//! Whether a film is already what a rung should be, so that its packets can be cut into segments
//! without encoding anything again.

use serde::{Deserialize, Serialize};

use super::{FrameGrid, PlannedRung, PlannedSource, VideoCodec};
use crate::video::{Container, Orientation, VideoStream};

/// Profiles that every player of H.264 decodes.
const PROFILES: [&str; 3] = ["Constrained Baseline", "Main", "High"];
/// Most pictures that H.264 lets a decoder hold back.
const REORDERED_MAX: u32 = 16;

/// How the source's own packets serve as a rung.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassThrough {
    /// For how many pictures one is stored ahead of its turn at most.
    pub reordered: u32,
}

/// What a source offers whose packets could serve.
pub(super) struct Offer {
    size: (u32, u32),
    bit_rate_peak: u64,
    reordered: u32,
}

impl Offer {
    /// Nothing where a picture must be touched, or a segment could not begin where it should:
    /// H.264 of 8 bits in 4:2:0, in BT.709, upright, of square pixels, not interlaced, at the
    /// grid's constant rate, with closed groups and a key picture at each border.
    pub(super) fn of(
        video: &VideoStream,
        source: &PlannedSource,
        grid: &FrameGrid,
        segment_frames: u32,
    ) -> Option<Self> {
        let line = &video.timeline;
        let layout = line.layout?;
        let is_plain = |value: &Option<String>| value.as_deref().is_none_or(|v| v == "bt709");
        let is_shown_as_it_is = video.orientation == Orientation::default()
            && video.sample_aspect.num == video.sample_aspect.den
            && !source.deinterlace
            && source.tone_map.is_none()
            && source.matrix == "bt709"
            && !source.full_range
            && is_plain(&video.color.primaries)
            && is_plain(&video.color.transfer);
        let is_decoded_everywhere = video.codec == "h264"
            && video.hdr.is_none()
            && video.pixel_format.as_deref() == Some("yuv420p")
            && video
                .profile
                .as_deref()
                .is_some_and(|p| PROFILES.contains(&p));
        // Other containers round times, or let the stream change its parameters on the way.
        let is_exact = source.container == Container::Mov
            && grid.rate == video.frame_rate
            && grid.total == line.frames
            && layout.is_closed
            && layout.reordered <= REORDERED_MAX;
        let borders = (0..grid.total).step_by(segment_frames as usize);
        let keys: Vec<u64> = line
            .key_pts
            .iter()
            .map(|&pts| source.picture(pts, grid))
            .collect();
        (is_shown_as_it_is
            && is_decoded_everywhere
            && is_exact
            && borders.into_iter().all(|b| keys.binary_search(&b).is_ok()))
        .then_some(Self {
            size: (video.width, video.height),
            bit_rate_peak: layout.bit_rate_peak,
            reordered: layout.reordered,
        })
    }

    /// Whether it serves as `rung`.
    pub(super) fn serves(&self, rung: &PlannedRung) -> Option<PassThrough> {
        let fits = rung.codec == VideoCodec::H264
            && rung.every == 1
            && self.size == (rung.width, rung.height)
            && self.bit_rate_peak <= u64::from(rung.video_bit_rate);
        fits.then_some(PassThrough {
            reordered: self.reordered,
        })
    }
}
