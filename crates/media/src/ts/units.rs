//! Pictures and sound as transport streams carry them: everything that a decoder must know is beside the data.

use crate::MediaError;
use crate::mp4::CodecSetup;

/// Before each part of a picture (ITU-T H.264, Annex B).
const START_CODE: [u8; 4] = [0, 0, 0, 1];
/// Ends one picture and begins the next; any kind of slice may follow.
const DELIMITER: [u8; 2] = [9, 0xf0];
/// The kinds of parts that are written here and not taken over.
const DELIMITER_KIND: u8 = 9;
/// Clocks are due every tenth of a second, and each packet of sound carries one.
const PACKETS_PER_SECOND: u32 = 10;
/// Samples in a block of AAC.
const BLOCK: u32 = 1024;

/// Of the packets of pictures.
pub(super) const PICTURES_PID: u16 = 0x100;

/// What the tables say of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stream {
    /// ISO/IEC 13818-1, table 2-34.
    pub(super) kind: u8,
    /// Of its elementary packets.
    pub(super) id: u8,
    /// Of its transport packets.
    pub(super) pid: u16,
}

/// How one stream's samples are written.
#[derive(Debug)]
pub(super) enum Units {
    /// H.264.
    Avc {
        /// Bytes in the length before each part of a picture.
        length_size: usize,
        /// What decoders are told before a key frame, with start codes.
        parameters: Vec<u8>,
    },
    /// AAC: the decoder's configuration, repeated before each block.
    Aac { configuration: u16 },
}

impl Units {
    pub(super) fn of(codec: &CodecSetup<'_>) -> Result<Self, MediaError> {
        match codec {
            CodecSetup::Avc(configuration) => avc(configuration),
            CodecSetup::Aac(configuration) => Ok(Self::Aac {
                configuration: u16::from_be_bytes(*configuration),
            }),
        }
    }

    pub(super) fn stream(&self) -> Stream {
        match self {
            Self::Avc { .. } => Stream {
                kind: 0x1b,
                id: 0xe0,
                pid: PICTURES_PID,
            },
            Self::Aac { .. } => Stream {
                kind: 0x0f,
                id: 0xc0,
                pid: 0x101,
            },
        }
    }

    pub(super) fn are_pictures(&self) -> bool {
        matches!(self, Self::Avc { .. })
    }

    /// How many samples share an elementary packet: one picture, a tenth of a second of sound.
    pub(super) fn per_packet(&self, timescale: u32) -> usize {
        match self {
            Self::Avc { .. } => 1,
            Self::Aac { .. } => (timescale / PACKETS_PER_SECOND / BLOCK).max(1) as usize,
        }
    }

    /// Adds one sample to `to`.
    pub(super) fn write(
        &self,
        sample: &[u8],
        is_key: bool,
        to: &mut Vec<u8>,
    ) -> Result<(), MediaError> {
        match self {
            Self::Avc {
                length_size,
                parameters,
            } => picture(sample, *length_size, is_key.then_some(parameters), to),
            Self::Aac { configuration } => block(sample, *configuration, to),
        }
    }
}

/// Reads `avcC` (ISO/IEC 14496-15, 5.3.3.1).
fn avc(configuration: &[u8]) -> Result<Units, MediaError> {
    let mut parameters = Vec::new();
    let mut at = 5;
    // Five bits count the first list, eight the second.
    for mask in [0x1f, 0xff] {
        let count = configuration.get(at).ok_or_else(broken)? & mask;
        at += 1;
        for _ in 0..count {
            let (part, next) = prefixed(configuration, at, 2)?;
            parameters.extend_from_slice(&START_CODE);
            parameters.extend_from_slice(part);
            at = next;
        }
    }
    Ok(Units::Avc {
        length_size: usize::from(configuration[4] & 3) + 1,
        parameters,
    })
}

fn picture(
    sample: &[u8],
    length_size: usize,
    parameters: Option<&Vec<u8>>,
    to: &mut Vec<u8>,
) -> Result<(), MediaError> {
    to.extend_from_slice(&START_CODE);
    to.extend_from_slice(&DELIMITER);
    to.extend(parameters.into_iter().flatten());
    let mut at = 0;
    while at < sample.len() {
        let (part, next) = prefixed(sample, at, length_size)?;
        if part.first().is_some_and(|b| b & 0x1f != DELIMITER_KIND) {
            to.extend_from_slice(&START_CODE);
            to.extend_from_slice(part);
        }
        at = next;
    }
    Ok(())
}

/// A block behind its header (ISO/IEC 13818-7, ADTS, without a checksum).
fn block(sample: &[u8], configuration: u16, to: &mut Vec<u8>) -> Result<(), MediaError> {
    const HEADER: usize = 7;
    let length = HEADER + sample.len();
    if length >= 1 << 13 {
        return Err(broken());
    }
    // Five bits of object type, four of rate, four of channels.
    let (object, rate, channels) = (
        configuration >> 11,
        configuration >> 7 & 15,
        configuration >> 3 & 15,
    );
    to.extend_from_slice(&[
        0xff,
        0xf1,
        ((object.wrapping_sub(1) & 3) << 6 | rate << 2 | channels >> 2 & 1) as u8,
        ((channels & 3) as usize * 64 + (length >> 11)) as u8,
        (length >> 3) as u8,
        ((length & 7) << 5) as u8 | 0x1f,
        0xfc,
    ]);
    to.extend_from_slice(sample);
    Ok(())
}

/// The bytes behind a length of `size` bytes at `at`, and where they end.
fn prefixed(data: &[u8], at: usize, size: usize) -> Result<(&[u8], usize), MediaError> {
    let length = data.get(at..at + size).ok_or_else(broken)?;
    let length = length.iter().fold(0, |n, b| n << 8 | usize::from(*b));
    let start = at + size;
    let part = data.get(start..start.saturating_add(length));
    Ok((part.ok_or_else(broken)?, start + length))
}

fn broken() -> MediaError {
    MediaError::encoder("what was encoded cannot be put into a transport stream")
}
