//! What segments are wrapped in.

use serde::{Deserialize, Serialize};

use crate::MediaError;
use crate::ts;
use crate::video::{Container, Segment};

/// A form of segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Packaging {
    /// Fragments of MP4 with an initialisation segment: HLS and DASH.
    #[default]
    Cmaf,
    /// MPEG-2 transport streams, for old players of HLS.
    MpegTs,
}

impl Packaging {
    /// What segments behind each other (CMAF: behind their initialisation segment) can be read as.
    pub fn container(self) -> Container {
        match self {
            Self::Cmaf => Container::Mov,
            Self::MpegTs => Container::MpegTs,
        }
    }

    /// Wraps a finished CMAF segment, whose initialisation segment is `init`. Nothing is encoded again.
    ///
    /// # Errors
    /// `encoder.failed` when the bytes are no segment as we write them.
    pub fn wrap(self, init: &[u8], segment: &mut Segment) -> Result<(), MediaError> {
        if self == Self::MpegTs {
            let wrapped = ts::from_cmaf(init, &segment.bytes)?;
            segment.bytes = wrapped.bytes;
            segment.key_frame_bytes = wrapped.key_frame_bytes;
        }
        Ok(())
    }

    /// Ticks per second of a track whose own clock has `timescale`.
    pub(crate) fn timescale(self, timescale: u32) -> u32 {
        match self {
            Self::Cmaf => timescale,
            Self::MpegTs => ts::CLOCK,
        }
    }

    /// Whether a time read from segments is the time `ticks` of the track.
    pub(crate) fn is_time(self, read: i64, ticks: u64, timescale: u32) -> bool {
        match self {
            Self::Cmaf => read == ticks as i64,
            // A reader may or may not count on where the clock begins anew.
            Self::MpegTs => {
                let due = ts::time(ticks as i64, timescale);
                (read - due as i64).rem_euclid(1 << 33) == 0
            }
        }
    }
}
