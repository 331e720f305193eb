use mediaflow_media::image::{
    DecodeOptions, ImageLimits, InspectOptions, Pixels, decode, inspect, probe,
};

use crate::make;

fn corner(pixels: &Pixels, right: bool, bottom: bool) -> [u8; 3] {
    let (w, h) = (pixels.width() as usize, pixels.height() as usize);
    let (x, y) = (
        if right { w - 8 } else { 8 },
        if bottom { h - 8 } else { 8 },
    );
    let at = (y * w + x) * pixels.layout().channels();
    pixels.data()[at..at + 3].try_into().unwrap()
}

/// The colour's letter: red, green, blue or white.
fn letter([r, g, b]: [u8; 3]) -> char {
    match (r > 150, g > 150, b > 150) {
        (true, false, false) => 'r',
        (false, true, false) => 'g',
        (false, false, true) => 'b',
        (true, true, true) => 'w',
        _ => '?',
    }
}

fn corners(bytes: &[u8]) -> (u32, u32, String) {
    let pixels = decode(bytes, &DecodeOptions::default()).unwrap();
    let letters = [(false, false), (true, false), (false, true), (true, true)];
    (
        pixels.width(),
        pixels.height(),
        letters
            .iter()
            .map(|&(r, b)| letter(corner(&pixels, r, b)))
            .collect(),
    )
}

#[test]
fn all_eight_orientations_end_upright() {
    // What a viewer sees of a picture stored as  r g / b w  under each value of the tag.
    let seen = [
        "rgbw", "grwb", "wbgr", "bwrg", "rbgw", "brwg", "wgbr", "gwrb",
    ];
    let rgb = decode(make::QUADRANTS_JPEG, &DecodeOptions::default()).unwrap();
    let png = make::png(
        (128, 96),
        png::ColorType::Rgb,
        png::BitDepth::Eight,
        rgb.data(),
    );
    for (tag, seen) in (1u16..=8).zip(seen) {
        let jpeg = make::exif_segment(make::QUADRANTS_JPEG, &[make::orientation(tag)]);
        let png = make::with_chunk(&png, b"eXIf", &make::exif(&[make::orientation(tag)]));
        let (width, height) = if tag < 5 { (128, 96) } else { (96, 128) };
        for file in [&jpeg, &png] {
            assert_eq!(
                corners(file),
                (width, height, seen.to_owned()),
                "orientation {tag}"
            );
            let probe = probe(file, &ImageLimits::default(), None).unwrap();
            assert_eq!((probe.width, probe.height), (width, height));
            let info = inspect(file, &InspectOptions::default()).unwrap();
            assert_eq!(
                (info.width, info.height, u16::from(info.orientation)),
                (width, height, tag)
            );
        }
    }
}

#[test]
fn an_orientation_that_makes_no_sense_means_upright() {
    for tag in [0, 9, 4711] {
        let jpeg = make::exif_segment(make::QUADRANTS_JPEG, &[make::orientation(tag)]);
        assert_eq!(corners(&jpeg), (128, 96, "rgbw".to_owned()));
    }
}

#[test]
fn the_corpus_shows_one_picture_eight_times() {
    let Some(corpus) = make::corpus() else { return };
    for kind in ["Landscape", "Portrait"] {
        let picture = |n: u32| {
            let bytes = std::fs::read(corpus.join(format!("images/{kind}_{n}.jpg"))).unwrap();
            decode(&bytes, &DecodeOptions::default()).unwrap()
        };
        let first = picture(1);
        for n in 2..=8 {
            let other = picture(n);
            assert_eq!(
                (first.width(), first.height()),
                (other.width(), other.height())
            );
            let sum: u64 = first
                .data()
                .iter()
                .zip(other.data())
                .map(|(a, b)| u64::from(a.abs_diff(*b)))
                .sum();
            let mean = sum as f64 / first.data().len() as f64;
            assert!(
                mean < 12.0,
                "{kind}_{n} differs from the first by {mean:.1} on average"
            );
        }
    }
}
