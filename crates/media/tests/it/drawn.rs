//! Pictures that the tests draw themselves, the same every time.

use mediaflow_media::image::{Pixels, pixels::Layout};

/// An image whose pixel at (x, y) is `color(x, y)`.
pub(crate) fn rgb(width: u32, height: u32, color: impl Fn(u32, u32) -> [u8; 3]) -> Pixels {
    let data = (0..height)
        .flat_map(|y| (0..width).map(move |x| (x, y)))
        .flat_map(|(x, y)| color(x, y))
        .collect();
    Pixels::new(width, height, Layout::Rgb, data)
}

/// As `rgb`, with straight alpha.
pub(crate) fn rgba(width: u32, height: u32, color: impl Fn(u32, u32) -> [u8; 4]) -> Pixels {
    let data = (0..height)
        .flat_map(|y| (0..width).map(move |x| (x, y)))
        .flat_map(|(x, y)| color(x, y))
        .collect();
    Pixels::new(width, height, Layout::Rgba, data)
}

/// Something like a photograph: soft light, an edge, and a little grain.
pub(crate) fn scene(width: u32, height: u32) -> Pixels {
    rgb(width, height, |x, y| {
        let (u, v) = (
            f64::from(x) / f64::from(width),
            f64::from(y) / f64::from(height),
        );
        let sun = (-((u - 0.7).powi(2) + (v - 0.3).powi(2)) * 12.0).exp();
        let ground = if v > 0.6 + 0.1 * (u * 9.0).sin() {
            0.45
        } else {
            1.0
        };
        let grain = f64::from(
            x.wrapping_mul(0x9E37_79B1)
                .wrapping_add(y.wrapping_mul(0x85EB_CA77))
                >> 13
                & 7,
        ) - 3.5;
        let light = |base: f64, warm: f64| {
            (ground * (base * (1.0 - 0.4 * v) + warm * sun) + grain).clamp(0.0, 255.0)
        };
        [light(90.0, 150.0), light(120.0, 110.0), light(170.0, 40.0)].map(|c| c as u8)
    })
}

/// Left half solid red, right half invisible and, beneath that, blue.
pub(crate) fn red_beside_hidden_blue(width: u32, height: u32) -> Pixels {
    rgba(width, height, |x, _| {
        if x < width / 2 {
            [255, 0, 0, 255]
        } else {
            [0, 0, 255, 0]
        }
    })
}

/// The pixel at (x, y).
pub(crate) fn at(image: &Pixels, x: u32, y: u32) -> &[u8] {
    let channels = image.layout().channels();
    &image.data()[(y as usize * image.width() as usize + x as usize) * channels..][..channels]
}

/// Peak signal-to-noise ratio over the colour channels, in dB.
pub(crate) fn psnr(a: &Pixels, b: &Pixels) -> f64 {
    assert_eq!((a.width(), a.height()), (b.width(), b.height()));
    let pairs = a
        .data()
        .chunks_exact(a.layout().channels())
        .zip(b.data().chunks_exact(b.layout().channels()));
    let error: f64 = pairs
        .flat_map(|(p, q)| (0..3).map(move |c| (f64::from(p[c]) - f64::from(q[c])).powi(2)))
        .sum();
    let mean = error / (f64::from(a.width()) * f64::from(a.height()) * 3.0);
    if mean == 0.0 {
        f64::INFINITY
    } else {
        10.0 * (255.0 * 255.0 / mean).log10()
    }
}
