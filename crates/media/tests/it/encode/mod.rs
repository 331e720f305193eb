//! Every encoder, read back by a decoder that knows nothing of it.

mod animation;
mod metadata;

use mediaflow_media::MediaError;
use mediaflow_media::image::encode::avif::{self, AvifOptions};
use mediaflow_media::image::encode::jpeg::{self, JpegOptions, Subsampling};
use mediaflow_media::image::encode::png::{self, PngEffort};
use mediaflow_media::image::encode::webp::{self, WebpOptions};
use mediaflow_media::image::encode::{Encoded, Metadata};
use mediaflow_media::image::{Pixels, pixels::Layout};

use crate::{drawn, reading};

pub(crate) type Encode = fn(&Pixels, &Metadata<'_>) -> Result<Encoded, MediaError>;
pub(crate) type Read = fn(&[u8]) -> Pixels;

/// Name, encoder at its default, reader, largest side.
pub(crate) const FORMATS: [(&str, Encode, Read, u32); 4] = [
    (
        "jpeg",
        |p, m| jpeg::encode(p, &JpegOptions::default(), m),
        reading::jpeg,
        65_500,
    ),
    (
        "png",
        |p, m| png::encode(p, PngEffort::default(), m),
        reading::png,
        65_535,
    ),
    (
        "webp",
        |p, m| webp::encode(p, &WebpOptions::default(), m),
        reading::webp_still,
        16_383,
    ),
    (
        "avif",
        |p, m| avif::encode(p, &AvifOptions::default(), m),
        reading::avif,
        65_535,
    ),
];

#[test]
fn a_scene_survives() {
    let scene = drawn::scene(333, 251);
    for (name, encode, read, _) in FORMATS {
        let file = encode(&scene, &Metadata::default()).unwrap();
        assert_eq!(file.media_type, format!("image/{name}"));
        let psnr = drawn::psnr(&scene, &read(&file.bytes));
        assert!(psnr > 33.0, "{name} has only {psnr:.1} dB");
        assert!(
            name == "png" || file.bytes.len() < scene.bytes() / 10,
            "{name}: {} bytes",
            file.bytes.len()
        );
    }
}

#[test]
fn lossless_means_lossless() {
    let scene = drawn::scene(101, 57);
    let ghost = drawn::rgba(64, 64, |x, y| {
        [x as u8 * 3, y as u8 * 3, 90, 1 + (x * 3) as u8]
    });
    let webp = WebpOptions {
        lossless: true,
        ..WebpOptions::default()
    };
    for image in [scene, ghost] {
        for effort in [PngEffort::Fast, PngEffort::Balanced, PngEffort::High] {
            let file = png::encode(&image, effort, &Metadata::default()).unwrap();
            assert!(
                reading::png(&file.bytes) == image,
                "PNG {effort:?} of {image:?}"
            );
        }
        let file = webp::encode(&image, &webp, &Metadata::default()).unwrap();
        assert!(
            reading::webp_still(&file.bytes) == image,
            "WebP of {image:?}"
        );
    }
}

#[test]
fn a_useless_alpha_channel_is_dropped() {
    let opaque = drawn::rgba(20, 20, |x, y| [x as u8, y as u8, 7, 255]);
    for (name, encode, read, _) in FORMATS {
        let decoded = read(&encode(&opaque, &Metadata::default()).unwrap().bytes);
        assert_eq!(decoded.layout(), Layout::Rgb, "{name}");
    }
}

#[test]
fn smallest_and_oddest_sizes() {
    for (w, h) in [(1, 1), (1, 64), (64, 1), (2, 3), (17, 15), (3, 130)] {
        let grey = drawn::rgb(w, h, |_, _| [120, 130, 140]);
        let glass = drawn::rgba(w, h, |_, _| [120, 130, 140, 100]);
        for (name, encode, read, _) in FORMATS {
            for image in [&grey, &glass] {
                let decoded = read(&encode(image, &Metadata::default()).unwrap().bytes);
                assert_eq!((decoded.width(), decoded.height()), (w, h), "{name}");
                if name != "jpeg" || image.layout() == Layout::Rgb {
                    let psnr = drawn::psnr(image, &decoded);
                    assert!(psnr > 34.0, "{name} of {w}x{h}: {psnr:.1} dB");
                }
            }
        }
    }
}

#[test]
fn too_large_for_the_format() {
    for (name, encode, _, side_max) in FORMATS {
        let long = Pixels::new(
            side_max + 1,
            1,
            Layout::Rgb,
            vec![0; (side_max as usize + 1) * 3],
        );
        let error = encode(&long, &Metadata::default()).unwrap_err();
        assert_eq!(error.code, "limit.pixels", "{name}");
        let fits = Pixels::new(1, side_max, Layout::Rgb, vec![0; side_max as usize * 3]);
        encode(&fits, &Metadata::default()).unwrap_or_else(|e| panic!("{name} at its limit: {e}"));
    }
}

#[test]
fn transparency_survives_without_fringes() {
    let image = drawn::red_beside_hidden_blue(64, 64);
    for (name, encode, read, _) in FORMATS.into_iter().filter(|f| f.0 != "jpeg") {
        let decoded = read(&encode(&image, &Metadata::default()).unwrap().bytes);
        assert_eq!(decoded.layout(), Layout::Rgba, "{name}");
        for x in 0..64 {
            let p = drawn::at(&decoded, x, 30);
            let wanted = if x < 32 { 255u8 } else { 0 };
            assert!(
                p[3].abs_diff(wanted) < 24,
                "{name}: alpha at {x} is {}",
                p[3]
            );
            assert!(
                p[3] < 24 || (p[0] > 220 && p[1] < 32 && p[2] < 32),
                "{name}: a fringe at {x}: {p:?}"
            );
        }
    }
}

#[test]
fn jpeg_lays_transparency_on_white() {
    let decoded = reading::jpeg(
        &jpeg::encode(
            &drawn::red_beside_hidden_blue(64, 64),
            &JpegOptions::default(),
            &Metadata::default(),
        )
        .unwrap()
        .bytes,
    );
    assert!(drawn::at(&decoded, 60, 30).iter().all(|v| *v > 245));
    assert!(drawn::at(&decoded, 4, 30)[0] > 240);
}

#[test]
fn jpeg_options_do_what_they_say() {
    let scene = drawn::scene(320, 240);
    let size = |o: JpegOptions| {
        jpeg::encode(&scene, &o, &Metadata::default())
            .unwrap()
            .bytes
            .len()
    };
    let plain = JpegOptions::default();
    assert!(
        size(JpegOptions {
            quality: 50,
            ..plain
        }) < size(plain)
    );
    assert!(
        size(JpegOptions {
            subsampling: Subsampling::Full,
            ..plain
        }) > size(plain)
    );
    let sequential = JpegOptions {
        progressive: false,
        ..plain
    };
    for (options, frame) in [(sequential, 0xC0), (plain, 0xC2)] {
        let file = jpeg::encode(&scene, &options, &Metadata::default())
            .unwrap()
            .bytes;
        assert!(file.windows(2).any(|m| m == [0xFF, frame]), "{options:?}");
        assert!(drawn::psnr(&scene, &reading::jpeg(&file)) > 33.0);
    }
}

#[test]
fn more_quality_is_closer_in_every_lossy_format() {
    let scene = drawn::scene(200, 150);
    let none = Metadata::default();
    let closer = |name: &str, low: Pixels, high: Pixels| {
        let (low, high) = (drawn::psnr(&scene, &low), drawn::psnr(&scene, &high));
        assert!(high > low + 2.0, "{name}: {low:.1} dB and {high:.1} dB");
    };
    let webp = |quality| {
        webp::encode(
            &scene,
            &WebpOptions {
                quality,
                ..WebpOptions::default()
            },
            &none,
        )
        .unwrap()
        .bytes
    };
    closer(
        "webp",
        reading::webp_still(&webp(30.0)),
        reading::webp_still(&webp(95.0)),
    );
    let avif = |quality| {
        avif::encode(
            &scene,
            &AvifOptions {
                quality,
                ..AvifOptions::default()
            },
            &none,
        )
        .unwrap()
        .bytes
    };
    closer("avif", reading::avif(&avif(30)), reading::avif(&avif(90)));
}
