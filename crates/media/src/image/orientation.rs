//! Turning stored pixels into display order: the eight values of the EXIF orientation tag.

/// How stored rows relate to what a viewer should see (EXIF tag 0x0112).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Orientation(u8);

impl Orientation {
    /// Values other than 2 to 8 mean upright, as files in the wild demand.
    pub(crate) fn from_tag(value: u32) -> Self {
        match value {
            2..=8 => Self(value as u8),
            _ => Self(1),
        }
    }

    /// The tag's value, 1 to 8.
    pub(crate) fn tag(self) -> u8 {
        self.0.max(1)
    }

    fn swaps_sides(self) -> bool {
        self.0 >= 5
    }

    /// The size for display of a picture that is stored as `width` by `height`.
    pub(crate) fn upright_size(self, width: u32, height: u32) -> (u32, u32) {
        if self.swaps_sides() {
            (height, width)
        } else {
            (width, height)
        }
    }

    /// Brings rows of `channels`-byte pixels into display order; the caller swaps the sides.
    /// Orientation 1 gives the buffer back untouched, 2 to 4 work in place.
    pub(crate) fn apply(self, data: Vec<u8>, width: u32, height: u32, channels: usize) -> Vec<u8> {
        let (width, height) = (width as usize, height as usize);
        match channels {
            3 => apply::<3>(self.tag(), data, width, height),
            _ => apply::<4>(self.tag(), data, width, height),
        }
    }
}

fn apply<const N: usize>(tag: u8, mut data: Vec<u8>, width: usize, height: usize) -> Vec<u8> {
    match tag {
        2 => data
            .chunks_exact_mut(width * N)
            .for_each(|row| pixels_mut::<N>(row).reverse()),
        3 => pixels_mut::<N>(&mut data).reverse(),
        4 => {
            for y in 0..height / 2 {
                let (top, bottom) = data.split_at_mut((height - 1 - y) * width * N);
                top[y * width * N..][..width * N].swap_with_slice(&mut bottom[..width * N]);
            }
        }
        5..=8 => return transpose::<N>(tag, &data, width, height),
        _ => {}
    }
    data
}

/// Column `x` of the source becomes a row. Done in square blocks so that both sides stay in cache.
fn transpose<const N: usize>(tag: u8, data: &[u8], width: usize, height: usize) -> Vec<u8> {
    const BLOCK: usize = 32;
    let mut out = vec![0; data.len()];
    let (source, target) = (pixels::<N>(data), pixels_mut::<N>(&mut out));
    // 5: mirrored along the falling diagonal; 6: turned right; 7: the rising diagonal; 8: turned left.
    let (from_bottom, from_right) = (matches!(tag, 6 | 7), matches!(tag, 7 | 8));
    for top in (0..width).step_by(BLOCK) {
        for left in (0..height).step_by(BLOCK) {
            for row in top..(top + BLOCK).min(width) {
                let x = if from_right { width - 1 - row } else { row };
                for column in left..(left + BLOCK).min(height) {
                    let y = if from_bottom {
                        height - 1 - column
                    } else {
                        column
                    };
                    target[row * height + column] = source[y * width + x];
                }
            }
        }
    }
    out
}

fn pixels<const N: usize>(data: &[u8]) -> &[[u8; N]] {
    data.as_chunks::<N>().0
}

fn pixels_mut<const N: usize>(data: &mut [u8]) -> &mut [[u8; N]] {
    data.as_chunks_mut::<N>().0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_orientation_of_a_two_by_three_picture() {
        // Stored rows:  1 2 / 3 4 / 5 6
        let stored: Vec<u8> = (1..=6).flat_map(|v| [v; 3]).collect();
        let expected: [[u8; 6]; 8] = [
            [1, 2, 3, 4, 5, 6],
            [2, 1, 4, 3, 6, 5],
            [6, 5, 4, 3, 2, 1],
            [5, 6, 3, 4, 1, 2],
            [1, 3, 5, 2, 4, 6],
            [5, 3, 1, 6, 4, 2],
            [6, 4, 2, 5, 3, 1],
            [2, 4, 6, 1, 3, 5],
        ];
        for (tag, rows) in (1..=8).zip(expected) {
            let turned = Orientation::from_tag(tag).apply(stored.clone(), 2, 3, 3);
            let first: Vec<u8> = turned.chunks(3).map(|p| p[0]).collect();
            assert_eq!(first, rows, "orientation {tag}");
        }
    }
}
