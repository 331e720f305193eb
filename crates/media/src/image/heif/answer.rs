//! What the helper writes to its standard output: one line of JSON, then blobs in a fixed order.
//!
//! Parent and helper are the same executable, so the format needs no history; the version only
//! catches an executable that was replaced while the server runs.

use std::io::{self, BufRead, BufReader, Read};

use serde::{Deserialize, Serialize};

use crate::image::{Cicp, ImageLimits};
use crate::{ErrorKind, MediaError};

/// Raised with every change of this file.
const VERSION: u32 = 1;
/// Far more than the line ever needs, in bytes.
const LINE_BYTES_MAX: u64 = 4096;

#[derive(Serialize, Deserialize)]
struct Line {
    version: u32,
    answer: Answer,
}

/// The helper's answer.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    /// Followed by the ICC profile, the EXIF block, the XMP packet and the samples.
    Image(Header),
    /// Nothing follows.
    Refused { code: String, message: String },
}

/// What is known before the samples, and how long the blobs are, in bytes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) has_alpha: bool,
    /// Of the file; samples have 8 or 16.
    pub(super) bit_depth: u8,
    pub(super) gain_map: bool,
    /// Primaries, transfer, matrix, full range.
    pub(super) nclx: Option<(u16, u16, u16, bool)>,
    pub(super) icc_bytes: usize,
    pub(super) exif_bytes: usize,
    pub(super) xmp_bytes: usize,
}

impl Header {
    /// Bits per sample on the wire: 8, or 16 (little endian, scaled to the whole range).
    pub(super) fn sample_bits(&self) -> u8 {
        if self.bit_depth > 8 { 16 } else { 8 }
    }

    /// 3 (RGB) or 4 (RGBA).
    pub(super) fn channels(&self) -> u8 {
        if self.has_alpha { 4 } else { 3 }
    }

    pub(super) fn cicp(&self) -> Option<Cicp> {
        self.nclx
            .map(|(primaries, transfer, matrix, full_range)| Cicp {
                primaries,
                transfer,
                matrix,
                full_range,
            })
    }

    fn sample_bytes(&self) -> u64 {
        let per_pixel = self.channels() as u64 * (self.sample_bits() / 8) as u64;
        self.width as u64 * self.height as u64 * per_pixel
    }
}

/// The line for `answer`, with its end.
pub(super) fn line(answer: Answer) -> Vec<u8> {
    let mut line = serde_json::to_vec(&Line {
        version: VERSION,
        answer,
    })
    .expect("plain numbers and strings always serialise");
    line.push(b'\n');
    line
}

/// What a helper sent.
pub(super) struct Received {
    pub(super) header: Header,
    pub(super) icc: Option<Vec<u8>>,
    pub(super) exif: Option<Vec<u8>>,
    pub(super) xmp: Option<Vec<u8>>,
    /// Empty unless they were asked for.
    pub(super) samples: Vec<u8>,
}

/// Reads an answer, believing nothing: a helper that a file has taken over says what it likes.
pub(super) fn receive(
    stream: impl Read,
    limits: &ImageLimits,
    with_samples: bool,
) -> Result<Received, MediaError> {
    let mut stream = BufReader::new(stream);
    let mut line = Vec::new();
    (&mut stream)
        .take(LINE_BYTES_MAX)
        .read_until(b'\n', &mut line)
        .map_err(|e| ended(&e))?;
    let line: Line = serde_json::from_slice(&line).map_err(|_| nonsense("no answer"))?;
    if line.version != VERSION {
        return Err(nonsense("an answer of another version"));
    }
    let header = match line.answer {
        Answer::Image(header) => header,
        Answer::Refused { code, message } => return Err(refused(&code, &message)),
    };

    let metadata = header
        .icc_bytes
        .max(header.exif_bytes)
        .max(header.xmp_bytes);
    if !fits(header.width, header.height, limits)
        || !(1..=16).contains(&header.bit_depth)
        || metadata > limits.metadata_bytes_max
    {
        return Err(nonsense("an answer beyond its limits"));
    }
    let mut blob = |bytes: u64| -> Result<Vec<u8>, MediaError> {
        let mut blob = Vec::with_capacity(bytes as usize);
        (&mut stream)
            .take(bytes)
            .read_to_end(&mut blob)
            .map_err(|e| ended(&e))?;
        if blob.len() as u64 == bytes {
            Ok(blob)
        } else {
            Err(nonsense("half an answer"))
        }
    };
    let some = |blob: Vec<u8>| (!blob.is_empty()).then_some(blob);
    let icc = some(blob(header.icc_bytes as u64)?);
    let exif = some(blob(header.exif_bytes as u64)?);
    let xmp = some(blob(header.xmp_bytes as u64)?);
    let samples = if with_samples {
        blob(header.sample_bytes())?
    } else {
        Vec::new()
    };
    match stream.read(&mut [0]) {
        Ok(0) => Ok(Received {
            header,
            icc,
            exif,
            xmp,
            samples,
        }),
        Ok(_) => Err(nonsense("more than an answer")),
        Err(e) => Err(ended(&e)),
    }
}

/// Whether an image of this size may be decoded.
pub(super) fn fits(width: u32, height: u32, limits: &ImageLimits) -> bool {
    let sides = 1..=limits.side_max;
    sides.contains(&width)
        && sides.contains(&height)
        && width as u64 * height as u64 <= limits.pixels_max
}

/// The error for a size that does not fit.
pub(super) fn too_large(width: u32, height: u32) -> MediaError {
    MediaError::limit(
        "limit.pixels",
        format!("an image of {width}x{height} pixels is too large"),
    )
}

/// Only what the helper's own code says; everything else is no answer.
fn refused(code: &str, message: &str) -> MediaError {
    let message: String = message
        .chars()
        .filter(|c| !c.is_control())
        .take(300)
        .collect();
    match code {
        "input.corrupt" => MediaError::corrupt(message),
        "input.unsupported" => MediaError::unsupported(message),
        "limit.pixels" => MediaError::limit("limit.pixels", message),
        "limit.memory" => MediaError::limit("limit.memory", message),
        "internal" => MediaError {
            code: "internal",
            message,
            kind: ErrorKind::Transient,
        },
        _ => nonsense("an unknown error"),
    }
}

fn nonsense(what: &str) -> MediaError {
    MediaError::crash(format!("the image decoder sent {what}"))
}

fn ended(error: &io::Error) -> MediaError {
    MediaError::crash(format!("the image decoder's output ended: {error}"))
}
