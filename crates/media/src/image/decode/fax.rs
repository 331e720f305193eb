//! TIFF with one-dimensional Group 3 fax data (ITU-T T.4), which the tiff crate leaves to others.

use std::borrow::Cow;
use std::convert::Infallible;
use std::io::Cursor;

use ::fax::Color;
use ::fax::decoder::{DecodeStatus, Group3Decoder, pels};
use ::tiff::decoder::Decoder;
use ::tiff::tags::Tag;

use crate::MediaError;
use crate::image::headers::{Headers, tiff_refused};

/// Six end-of-line codes: the end of a page. Added to each strip, as many writers leave it out.
const END: [u8; 9] = [0x00, 0x10, 0x01, 0x00, 0x10, 0x01, 0x00, 0x10, 0x01];

/// The grey samples of the picture, if this is its compression.
pub(super) fn group3(
    decoder: &mut Decoder<Cursor<Cow<'_, [u8]>>>,
    bytes: &[u8],
    headers: &Headers<'_>,
) -> Result<Option<Vec<u8>>, MediaError> {
    let mut number = |tag| decoder.find_tag_unsigned::<u32>(tag).map_err(tiff_refused);
    if number(Tag::Compression)? != Some(3) || headers.bit_depth != 1 {
        return Ok(None);
    }
    if number(Tag::Unknown(292))?.unwrap_or(0) & 1 == 1 {
        return Err(MediaError::unsupported(
            "a TIFF with two-dimensional Group 3 fax data",
        ));
    }
    let reversed = number(Tag::FillOrder)? == Some(2);
    let white_is_zero = number(Tag::PhotometricInterpretation)? == Some(0);
    let offsets = decoder
        .get_tag_u64_vec(Tag::StripOffsets)
        .map_err(tiff_refused)?;
    let lengths = decoder
        .get_tag_u64_vec(Tag::StripByteCounts)
        .map_err(tiff_refused)?;

    let too_wide = || MediaError::unsupported("a fax of more than 65535 pixels per line");
    let width = u16::try_from(headers.width).map_err(|_| too_wide())?;
    let total = headers.width as usize * headers.height as usize;
    let mut out = Vec::with_capacity(total);
    for (offset, length) in offsets.into_iter().zip(lengths) {
        let end = offset.saturating_add(length).min(bytes.len() as u64) as usize;
        let strip = bytes
            .get(offset.min(end as u64) as usize..end)
            .unwrap_or_default();
        let stored = strip
            .iter()
            .map(|&byte| if reversed { byte.reverse_bits() } else { byte });
        let input = stored.chain(END).map(Ok::<u8, Infallible>);
        let Ok(mut lines) = Group3Decoder::new(input) else {
            break;
        };
        while out.len() < total {
            let Ok(status) = lines.advance() else { break };
            if lines.transitions().last().is_some_and(|end| *end == width) {
                let shade = |color| {
                    if (color == Color::White) == white_is_zero {
                        255
                    } else {
                        0
                    }
                };
                out.extend(pels(lines.transitions(), width).map(shade));
            }
            if status == DecodeStatus::End {
                break;
            }
        }
    }
    if out.len() < total {
        return Err(MediaError::corrupt(
            "the fax in the TIFF ends early or has broken lines",
        ));
    }
    Ok(Some(out))
}
