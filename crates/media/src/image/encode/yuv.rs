//! BT.601 4:2:0 planes: full range for AVIF (JPEG's own colour model), limited range for WebP.
//!
//! For WebP this replaces libwebp's conversion, which averages chroma in linear light and scores
//! a little worse for it.

use crate::image::{Pixels, pixels::Layout};

/// Three planes without padding; the chroma planes have half the sides, rounded up.
pub(super) struct Planes {
    pub y: Vec<u8>,
    pub u: Vec<u8>,
    pub v: Vec<u8>,
    pub width: usize,
    pub chroma_width: usize,
}

/// Fixed point with 15 bits: the rows of a matrix, and what black is.
struct Matrix {
    y: [i32; 3],
    u: [i32; 3],
    v: [i32; 3],
    black: i32,
}

/// Luma sums to one and chroma to zero, over 0 to 255.
const FULL: Matrix = Matrix {
    y: [9_798, 19_235, 3_735],
    u: [-5_529, -10_855, 16_384],
    v: [16_384, -13_720, -2_664],
    black: 0,
};

/// Luma from 16 to 235, chroma from 16 to 240.
const LIMITED: Matrix = Matrix {
    y: [8_414, 16_519, 3_208],
    u: [-4_857, -9_535, 14_392],
    v: [14_392, -12_052, -2_340],
    black: 16,
};

/// What AVIF encodes.
pub(super) fn full_range(image: &Pixels) -> Planes {
    planes(image, &FULL)
}

/// What WebP encodes.
pub(super) fn limited_range(image: &Pixels) -> Planes {
    planes(image, &LIMITED)
}

fn planes(image: &Pixels, matrix: &Matrix) -> Planes {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let (chroma_width, chroma_height) = (width.div_ceil(2), height.div_ceil(2));
    let mut planes = Planes {
        y: vec![0; width * height],
        u: vec![0; chroma_width * chroma_height],
        v: vec![0; chroma_width * chroma_height],
        width,
        chroma_width,
    };
    match image.layout() {
        Layout::Rgb => convert::<3>(image.data(), &mut planes, matrix),
        Layout::Rgba => convert::<4>(image.data(), &mut planes, matrix),
    }
    planes
}

fn convert<const CHANNELS: usize>(data: &[u8], planes: &mut Planes, matrix: &Matrix) {
    let [r, g, b] = matrix.y;
    let black = (matrix.black << 15) + (1 << 14);
    let width = planes.width;
    let chroma = planes
        .u
        .chunks_exact_mut(planes.chroma_width)
        .zip(planes.v.chunks_exact_mut(planes.chroma_width));
    let pairs = data
        .chunks(2 * width * CHANNELS)
        .zip(planes.y.chunks_mut(2 * width));
    for ((rgb, luma), (us, vs)) in pairs.zip(chroma) {
        for (y, p) in luma.iter_mut().zip(rgb.as_chunks::<CHANNELS>().0) {
            let sum = r * i32::from(p[0]) + g * i32::from(p[1]) + b * i32::from(p[2]);
            *y = ((sum + black) >> 15) as u8;
        }
        // The last row of an odd image stands in for the one below it.
        let (top, below) = rgb.split_at(width * CHANNELS);
        let below = if below.is_empty() { top } else { below };
        let (top, below) = (
            top.as_chunks::<CHANNELS>().0,
            below.as_chunks::<CHANNELS>().0,
        );
        let whole = width / 2;
        let squares = top.as_chunks::<2>().0.iter().zip(below.as_chunks::<2>().0);
        for (((t, b), u), v) in squares.zip(&mut us[..whole]).zip(&mut vs[..whole]) {
            (*u, *v) = mean(matrix, t[0], t[1], b[0], b[1]);
        }
        if width % 2 == 1 {
            let (t, b) = (top[width - 1], below[width - 1]);
            (us[whole], vs[whole]) = mean(matrix, t, t, b, b);
        }
    }
}

/// The chroma of four neighbours, rounded once.
#[inline(always)]
fn mean<const C: usize>(
    matrix: &Matrix,
    a: [u8; C],
    b: [u8; C],
    c: [u8; C],
    d: [u8; C],
) -> (u8, u8) {
    let sum = |i: usize| i32::from(a[i]) + i32::from(b[i]) + i32::from(c[i]) + i32::from(d[i]);
    let (r, g, b) = (sum(0), sum(1), sum(2));
    let chroma = |m: [i32; 3]| {
        // Just below one half, so that pure blue and red reach 255 and not 256.
        let value = (m[0] * r + m[1] * g + m[2] * b + (128 << 17) + (1 << 16) - 1) >> 17;
        value.clamp(0, 255) as u8
    };
    (chroma(matrix.u), chroma(matrix.v))
}

/// The alpha channel as a picture without chroma.
pub(super) fn alpha(image: &Pixels) -> Planes {
    let y = image
        .data()
        .chunks_exact(image.layout().channels())
        .map(|p| p.get(3).map_or(255, |a| *a))
        .collect();
    Planes {
        y,
        u: Vec::new(),
        v: Vec::new(),
        width: image.width() as usize,
        chroma_width: 0,
    }
}
