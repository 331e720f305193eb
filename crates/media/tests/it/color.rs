use mediaflow_media::image::pixels::Layout;
use mediaflow_media::image::{DecodeOptions, InspectOptions, decode, inspect};
use moxcms::ColorProfile;
use png::{BitDepth, ColorType};

use crate::make;

fn assert_close(actual: &[u8], expected: &[u8], tolerance: u8, what: &str) {
    let close = actual.len() == expected.len()
        && actual
            .iter()
            .zip(expected)
            .all(|(a, e)| a.abs_diff(*e) <= tolerance);
    assert!(close, "{what}: {actual:?} instead of {expected:?}");
}

fn first_pixel(bytes: &[u8]) -> Vec<u8> {
    let pixels = decode(bytes, &DecodeOptions::default()).unwrap();
    pixels.data()[..pixels.layout().channels()].to_vec()
}

fn rgb_png(rgb: [u8; 3], sixteen: bool) -> Vec<u8> {
    if sixteen {
        let data: Vec<u8> = rgb.iter().flat_map(|v| [*v, *v]).collect();
        make::png((1, 1), ColorType::Rgb, BitDepth::Sixteen, &data)
    } else {
        make::png((1, 1), ColorType::Rgb, BitDepth::Eight, &rgb)
    }
}

#[test]
fn wide_gamut_profiles_become_srgb() {
    // Computed from the definitions of the colour spaces in floating point.
    let cases = [
        (
            ColorProfile::new_display_p3(),
            [200, 100, 80],
            [215, 93, 73],
        ),
        (
            ColorProfile::new_display_p3(),
            [120, 180, 60],
            [100, 182, 26],
        ),
        (
            ColorProfile::new_display_p3(),
            [128, 128, 128],
            [128, 128, 128],
        ),
        (
            ColorProfile::new_adobe_rgb(),
            [180, 120, 90],
            [200, 121, 88],
        ),
        (
            ColorProfile::new_adobe_rgb(),
            [120, 160, 100],
            [99, 162, 96],
        ),
    ];
    for (profile, stored, shown) in cases {
        for sixteen in [false, true] {
            let png = make::with_profile(&rgb_png(stored, sixteen), &profile.encode().unwrap());
            assert_close(&first_pixel(&png), &shown, 1, "ICC");
        }
    }
}

#[test]
fn profiles_are_named() {
    for (profile, name) in [
        (ColorProfile::new_srgb(), "srgb"),
        (ColorProfile::new_display_p3(), "display-p3"),
        (ColorProfile::new_adobe_rgb(), "adobe-rgb"),
        (ColorProfile::new_pro_photo_rgb(), "prophoto-rgb"),
        (ColorProfile::new_bt2020(), "rec2020"),
    ] {
        let png = make::with_profile(&rgb_png([1, 2, 3], false), &profile.encode().unwrap());
        let info = inspect(&png, &InspectOptions::default()).unwrap();
        assert_eq!(info.color_space, name);
        assert!(info.icc_profile.is_some());
    }
}

#[test]
fn values_stay_exactly_as_they_are_where_nothing_is_to_be_converted() {
    let data = make::gradient(40, 30);
    let plain = make::png((40, 30), ColorType::Rgb, BitDepth::Eight, &data);
    let srgb = make::with_profile(&plain, &ColorProfile::new_srgb().encode().unwrap());
    let broken = make::with_profile(&plain, b"this is no profile at all, however long it may be");
    let gamma = make::with_chunk(&plain, b"gAMA", &45_455u32.to_be_bytes());
    for file in [plain, srgb, broken, gamma] {
        assert_eq!(
            decode(&file, &DecodeOptions::default()).unwrap().data(),
            data
        );
    }
}

#[test]
fn a_profile_can_be_kept() {
    let icc = ColorProfile::new_display_p3().encode().unwrap();
    let png = make::with_profile(&rgb_png([200, 100, 80], true), &icc);
    let pixels = decode(
        &png,
        &DecodeOptions {
            keep_profile: true,
            ..DecodeOptions::default()
        },
    )
    .unwrap();
    assert_eq!(pixels.data(), [200, 100, 80]);
    assert_eq!(pixels.icc.as_deref(), Some(&icc[..]));
}

#[test]
fn grey_with_a_profile_and_alpha() {
    let icc = ColorProfile::new_gray_with_gamma(1.0).encode().unwrap();
    for (depth, data) in [
        (BitDepth::Eight, vec![55, 200]),
        (BitDepth::Sixteen, vec![55, 55, 200, 200]),
    ] {
        let png = make::png((1, 1), ColorType::GrayscaleAlpha, depth, &data);
        // Linear 0.2157 is 0.5018 in sRGB.
        assert_close(
            &first_pixel(&make::with_profile(&png, &icc)),
            &[128, 128, 128, 200],
            1,
            "grey",
        );
    }
}

#[test]
fn png_gamma_and_code_points() {
    let plain = rgb_png([55, 55, 55], false);
    let linear = make::with_chunk(&plain, b"gAMA", &100_000u32.to_be_bytes());
    assert_close(&first_pixel(&linear), &[128, 128, 128], 1, "gAMA");
    // sRGB beats gAMA, cICP beats both.
    let srgb = make::with_chunk(&linear, b"sRGB", &[0]);
    assert_close(&first_pixel(&srgb), &[55, 55, 55], 0, "sRGB");
    let p3 = make::with_chunk(&rgb_png([200, 100, 80], false), b"cICP", &[12, 13, 0, 1]);
    assert_close(&first_pixel(&p3), &[215, 93, 73], 1, "cICP P3");
    assert_eq!(
        inspect(&p3, &InspectOptions::default())
            .unwrap()
            .color_space,
        "display-p3"
    );
}

#[test]
fn pq_is_tone_mapped() {
    let shade = |v: u8| {
        first_pixel(&make::with_chunk(
            &rgb_png([v; 3], true),
            b"cICP",
            &[9, 16, 0, 1],
        ))[0]
    };
    // 58% of PQ is reference white (203 cd/m2): bright, but with room above it.
    assert!((205..=245).contains(&shade(148)), "{}", shade(148));
    assert_eq!(shade(0), 0);
    assert!(shade(220) >= 253);
    let png = make::with_chunk(&rgb_png([9; 3], true), b"cICP", &[9, 18, 0, 1]);
    let info = inspect(&png, &InspectOptions::default()).unwrap();
    assert_eq!((info.transfer, info.color_space), (Some("hlg"), "rec2020"));
}

#[test]
fn ink_without_a_profile_looks_like_print() {
    let pixels = decode(make::CMYK_JPEG, &DecodeOptions::default()).unwrap();
    assert_eq!(pixels.layout(), Layout::Rgb);
    let at = |x: usize, y: usize| &pixels.data()[(y * 32 + x) * 3..][..3];
    assert_close(at(4, 4), &[0, 160, 222], 6, "cyan");
    assert_close(at(28, 4), &[228, 0, 126], 6, "magenta");
    assert_close(at(4, 28), &[255, 240, 0], 6, "yellow");
    assert_close(at(28, 28), &[38, 34, 35], 6, "black");

    let pixels = decode(make::CMYK_TIFF, &DecodeOptions::default()).unwrap();
    assert_close(&pixels.data()[..3], &[0, 160, 222], 2, "cyan in TIFF");
    assert_close(
        &pixels.data()[15 * 16 * 3..][..3],
        &[226, 32, 38],
        2,
        "red in TIFF",
    );
    assert_eq!(
        inspect(make::CMYK_TIFF, &InspectOptions::default())
            .unwrap()
            .color_space,
        "cmyk"
    );
}
