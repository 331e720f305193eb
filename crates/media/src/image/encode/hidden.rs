//! What invisible pixels hold, which matters although nobody sees them.
//!
//! Decoders blend the chroma of neighbours and encoders smear across edges, so colours that hide
//! behind alpha show as a fringe around what is visible, and cost bytes.

use crate::image::{Pixels, pixels::Layout};

const BLOCK: usize = 8;

/// Gives each invisible pixel the mean visible colour of its neighbourhood, or black where there
/// is none. Depends on nothing farther than two blocks, so that frames of an animation differ
/// only near what moves.
pub(super) fn filled(image: &Pixels) -> Pixels {
    let mut filled = image.clone();
    if image.layout() == Layout::Rgb {
        return filled;
    }
    let width = image.width() as usize;
    let (columns, rows) = (
        width.div_ceil(BLOCK),
        (image.height() as usize).div_ceil(BLOCK),
    );
    // Sums of premultiplied red, green and blue, and of alpha.
    let mut sums = vec![[0u32; 4]; columns * rows];
    for (i, p) in image.data().as_chunks::<4>().0.iter().enumerate() {
        let sum = &mut sums[i / width / BLOCK * columns + i % width / BLOCK];
        let alpha = u32::from(p[3]);
        (0..3).for_each(|c| sum[c] += u32::from(p[c]) * alpha);
        sum[3] += alpha;
    }
    let around = |index: usize| {
        let (x, y) = (index % columns, index / columns);
        let mut total = [0u32; 4];
        for y in y.saturating_sub(1)..=(y + 1).min(rows - 1) {
            for x in x.saturating_sub(1)..=(x + 1).min(columns - 1) {
                (0..4).for_each(|c| total[c] += sums[y * columns + x][c]);
            }
        }
        let weight = total[3].max(1);
        [total[0], total[1], total[2]].map(|c| (c / weight) as u8)
    };
    let fills: Vec<[u8; 3]> = (0..sums.len()).map(around).collect();
    for (i, p) in filled
        .data_mut()
        .as_chunks_mut::<4>()
        .0
        .iter_mut()
        .enumerate()
    {
        if p[3] == 0 {
            p[..3].copy_from_slice(&fills[i / width / BLOCK * columns + i % width / BLOCK]);
        }
    }
    filled
}
