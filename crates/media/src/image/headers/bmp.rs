//! The headers of a Windows or OS/2 bitmap.

use super::{Headers, block, le16, le32};
use crate::MediaError;
use crate::image::{Format, ImageLimits};

/// How the samples are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    Rle8,
    Rle4,
    /// Red, green, blue and alpha masks.
    Masks([u32; 4]),
}

/// A parsed header.
#[derive(Debug, Clone)]
pub(crate) struct Bitmap {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) top_down: bool,
    pub(crate) bits: u16,
    pub(crate) compression: Compression,
    /// Where the palette is, how many entries it has and how many bytes each takes.
    pub(crate) palette: (usize, usize, usize),
    /// Where the rows start.
    pub(crate) data: usize,
    icc: Option<(usize, usize)>,
}

/// Reads the file header and the information header of any version.
///
/// # Errors
/// `input.corrupt` for a header that is cut off or contradicts itself, `input.unsupported` for embedded
/// JPEG, PNG or fax data.
pub(super) fn read(bytes: &[u8], limits: &ImageLimits) -> Result<Bitmap, MediaError> {
    parse(bytes, limits).unwrap_or_else(|| Err(MediaError::corrupt("the BMP header is cut off")))
}

fn parse(bytes: &[u8], limits: &ImageLimits) -> Option<Result<Bitmap, MediaError>> {
    let broken = |what| Some(Err(MediaError::corrupt(what)));
    let data = le32(bytes, 10)? as usize;
    let size = le32(bytes, 14)? as usize;
    let old = size == 12;
    let (width, height, bits) = if old {
        (
            le16(bytes, 18)?.into(),
            i32::from(le16(bytes, 20)?),
            le16(bytes, 24)?,
        )
    } else {
        (le32(bytes, 18)?, le32(bytes, 22)? as i32, le16(bytes, 28)?)
    };
    if let Err(error) = limits.check(width, height.unsigned_abs(), 1) {
        return Some(Err(error));
    }
    let method = if size >= 20 { le32(bytes, 30)? } else { 0 };
    let compression = match (method, bits) {
        (0, 1 | 2 | 4 | 8 | 24) => Compression::None,
        (0, 16) => Compression::Masks([0x7c00, 0x03e0, 0x001f, 0]),
        // The fourth byte is padding in files of this kind, whatever it holds.
        (0, 32) => Compression::Masks([0x00ff_0000, 0xff00, 0xff, 0]),
        (1, 8) => Compression::Rle8,
        (2, 4) => Compression::Rle4,
        // Masks stand in the header, or right behind one of 40 bytes: at the same place.
        (3 | 6, 16 | 32) => {
            let alpha = if size >= 56 || method == 6 {
                le32(bytes, 66)?
            } else {
                0
            };
            Compression::Masks([le32(bytes, 54)?, le32(bytes, 58)?, le32(bytes, 62)?, alpha])
        }
        (3..=5, _) => {
            return Some(Err(MediaError::unsupported(
                "a BMP with fax, JPEG or PNG data inside",
            )));
        }
        _ => return broken("the BMP's depth and compression do not fit together"),
    };
    let used = if size >= 36 {
        le32(bytes, 46)? as usize
    } else {
        0
    };
    let palette = if bits > 8 {
        (0, 0, 0)
    } else {
        let (start, entry) = (14 + size, if old { 3 } else { 4 });
        let room = data.saturating_sub(start) / entry;
        let most = 1usize << bits;
        (
            start,
            if used == 0 { most } else { used.min(most) }.min(room),
            entry,
        )
    };
    if data < 14 + size || bits <= 8 && palette.1 == 0 {
        return broken("the BMP has no room for its palette");
    }
    // A profile stands at an offset from the information header (version 5, marker "MBED").
    let icc = (size >= 124 && le32(bytes, 70)? == 0x4d42_4544)
        .then(|| Some((14 + le32(bytes, 126)? as usize, le32(bytes, 130)? as usize)))
        .flatten();
    Some(Ok(Bitmap {
        width,
        height: height.unsigned_abs(),
        top_down: height < 0,
        bits,
        compression,
        palette,
        data,
        icc,
    }))
}

impl Bitmap {
    /// Whether pixels can be transparent.
    pub(crate) fn has_alpha(&self) -> bool {
        matches!(self.compression, Compression::Masks([.., alpha]) if alpha != 0)
    }

    pub(crate) fn headers<'a>(&self, bytes: &'a [u8], limits: &ImageLimits) -> Headers<'a> {
        let icc = self
            .icc
            .and_then(|(at, length)| bytes.get(at..at.checked_add(length)?));
        Headers {
            has_alpha: self.has_alpha(),
            icc: icc.and_then(|data| block(data, limits)),
            ..Headers::still(Format::Bmp, self.width, self.height)
        }
    }
}
