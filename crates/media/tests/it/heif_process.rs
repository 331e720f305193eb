//! HEIC and AVIF through the helper, as a server would read them.

use std::path::PathBuf;
use std::time::Duration;

use mediaflow_media::image::heif::{HeifHelper, dimensions};
use mediaflow_media::image::{HeifReader, ImageLimits, RawImage};
use mediaflow_media::sandbox::SandboxMode;

use crate::child;

const RED: [u32; 3] = [200, 30, 30];
const GREEN: [u32; 3] = [30, 180, 40];
const BLUE: [u32; 3] = [20, 40, 190];
const GREY: [u32; 3] = [128, 128, 128];

fn helper() -> HeifHelper {
    HeifHelper {
        program: child::program(),
        args_prefix: vec![child::HELPER.into()],
        mode: SandboxMode::Require,
        wall: Duration::from_secs(30),
    }
}

fn sample(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/heif")
        .join(name);
    std::fs::read(path).unwrap()
}

fn corpus(name: &str) -> Option<Vec<u8>> {
    let folder = std::env::var_os("MEDIAFLOW_CORPUS")?;
    Some(std::fs::read(PathBuf::from(folder).join(name)).unwrap())
}

fn decode(bytes: &[u8]) -> RawImage {
    let image = helper().decode(bytes, &ImageLimits::default()).unwrap();
    let bytes_per_pixel = image.channels as usize * image.bit_depth as usize / 8;
    assert_eq!(
        image.data.len(),
        image.width as usize * image.height as usize * bytes_per_pixel
    );
    image
}

/// Mean of the inside of a quarter (0 to 3, left to right, top to bottom), on a scale of 255.
fn mean(image: &RawImage, quarter: u32) -> Vec<u32> {
    let channels = image.channels as usize;
    let (half_w, half_h) = (image.width / 2, image.height / 2);
    let (left, top) = (quarter % 2 * half_w, quarter / 2 * half_h);
    let mut sums = vec![0u64; channels];
    let mut pixels = 0;
    for y in top + 4..top + half_h - 4 {
        for x in left + 4..left + half_w - 4 {
            pixels += 1;
            for (c, sum) in sums.iter_mut().enumerate() {
                let at = (y * image.width + x) as usize * channels + c;
                *sum += match image.bit_depth {
                    8 => image.data[at] as u64 * 257,
                    _ => u16::from_le_bytes([image.data[2 * at], image.data[2 * at + 1]]) as u64,
                };
            }
        }
    }
    sums.iter().map(|sum| (sum / pixels / 257) as u32).collect()
}

#[track_caller]
fn shows(name: &str, size: (u32, u32), quarters: [[u32; 3]; 4]) -> RawImage {
    let bytes = sample(name);
    assert_eq!(
        dimensions(&bytes),
        Some(size),
        "{name}: size from the boxes"
    );
    let image = decode(&bytes);
    assert_eq!((image.width, image.height), size, "{name}");
    for (quarter, expected) in quarters.into_iter().enumerate() {
        let seen = mean(&image, quarter as u32);
        let near = seen
            .iter()
            .zip(expected)
            .all(|(seen, wanted)| seen.abs_diff(wanted) <= 4);
        assert!(
            near,
            "{name}, quarter {quarter}: {seen:?} instead of {expected:?}"
        );
    }
    image
}

const UPRIGHT: [[u32; 3]; 4] = [RED, GREEN, BLUE, GREY];

#[test]
fn colours_and_depths_are_right() {
    for (name, bits) in [
        ("quarters.heic", 8),
        ("quarters.avif", 8),
        ("10bit.heic", 16),
        ("12bit.avif", 16),
    ] {
        let image = shows(name, (64, 48), UPRIGHT);
        assert_eq!((image.bit_depth, image.channels), (bits, 3), "{name}");
    }
}

#[test]
fn wide_colours_stay_as_they_are_and_are_named() {
    let image = shows("10bit-pq.avif", (64, 48), UPRIGHT);
    let nclx = image.nclx.unwrap();
    assert_eq!((nclx.primaries, nclx.transfer), (9, 16));
    let probe = helper()
        .probe(&sample("10bit-pq.avif"), &ImageLimits::default())
        .unwrap();
    assert_eq!((probe.bit_depth, probe.nclx.unwrap().transfer), (10, 16));
}

#[test]
fn alpha_comes_along_straight() {
    for name in ["alpha.heic", "alpha.avif"] {
        let image = shows(name, (64, 48), UPRIGHT);
        assert_eq!(image.channels, 4, "{name}");
        let alphas: Vec<_> = (0..4).map(|quarter| mean(&image, quarter)[3]).collect();
        assert!(alphas[0] > 250 && alphas[2] > 250, "{name}: {alphas:?}");
        assert!(
            alphas[1].abs_diff(64) < 4 && alphas[3].abs_diff(64) < 4,
            "{name}: {alphas:?}"
        );
    }
}

#[test]
fn rotation_mirror_and_crop_boxes_are_obeyed() {
    shows("rotated.heic", (48, 64), [GREEN, GREY, RED, BLUE]);
    // Middle half of the width, turned anticlockwise, top and bottom swapped.
    shows(
        "cropped-turned-mirrored.avif",
        (48, 32),
        [RED, BLUE, GREEN, GREY],
    );
}

