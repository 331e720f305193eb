//! When the pictures of the result are shown: one constant rate for the whole film, whatever the
//! source's is, so that a chunk knows its pictures without knowing those before.

use serde::{Deserialize, Serialize};

use super::PlannedRung;
use crate::video::{Ratio, VideoStream};

/// Clocks coarser than this make bitstream analysers complain of rounded durations.
const TIMESCALE_MIN: u32 = 10_000;

/// A constant rate and a number of pictures. Picture 0 is the source's first one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameGrid {
    /// Pictures per second.
    pub rate: Ratio,
    /// How many pictures there are.
    pub total: u64,
    /// Ticks per second of the result.
    pub timescale: u32,
    /// Ticks per picture, exactly.
    pub frame_ticks: u32,
}

impl FrameGrid {
    pub(super) fn of(video: &VideoStream, frame_rate_max: u32) -> Self {
        let every = divisor(video.frame_rate, frame_rate_max);
        let rate = Ratio::new(
            video.frame_rate.num,
            video.frame_rate.den.saturating_mul(every),
        )
        .unwrap_or(video.frame_rate);
        let line = &video.timeline;
        let total = if line.constant_rate && every == 1 {
            line.frames
        } else {
            let seconds = (line.end_pts - line.first_pts) as f64 * video.time_base.as_f64();
            (seconds * rate.as_f64()).round() as u64
        };
        let finer = TIMESCALE_MIN.div_ceil(rate.num);
        Self {
            rate,
            total: total.max(1),
            timescale: rate.num * finer,
            frame_ticks: rate.den * finer,
        }
    }

    /// Length of the whole result.
    pub fn seconds(&self) -> f64 {
        self.total as f64 / self.rate.as_f64()
    }

    /// As many pictures as come nearest to the wanted length and can be thinned out evenly for
    /// each rung, so that all rungs have the same borders.
    pub(super) fn segment_frames(&self, seconds: u32, rungs: &[PlannedRung]) -> u32 {
        let even = shared(rungs);
        let wanted = f64::from(seconds) * self.rate.as_f64() / f64::from(even);
        (wanted.round() as u32).max(1) * even
    }
}

/// Of how many pictures one is kept so that at most `max` remain per second. A whole number, as
/// other rates would show some pictures longer than others.
pub(super) fn divisor(rate: Ratio, max: u32) -> u32 {
    // 59.94 and 60.00 both count as 60.
    ((rate.as_f64() / f64::from(max.max(1)) - 0.01).ceil() as u32).max(1)
}

/// Of how many pictures one is in every rung.
pub(super) fn shared(rungs: &[PlannedRung]) -> u32 {
    rungs.iter().map(|rung| rung.every).fold(1, lcm)
}

fn lcm(a: u32, b: u32) -> u32 {
    let (mut x, mut y) = (a, b);
    while y != 0 {
        (x, y) = (y, x % y);
    }
    a / x * b
}
