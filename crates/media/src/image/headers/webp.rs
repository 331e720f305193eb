//! The RIFF chunks of a WebP (RFC 9649).

use super::{Headers, block, le16, le24, le32};
use crate::MediaError;
use crate::image::decode::shown_delay;
use crate::image::{Format, ImageLimits, metadata};

/// Walks the chunks, and holds the size inside each bitstream against the one that was declared, because
/// decoders allocate by the former.
///
/// # Errors
/// `input.corrupt` for sizes that contradict each other or a file without a picture, `limit.frames`.
pub(super) fn read<'a>(bytes: &'a [u8], limits: &ImageLimits) -> Result<Headers<'a>, MediaError> {
    let mut headers = Headers::still(Format::Webp, 0, 0);
    headers.frames = 0;
    let mut canvas = None;
    let mut animated = false;
    for (kind, data) in (Chunks { bytes, at: 12 }) {
        match &kind {
            b"VP8X" => {
                let (flags, w, h) = extended(data)
                    .ok_or_else(|| MediaError::corrupt("the WebP header is broken"))?;
                canvas = Some((w, h));
                animated = flags & 0x02 != 0;
                headers.has_alpha = flags & 0x10 != 0;
                (headers.width, headers.height) = (w, h);
            }
            b"VP8 " | b"VP8L" if !animated => {
                let (size, alpha) = bitstream(&kind, data)?;
                if canvas.is_some_and(|declared| declared != size) {
                    return Err(contradiction());
                }
                if canvas.is_none() {
                    (headers.width, headers.height) = size;
                    headers.has_alpha = alpha;
                }
                headers.frames = 1;
            }
            b"ANIM" => headers.loops = le16(data, 4).unwrap_or(0).into(),
            b"ANMF" if animated => frame(data, &mut headers, limits)?,
            b"ICCP" => headers.icc = block(data, limits),
            b"EXIF" => {
                let exif = data.strip_prefix(b"Exif\0\0").unwrap_or(data);
                headers.exif = block(exif, limits);
                headers.orientation = metadata::orientation_of_exif(exif);
            }
            b"XMP " => headers.xmp = block(data, limits),
            _ => {}
        }
    }
    if headers.frames == 0 {
        return Err(MediaError::corrupt(
            "the WebP has no picture, or ends before it",
        ));
    }
    Ok(headers)
}

fn contradiction() -> MediaError {
    MediaError::corrupt("the sizes in the WebP contradict each other")
}

fn extended(data: &[u8]) -> Option<(u8, u32, u32)> {
    Some((*data.first()?, le24(data, 4)? + 1, le24(data, 7)? + 1))
}

fn frame(data: &[u8], headers: &mut Headers<'_>, limits: &ImageLimits) -> Result<(), MediaError> {
    let frame =
        Frame::parse(data).ok_or_else(|| MediaError::corrupt("a frame of the WebP is cut off"))?;
    for (kind, inner) in (Chunks {
        bytes: frame.chunks,
        at: 0,
    }) {
        if matches!(&kind, b"VP8 " | b"VP8L") && bitstream(&kind, inner)?.0 != frame.size {
            return Err(contradiction());
        }
    }
    headers.frames += 1;
    headers.duration_ms += u64::from(shown_delay(frame.delay_ms));
    limits.check(frame.size.0, frame.size.1, 1)?;
    limits.check(headers.width, headers.height, headers.frames)
}

/// One frame of an animation.
pub(crate) struct Frame<'a> {
    /// Left and top edge on the canvas.
    pub(crate) at: (u32, u32),
    pub(crate) size: (u32, u32),
    pub(crate) delay_ms: u32,
    /// Drawn over what is there, instead of in place of it.
    pub(crate) blend: bool,
    /// Cleared before the next frame.
    pub(crate) dispose: bool,
    /// The picture's own chunks.
    chunks: &'a [u8],
}

impl<'a> Frame<'a> {
    fn parse(data: &'a [u8]) -> Option<Self> {
        let flags = *data.get(15)?;
        Some(Self {
            at: (le24(data, 0)? * 2, le24(data, 3)? * 2),
            size: (le24(data, 6)? + 1, le24(data, 9)? + 1),
            delay_ms: le24(data, 12)?,
            blend: flags & 2 == 0,
            dispose: flags & 1 == 1,
            chunks: &data[16..],
        })
    }

    /// The frame as a file of its own.
    pub(crate) fn as_file(&self) -> Vec<u8> {
        let mut out = b"RIFF\0\0\0\0WEBP".to_vec();
        if self.chunks.starts_with(b"ALPH") {
            out.extend_from_slice(b"VP8X\x0a\0\0\0\x10\0\0\0");
            out.extend_from_slice(&(self.size.0 - 1).to_le_bytes()[..3]);
            out.extend_from_slice(&(self.size.1 - 1).to_le_bytes()[..3]);
        }
        out.extend_from_slice(self.chunks);
        let size = (out.len() - 8) as u32;
        out[4..8].copy_from_slice(&size.to_le_bytes());
        out
    }
}

/// The frames of an animation, up to the first that is cut off; none for a still image.
pub(crate) fn frames(bytes: &[u8]) -> impl Iterator<Item = Frame<'_>> {
    Chunks { bytes, at: 12 }
        .filter(|(kind, _)| kind == b"ANMF")
        .map_while(|(_, data)| Frame::parse(data))
}

/// The size that a bitstream declares, and whether it uses alpha.
fn bitstream(kind: &[u8; 4], data: &[u8]) -> Result<((u32, u32), bool), MediaError> {
    let broken = || MediaError::corrupt("the picture inside of the WebP has a broken header");
    if kind == b"VP8 " {
        let (w, h) = le16(data, 6).zip(le16(data, 8)).ok_or_else(broken)?;
        return Ok(((u32::from(w) & 0x3fff, u32::from(h) & 0x3fff), false));
    }
    let bits = le32(data, 1)
        .filter(|_| data[0] == 0x2f)
        .ok_or_else(broken)?;
    Ok((
        ((bits & 0x3fff) + 1, ((bits >> 14) & 0x3fff) + 1),
        bits & (1 << 28) != 0,
    ))
}

struct Chunks<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Chunks<'a> {
    type Item = ([u8; 4], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let kind = self.bytes.get(self.at..self.at + 4)?.try_into().ok()?;
        let size = le32(self.bytes, self.at + 4)? as usize;
        let start = self.at + 8;
        let data = self.bytes.get(start..start.checked_add(size)?)?;
        self.at = start + size + size % 2;
        Some((kind, data))
    }
}
