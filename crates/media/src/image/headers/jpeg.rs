//! The marker segments of a JPEG (ITU-T T.81 Annex B) up to its first scan, and how its scans end.

use std::borrow::Cow;

use super::{Headers, Model, be16, block};
use crate::MediaError;
use crate::image::{Format, ImageLimits, metadata};

/// What the frame header says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame {
    pub(crate) components: u8,
    /// Blocks of 8x8 samples that one row of MCUs takes.
    pub(crate) blocks_per_mcu_row: u64,
}

/// A JPEG, cut up.
pub(crate) struct Jpeg<'a> {
    pub(crate) headers: Headers<'a>,
    pub(crate) frame: Frame,
    /// The colour transform of the Adobe segment, when there is one.
    pub(crate) adobe: Option<u8>,
    /// Where the first start-of-scan marker is.
    scan: usize,
    /// The segments without which the scans cannot be decoded, in order.
    essential: Vec<&'a [u8]>,
    bytes: &'a [u8],
}

impl<'a> Jpeg<'a> {
    /// Walks the segments. Metadata that makes no sense is left out; it never fails an image.
    ///
    /// # Errors
    /// `input.corrupt` when no scan follows or the frame header is broken, `input.unsupported` for
    /// the processes of the standard that nobody uses (lossless, arithmetic, hierarchical).
    pub(crate) fn parse(bytes: &'a [u8], limits: &ImageLimits) -> Result<Self, MediaError> {
        let mut headers = Headers::still(Format::Jpeg, 0, 0);
        let mut frame = None;
        let mut adobe = None;
        let mut icc = Vec::new();
        let mut essential = Vec::new();
        let mut at = 2;
        let scan = loop {
            // Bytes between segments are not allowed, but some cameras leave them.
            let start = next_marker(bytes, at)
                .ok_or_else(|| MediaError::corrupt("the JPEG ends before its picture"))?;
            let marker = bytes[start + 1];
            if matches!(marker, 0x01 | 0xd0..=0xd8) {
                at = start + 2;
                continue;
            }
            if marker == 0xd9 {
                return Err(MediaError::corrupt("the JPEG has no picture"));
            }
            let length = usize::from(be16(bytes, start + 2).unwrap_or(0));
            let Some(payload) = bytes
                .get(start + 4..start + 2 + length)
                .filter(|_| length >= 2)
            else {
                return Err(MediaError::corrupt(
                    "a segment of the JPEG is longer than the file",
                ));
            };
            if marker == 0xda {
                break start;
            }
            match marker {
                0xc0..=0xc2 => {
                    headers.progressive = marker == 0xc2;
                    frame = Some(read_frame(payload, &mut headers)?);
                }
                0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                    return Err(MediaError::unsupported(
                        "lossless, arithmetic-coded and hierarchical JPEG are not supported",
                    ));
                }
                0xe1 => app1(payload, &mut headers, limits),
                0xe2 => app2(payload, &mut headers, &mut icc),
                0xed => {
                    headers.iptc =
                        metadata::iptc_of_photoshop(payload).and_then(|d| block(d, limits))
                }
                0xee if payload.starts_with(b"Adobe") => adobe = payload.get(11).copied().or(adobe),
                _ => {}
            }
            // A colour transform that does not exist is no transform.
            let transform = marker == 0xee && adobe.is_some_and(|value| value <= 2);
            if transform || matches!(marker, 0xc0..=0xc2 | 0xc4 | 0xdb | 0xdd) {
                essential.push(&bytes[start..start + 2 + length]);
            }
            at = start + 2 + length;
        };
        let frame = frame.ok_or_else(|| MediaError::corrupt("the JPEG has no frame header"))?;
        headers.model = match frame.components {
            1 => Model::Gray,
            3 => Model::Rgb,
            4 => Model::Cmyk,
            n => {
                return Err(MediaError::unsupported(format!(
                    "a JPEG with {n} components"
                )));
            }
        };
        headers.icc = join_icc(icc, limits);
        Ok(Self {
            headers,
            frame,
            adobe,
            scan,
            essential,
            bytes,
        })
    }

    /// The same picture without metadata or stray bytes: what a strict decoder can read.
    pub(crate) fn bare(&self, end: usize) -> Vec<u8> {
        let scans = &self.bytes[self.scan..end];
        let mut out = Vec::with_capacity(scans.len() + 4096);
        out.extend_from_slice(&[0xff, 0xd8]);
        self.essential
            .iter()
            .for_each(|segment| out.extend_from_slice(segment));
        out.extend_from_slice(scans);
        out
    }

    /// Where the end-of-image marker is, if a single scan leads up to it.
    pub(crate) fn end_of_only_scan(&self) -> Option<usize> {
        let header = usize::from(be16(self.bytes, self.scan + 2)?);
        let data = self.scan + 2 + header;
        for at in memchr::memchr_iter(0xff, self.bytes.get(data..)?) {
            match self.bytes.get(data + at + 1)? {
                // A stuffed zero, a restart marker or a fill byte: still inside of the scan.
                0x00 | 0xd0..=0xd7 | 0xff => {}
                0xd9 => return Some(data + at),
                _ => return None,
            }
        }
        None
    }
}

