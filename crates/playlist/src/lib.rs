//! What players read: HLS playlists (RFC 8216), DASH manifests (ISO/IEC 23009-1), both from segments as they are given,
//! and captions (WebVTT), from what people write.
//!
//! Pure text: nothing is read, nothing is run. Who serves it, and under which address, is for the caller.

#![forbid(unsafe_code)]

pub mod captions;
pub mod dash;
pub mod hls;

/// Pictures per second, as a fraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameRate {
    /// Above the line.
    pub num: u32,
    /// Below it; at least 1.
    pub den: u32,
}

impl FrameRate {
    /// Its value.
    pub fn as_f64(self) -> f64 {
        f64::from(self.num) / f64::from(self.den.max(1))
    }
}
