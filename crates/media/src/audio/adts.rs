//! AAC as our ffmpeg writes it: blocks, each behind a header (ISO/IEC 13818-7, ADTS).

use std::io::{self, Read};

use crate::MediaError;

/// Sampling rates by their index in headers.
const RATES: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
    7_350,
];

/// The decoder's configuration for AAC-LC: object type, rate index, channels.
///
/// # Errors
/// `internal` for a rate that AAC does not have.
pub(super) fn configuration(sample_rate: u32, channels: u8) -> Result<[u8; 2], MediaError> {
    const LOW_COMPLEXITY: u16 = 2;
    let index = RATES
        .iter()
        .position(|rate| *rate == sample_rate)
        .ok_or_else(|| MediaError::encoder(format!("AAC has no rate of {sample_rate}")))?;
    let bits = LOW_COMPLEXITY << 11 | (index as u16) << 7 | u16::from(channels) << 3;
    Ok(bits.to_be_bytes())
}

/// Blocks one after the other.
pub(super) struct Blocks<R> {
    from: R,
}

impl<R: Read> Blocks<R> {
    pub(super) fn new(from: R) -> Self {
        Self { from }
    }

    /// The next block without its header; nothing at the end.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, MediaError> {
        let broken = |what: &str| MediaError::encoder(format!("what ffmpeg wrote: {what}"));
        let mut header = [0; 7];
        match self.from.read_exact(&mut header) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(e) => return Err(broken(&e.to_string())),
        }
        if header[0] != 0xff || header[1] & 0xf6 != 0xf0 {
            return Err(broken("no AAC header"));
        }
        let length = usize::from(header[3] & 3) << 11
            | usize::from(header[4]) << 3
            | usize::from(header[5] >> 5);
        let checksum = if header[1] & 1 == 0 { 2 } else { 0 };
        let body = length
            .checked_sub(header.len())
            .filter(|body| *body > checksum)
            .ok_or_else(|| broken("a block without contents"))?;
        let mut block = vec![0; body];
        self.from
            .read_exact(&mut block)
            .map_err(|e| broken(&e.to_string()))?;
        block.drain(..checksum);
        Ok(Some(block))
    }
}