fn next_marker(bytes: &[u8], from: usize) -> Option<usize> {
    let found = memchr::memchr_iter(0xff, bytes.get(from..)?)
        .map(|at| from + at)
        .find(|&at| !matches!(bytes.get(at + 1), Some(0x00 | 0xff)))?;
    (found + 1 < bytes.len()).then_some(found)
}

fn read_frame(payload: &[u8], headers: &mut Headers<'_>) -> Result<Frame, MediaError> {
    let broken = || MediaError::corrupt("the frame header of the JPEG is broken");
    let (&depth, &components) = payload.first().zip(payload.get(5)).ok_or_else(broken)?;
    if depth != 8 {
        return Err(MediaError::unsupported(format!(
            "a JPEG with {depth} bits per sample"
        )));
    }
    headers.height = be16(payload, 1).ok_or_else(broken)?.into();
    headers.width = be16(payload, 3).ok_or_else(broken)?.into();
    let sampling = (0..usize::from(components))
        .map(|n| {
            payload
                .get(7 + 3 * n)
                .map(|s| (u64::from(s >> 4), u64::from(s & 15)))
        })
        .collect::<Option<Vec<_>>>()
        .ok_or_else(broken)?;
    let widest = sampling.iter().map(|s| s.0).max().unwrap_or(1).max(1);
    let blocks: u64 = sampling.iter().map(|s| s.0 * s.1).sum();
    let mcus = u64::from(headers.width).div_ceil(8 * widest);
    Ok(Frame {
        components,
        blocks_per_mcu_row: mcus * blocks,
    })
}

fn app1<'a>(payload: &'a [u8], headers: &mut Headers<'a>, limits: &ImageLimits) {
    if let Some(exif) = payload.strip_prefix(b"Exif\0") {
        // The second padding byte is missing or wrong in some files.
        let exif = exif.get(1..).unwrap_or_default();
        if headers.exif.is_none() {
            headers.exif = block(exif, limits);
            headers.orientation = metadata::orientation_of_exif(exif);
        }
    } else if let Some(xmp) = payload.strip_prefix(b"http://ns.adobe.com/xap/1.0/\0") {
        headers.gain_map |= metadata::xmp_names_gain_map(xmp);
        headers.xmp = block(xmp, limits);
    }
}

fn app2<'a>(payload: &'a [u8], headers: &mut Headers<'a>, icc: &mut Vec<(u8, &'a [u8])>) {
    if let Some(chunk) = payload.strip_prefix(b"ICC_PROFILE\0")
        && let [number, _count, data @ ..] = chunk
    {
        icc.push((*number, data));
    } else if payload.starts_with(b"urn:iso:std:iso:ts:21496:-1\0") {
        headers.gain_map = true;
    }
}

/// A profile is spread over segments that carry their number.
fn join_icc<'a>(mut chunks: Vec<(u8, &'a [u8])>, limits: &ImageLimits) -> Option<Cow<'a, [u8]>> {
    chunks.sort_by_key(|chunk| chunk.0);
    if let [(_, only)] = chunks[..] {
        return block(only, limits);
    }
    let total: usize = chunks.iter().map(|chunk| chunk.1.len()).sum();
    if total == 0 || total > limits.metadata_bytes_max {
        return None;
    }
    Some(Cow::Owned(
        chunks
            .into_iter()
            .flat_map(|chunk| chunk.1)
            .copied()
            .collect(),
    ))
}
