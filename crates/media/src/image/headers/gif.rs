//! The blocks of a GIF (GIF89a specification), counted without decompressing any.

use super::{Headers, block, le16};
use crate::MediaError;
use crate::image::decode::shown_delay;
use crate::image::{Format, ImageLimits};

/// Counts frames and adds up their times. Stops with the limit's error as soon as there are too many.
///
/// # Errors
/// `input.corrupt` when a header or the first frame is cut off, `limit.frames`, `limit.pixels` when a frame
/// is larger than any canvas may be.
pub(super) fn read<'a>(bytes: &'a [u8], limits: &ImageLimits) -> Result<Headers<'a>, MediaError> {
    let cut_off = || MediaError::corrupt("the GIF ends before its first picture");
    let (width, height) = le16(bytes, 6).zip(le16(bytes, 8)).ok_or_else(cut_off)?;
    let flags = *bytes.get(10).ok_or_else(cut_off)?;
    let mut headers = Headers::still(Format::Gif, width.into(), height.into());
    headers.frames = 0;
    headers.loops = 1;

    let mut at = 13 + color_table(flags);
    let mut control = Control::default();
    while let Some(&introducer) = bytes.get(at) {
        match introducer {
            0x2c => {
                let Some(next) = image(bytes, at, &control, &mut headers, limits)? else {
                    break;
                };
                control = Control::default();
                at = next;
            }
            0x21 => {
                let Some(next) = extension(bytes, at, &mut control, &mut headers, limits) else {
                    break;
                };
                at = next;
            }
            // The trailer, or rubbish that every viewer takes for it.
            _ => break,
        }
    }
    if headers.frames == 0 {
        return Err(cut_off());
    }
    if headers.frames == 1 {
        headers.loops = 0;
        headers.duration_ms = 0;
    }
    Ok(headers)
}

#[derive(Default)]
struct Control {
    delay_cs: u16,
    transparent: bool,
    to_background: bool,
}

fn image(
    bytes: &[u8],
    at: usize,
    control: &Control,
    headers: &mut Headers<'_>,
    limits: &ImageLimits,
) -> Result<Option<usize>, MediaError> {
    let place = |n| le16(bytes, at + n).map(u32::from);
    let (Some(x), Some(y), Some(w), Some(h), Some(&flags)) =
        (place(1), place(3), place(5), place(7), bytes.get(at + 9))
    else {
        return Ok(None);
    };
    // A frame that starts counts, so that one which is cut off is noticed by the decoder.
    headers.frames += 1;
    headers.duration_ms += u64::from(shown_delay(u32::from(control.delay_cs) * 10));
    let covers = x == 0 && y == 0 && w >= headers.width && h >= headers.height;
    headers.has_alpha |=
        control.transparent || control.to_background || headers.frames == 1 && !covers;
    limits.check(w.max(1), h.max(1), headers.frames)?;
    // What reaches over the edge is decoded too, so it must not cost much more than the canvas promises.
    if u64::from(w) * u64::from(h)
        > 4 * u64::from(headers.width) * u64::from(headers.height) + (1 << 20)
    {
        return Err(MediaError::corrupt(
            "a frame of the GIF is far larger than the whole picture",
        ));
    }
    let data = at + 10 + color_table(flags) + 1;
    Ok(skip_blocks(bytes, data))
}

fn extension<'a>(
    bytes: &'a [u8],
    at: usize,
    control: &mut Control,
    headers: &mut Headers<'a>,
    limits: &ImageLimits,
) -> Option<usize> {
    let label = *bytes.get(at + 1)?;
    match (label, bytes.get(at + 3..)) {
        (0xf9, Some([flags, d0, d1, _, ..])) => {
            control.delay_cs = u16::from_le_bytes([*d0, *d1]);
            control.transparent = flags & 1 == 1;
            control.to_background = (flags >> 2) & 7 == 2;
        }
        (0xff, Some(rest))
            if rest.starts_with(b"NETSCAPE2.0\x03\x01")
                || rest.starts_with(b"ANIMEXTS1.0\x03\x01") =>
        {
            // The value counts repetitions after the first run, and 0 means for ever.
            let repeats = u32::from(le16(rest, 13)?);
            headers.loops = if repeats == 0 { 0 } else { repeats + 1 };
        }
        // XMP stands here without sub-blocks, followed by a trailer that makes it skippable.
        (0xff, Some(rest)) if rest.starts_with(b"XMP DataXMP") => {
            let end = skip_blocks(bytes, at + 14)?;
            headers.xmp = block(bytes.get(at + 14..end.checked_sub(258)?)?, limits);
            return Some(end);
        }
        _ => {}
    }
    skip_blocks(bytes, at + 2)
}

fn color_table(flags: u8) -> usize {
    if flags & 0x80 == 0 {
        0
    } else {
        3 << ((flags & 7) + 1)
    }
}

fn skip_blocks(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *bytes.get(at)? {
            0 => return Some(at + 1),
            length => at += 1 + usize::from(length),
        }
    }
}
