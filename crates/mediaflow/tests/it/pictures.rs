//! Pictures made by the tests themselves.

use mediaflow_media::image::Pixels;
use mediaflow_media::image::encode::{Metadata, jpeg, png};
use mediaflow_media::image::pixels::Layout;

fn pixels(width: u32, height: u32, layout: Layout, color: impl Fn(u32, u32) -> [u8; 4]) -> Pixels {
    let mut data = Vec::new();
    for y in 0..height {
        for x in 0..width {
            data.extend_from_slice(&color(x, y)[..layout.channels()]);
        }
    }
    Pixels::new(width, height, layout, data)
}

/// A soft pattern that differs with `seed`.
pub(crate) fn photo(width: u32, height: u32, seed: u32) -> Vec<u8> {
    let picture = pixels(width, height, Layout::Rgb, |x, y| {
        let wave = |n: u32, step: u32| {
            (((n * step + seed * 37) % 512) as i32 - 256)
                .unsigned_abs()
                .min(255) as u8
        };
        [wave(x, 2), wave(y, 3), wave(x + y, 1 + seed % 5), 255]
    });
    let options = jpeg::JpegOptions::default();
    jpeg::encode(&picture, &options, &Metadata::default())
        .unwrap()
        .bytes
}

/// One colour, as JPEG.
pub(crate) fn plain(rgb: [u8; 3]) -> Vec<u8> {
    let picture = pixels(200, 150, Layout::Rgb, |_, _| [rgb[0], rgb[1], rgb[2], 255]);
    let options = jpeg::JpegOptions::default();
    jpeg::encode(&picture, &options, &Metadata::default())
        .unwrap()
        .bytes
}

/// A disc on nothing, as PNG.
pub(crate) fn badge(side: u32) -> Vec<u8> {
    let picture = pixels(side, side, Layout::Rgba, |x, y| {
        let (dx, dy) = (x as f32 - side as f32 / 2.0, y as f32 - side as f32 / 2.0);
        let inside = dx.hypot(dy) < side as f32 / 2.5;
        [200, 40, 90, if inside { 255 } else { 0 }]
    });
    png::encode(&picture, png::PngEffort::Fast, &Metadata::default())
        .unwrap()
        .bytes
}