#[test]
fn tiles_make_one_picture_or_none() {
    shows("grid.avif", (64, 48), UPRIGHT);
    let error = helper()
        .decode(&sample("grid-truncated.avif"), &ImageLimits::default())
        .unwrap_err();
    assert_eq!(error.code, "input.corrupt", "{error}");
}

#[test]
fn metadata_comes_with_the_probe() {
    let probe = helper()
        .probe(&sample("quarters.heic"), &ImageLimits::default())
        .unwrap();
    assert_eq!(
        (probe.width, probe.height, probe.has_alpha),
        (64, 48, false)
    );
    let exif = probe.exif.unwrap();
    assert!(
        exif.starts_with(b"II") || exif.starts_with(b"MM"),
        "{:?}",
        &exif[..8]
    );
    assert!(exif.windows(9).any(|w| w == b"MediaFlow"));
    assert!(probe.xmp.unwrap().starts_with(b"<x:xmpmeta"));
}

#[test]
fn too_many_pixels_are_refused_before_a_process_starts() {
    let mut nowhere = helper();
    nowhere.program = "/nonexistent".into();
    let error = nowhere
        .decode(&sample("bomb.avif"), &ImageLimits::default())
        .unwrap_err();
    assert_eq!(error.code, "limit.pixels");

    let narrow = ImageLimits {
        side_max: 50,
        ..ImageLimits::default()
    };
    assert_eq!(
        helper()
            .probe(&sample("grid.avif"), &narrow)
            .unwrap_err()
            .code,
        "limit.pixels"
    );
}

#[test]
fn other_codecs_in_the_same_container_are_unsupported() {
    let error = helper()
        .decode(&sample("vvc.heif"), &ImageLimits::default())
        .unwrap_err();
    assert_eq!(error.code, "input.unsupported", "{error}");
}

#[test]
fn a_helper_that_is_not_one_is_a_crash_and_not_an_image() {
    let mut liar = helper();
    liar.args_prefix = vec![child::ACTOR.into(), "say".into(), "{\"version\":1}".into()];
    let error = liar
        .decode(&sample("grid.avif"), &ImageLimits::default())
        .unwrap_err();
    assert_eq!(error.code, "decoder.crashed", "{error}");
}

/// Every outcome is fine that is an image or an error of ours; hanging and crashing are not.
fn survives(bytes: &[u8], what: &str) {
    let _ = dimensions(bytes);
    if let Err(error) = helper().decode(bytes, &ImageLimits::default()) {
        let expected = [
            "input.corrupt",
            "input.unsupported",
            "limit.pixels",
            "limit.memory",
        ];
        assert!(expected.contains(&error.code), "{what}: {error}");
    }
}

#[test]
fn damaged_files_are_refused_and_harm_nobody() {
    survives(b"", "nothing");
    survives(b"\0\0\0\x1cftypheic", "a start");
    survives(&[0xff; 4096], "noise");
    for name in ["quarters.heic", "alpha.avif", "grid.avif"] {
        let whole = sample(name);
        for part in 1..6 {
            survives(
                &whole[..whole.len() * part / 6],
                &format!("{name}, {part}/6 of it"),
            );
        }
        let mut random = 0x9e37_79b9_u32;
        for _ in 0..12 {
            let mut flipped = whole.clone();
            for _ in 0..3 {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let at = (random >> 8) as usize % flipped.len();
                flipped[at] ^= 1 << (random >> 5 & 7);
            }
            survives(&flipped, &format!("{name}, flipped ({random:#x})"));
        }
    }
}

#[test]
fn the_box_walk_survives_any_damage() {
    for name in ["quarters.heic", "grid.avif", "cropped-turned-mirrored.avif"] {
        let whole = sample(name);
        for end in 0..whole.len() {
            let _ = dimensions(&whole[..end]);
        }
        for at in 0..whole.len() {
            for byte in [0x00, 0x01, 0x7f, 0x80, 0xff] {
                let mut damaged = whole.clone();
                damaged[at] = byte;
                let _ = dimensions(&damaged);
            }
        }
    }
}

#[test]
fn photos_of_phones_and_cameras_decode() {
    if let Some(bytes) = corpus("exif/heic_IMG_5195.HEIC") {
        let image = decode(&bytes);
        assert_eq!(dimensions(&bytes), Some((image.width, image.height)));
        assert_eq!((image.width, image.height, image.channels), (2566, 3313, 3));
        assert!(image.icc.is_some());
        let probe = helper().probe(&bytes, &ImageLimits::default()).unwrap();
        assert_eq!((probe.width, probe.height), (image.width, image.height));
        assert!(probe.exif.unwrap().windows(5).any(|w| w == b"Apple"));
    }
    if let Some(bytes) = corpus("images/sdr_cosmos12920_cicp1-13-6_yuv444_full_qp10.avif") {
        let image = decode(&bytes);
        assert_eq!(dimensions(&bytes), Some((image.width, image.height)));
        let nclx = image.nclx.unwrap();
        assert_eq!((nclx.primaries, nclx.transfer, nclx.matrix), (1, 13, 6));
    }
}
