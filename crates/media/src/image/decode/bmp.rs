//! BMP: uncompressed, run-length encoded and with bit masks.

use super::buffer;
use crate::MediaError;
use crate::image::ImageLimits;
use crate::image::color::{Channels, Raster, Samples, Space};
use crate::image::headers::{self, Bitmap, Compression, Headers, le16, le32};

pub(super) fn decode(
    bytes: &[u8],
    headers: &Headers<'_>,
    limits: &ImageLimits,
) -> Result<Raster, MediaError> {
    let bitmap = headers::read_bmp(bytes, limits)?;
    let data = bytes.get(bitmap.data..).unwrap_or_default();
    let channels = if bitmap.has_alpha() {
        Channels::Rgba
    } else {
        Channels::Rgb
    };
    let mut out = buffer(bitmap.width, bitmap.height, channels.count())?;
    let row_bytes = bitmap.width as usize * channels.count();
    match bitmap.compression {
        Compression::None if bitmap.bits == 24 => {
            rows(&bitmap, data, &mut out, row_bytes, |stored, row| {
                for (to, from) in row
                    .as_chunks_mut::<3>()
                    .0
                    .iter_mut()
                    .zip(stored.as_chunks::<3>().0)
                {
                    *to = [from[2], from[1], from[0]];
                }
            })?;
        }
        Compression::None => {
            let palette = palette(bytes, &bitmap);
            let bits = usize::from(bitmap.bits);
            let mask = ((1u16 << bits) - 1) as u8;
            rows(&bitmap, data, &mut out, row_bytes, |stored, row| {
                for (x, to) in row.as_chunks_mut::<3>().0.iter_mut().enumerate() {
                    let index = stored[x * bits / 8] >> (8 - bits - x * bits % 8) & mask;
                    *to = palette[usize::from(index)];
                }
            })?;
        }
        Compression::Masks(masks) => {
            let fields = masks.map(Field::new);
            let bytes_per_pixel = usize::from(bitmap.bits / 8);
            rows(&bitmap, data, &mut out, row_bytes, |stored, row| {
                let pixels = stored.chunks_exact(bytes_per_pixel);
                for (to, from) in row.chunks_exact_mut(channels.count()).zip(pixels) {
                    let value = if from.len() == 2 {
                        le16(from, 0).map(u32::from)
                    } else {
                        le32(from, 0)
                    };
                    for (to, field) in to.iter_mut().zip(&fields) {
                        *to = field.of(value.unwrap_or_default());
                    }
                }
            })?;
        }
        Compression::Rle8 | Compression::Rle4 => {
            let palette = palette(bytes, &bitmap);
            let indices = run_lengths(&bitmap, data)?;
            for (row, indices) in target_rows(&bitmap, &mut out, row_bytes)
                .zip(indices.chunks_exact(bitmap.width as usize))
            {
                for (to, index) in row.as_chunks_mut::<3>().0.iter_mut().zip(indices) {
                    *to = palette[usize::from(*index)];
                }
            }
        }
    }
    let space = headers
        .icc
        .as_ref()
        .map_or(Space::Srgb, |icc| Space::Icc(icc.to_vec()));
    Ok(Raster {
        width: bitmap.width,
        height: bitmap.height,
        channels,
        samples: Samples::U8(out),
        space,
    })
}

/// 256 entries, so that no index can miss; those that the file lacks are black.
fn palette(bytes: &[u8], bitmap: &Bitmap) -> [[u8; 3]; 256] {
    let (start, entries, size) = bitmap.palette;
    let mut palette = [[0; 3]; 256];
    let stored = bytes
        .get(start..)
        .unwrap_or_default()
        .chunks_exact(size)
        .take(entries);
    for (to, from) in palette.iter_mut().zip(stored) {
        *to = [from[2], from[1], from[0]];
    }
    palette
}

/// Rows of the output in the order in which the file has them.
fn target_rows<'o>(
    bitmap: &Bitmap,
    out: &'o mut [u8],
    row_bytes: usize,
) -> Box<dyn Iterator<Item = &'o mut [u8]> + 'o> {
    let rows = out.chunks_exact_mut(row_bytes);
    if bitmap.top_down {
        Box::new(rows)
    } else {
        Box::new(rows.rev())
    }
}

/// Stored rows are padded to four bytes.
fn rows(
    bitmap: &Bitmap,
    data: &[u8],
    out: &mut [u8],
    row_bytes: usize,
    mut each: impl FnMut(&[u8], &mut [u8]),
) -> Result<(), MediaError> {
    let used = (bitmap.width as usize * usize::from(bitmap.bits)).div_ceil(8);
    let stride = used.next_multiple_of(4);
    // The padding of the last row is often left out.
    if data.len() < stride * (bitmap.height as usize - 1) + used {
        return Err(MediaError::corrupt("the BMP ends early"));
    }
    for (row, stored) in target_rows(bitmap, out, row_bytes).zip(data.chunks(stride)) {
        each(&stored[..used], row);
    }
    Ok(())
}

/// One channel's bits of a pixel.
struct Field {
    mask: u32,
    shift: u32,
    largest: u32,
}

impl Field {
    fn new(mask: u32) -> Self {
        let shift = if mask == 0 { 0 } else { mask.trailing_zeros() };
        Self {
            mask,
            shift,
            largest: mask >> shift,
        }
    }

    fn of(&self, pixel: u32) -> u8 {
        if self.largest == 0 {
            return 0;
        }
        let value = u64::from((pixel & self.mask) >> self.shift);
        let largest = u64::from(self.largest);
        ((value * 255 + largest / 2) / largest) as u8
    }
}

/// Palette indices row by row; pixels that are skipped have index 0.
fn run_lengths(bitmap: &Bitmap, data: &[u8]) -> Result<Vec<u8>, MediaError> {
    let four = bitmap.compression == Compression::Rle4;
    let (width, height) = (bitmap.width as usize, bitmap.height as usize);
    let mut out: Vec<u8> = buffer(bitmap.width, bitmap.height, 1)?;
    let (mut x, mut y) = (0, 0);
    let mut bytes = data.iter().copied();
    let ends_early = || MediaError::corrupt("the BMP ends early");
    let mut next = || bytes.next().ok_or_else(ends_early);
    let mut put = |x: usize, y: usize, index: u8| {
        if x < width && y < height {
            out[y * width + x] = index;
        }
    };
    let nibble = |byte: u8, n: usize| {
        if n.is_multiple_of(2) {
            byte >> 4
        } else {
            byte & 15
        }
    };
    while y < height {
        match (next()?, next()?) {
            (0, 0) => (x, y) = (0, y + 1),
            (0, 1) => break,
            (0, 2) => (x, y) = (x + usize::from(next()?), y + usize::from(next()?)),
            (0, count) => {
                let count = usize::from(count);
                let stored = if four { count.div_ceil(2) } else { count };
                for n in 0..stored {
                    let byte = next()?;
                    if four {
                        put(x + 2 * n, y, nibble(byte, 0));
                        if 2 * n + 1 < count {
                            put(x + 2 * n + 1, y, nibble(byte, 1));
                        }
                    } else {
                        put(x + n, y, byte);
                    }
                }
                if stored % 2 == 1 {
                    next()?;
                }
                x += count;
            }
            (count, byte) => {
                for n in 0..usize::from(count) {
                    put(x + n, y, if four { nibble(byte, n) } else { byte });
                }
                x += usize::from(count);
            }
        }
    }
    Ok(out)
}
