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

/// A PNG whose size can be read, and whose pixels cannot.
pub(crate) fn torn_badge() -> Vec<u8> {
    let mut torn = badge(200);
    let middle = torn.len() / 2;
    torn[middle] ^= 0xff;
    torn
}

/// A photograph that tells where it was taken: 47 degrees, 22 minutes and 12.3456 seconds north, 8, 32 and 54.321 east.
pub(crate) fn located(seed: u32) -> Vec<u8> {
    let rationals = |numbers: [(u32, u32); 3]| {
        let bytes = numbers.map(|(n, d)| [n.to_le_bytes(), d.to_le_bytes()].concat());
        bytes.concat()
    };
    let entry = |tag: u16, kind: u16, count: u32, value: u32| {
        let head = [tag.to_le_bytes(), kind.to_le_bytes()].concat();
        [head, [count, value].map(u32::to_le_bytes).concat()].concat()
    };
    // The directory with the pointer to that of positions ends at 26, that one at 80, where its numbers are.
    let mut tiff = b"II*\0\x08\0\0\0".to_vec();
    tiff.extend([1, 0]);
    tiff.extend(entry(0x8825, 4, 1, 26));
    tiff.extend([0; 4]);
    tiff.extend([4, 0]);
    tiff.extend(entry(1, 2, 2, u32::from(b'N')));
    tiff.extend(entry(2, 5, 3, 80));
    tiff.extend(entry(3, 2, 2, u32::from(b'E')));
    tiff.extend(entry(4, 5, 3, 104));
    tiff.extend([0; 4]);
    assert_eq!(tiff.len(), 80);
    tiff.extend(rationals([(47, 1), (22, 1), (123_456, 10_000)]));
    tiff.extend(rationals([(8, 1), (32, 1), (54_321, 1000)]));
    let mut segment = b"\xff\xe1".to_vec();
    let length = u16::try_from(2 + 6 + tiff.len()).unwrap();
    segment.extend(length.to_be_bytes());
    segment.extend(b"Exif\0\0");
    segment.extend(tiff);
    let mut file = photo(320, 240, seed);
    file.splice(2..2, segment);
    file
}
