use std::time::{Duration, Instant};

use mediaflow_media::image::{
    DecodeOptions, ImageLimits, InspectOptions, decode, decode_frames, inspect, probe,
};
use png::{BitDepth, ColorType};
use rustix::time::{ClockId, clock_gettime};

use crate::make::{self, GifFrame};

/// What this thread has computed so far, however busy the machine is.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.try_into().unwrap()
}

/// Small pictures of every format that is read in this process.
fn samples() -> Vec<(&'static str, Vec<u8>)> {
    let rgb = make::gradient(24, 16);
    let wide: Vec<u8> = rgb.iter().flat_map(|v| [*v, 255 - *v]).collect();
    let square = |color, dispose| GifFrame {
        at: (1, 1),
        size: (20, 12),
        color,
        delay_cs: 4,
        dispose,
    };
    let single = GifFrame {
        at: (0, 0),
        size: (24, 16),
        color: 2,
        delay_cs: 0,
        dispose: gif::DisposalMethod::Keep,
    };
    let profile = moxcms::ColorProfile::new_display_p3().encode().unwrap();
    let png = make::png((24, 16), ColorType::Rgb, BitDepth::Eight, &rgb);
    vec![
        ("jpeg", make::QUADRANTS_JPEG.to_vec()),
        (
            "jpeg with EXIF",
            make::exif_segment(make::QUADRANTS_JPEG, &[make::orientation(6)]),
        ),
        ("progressive jpeg", make::PROGRESSIVE_JPEG.to_vec()),
        ("cmyk jpeg", make::CMYK_JPEG.to_vec()),
        ("png with profile", make::with_profile(&png, &profile)),
        (
            "png 16",
            make::png((24, 16), ColorType::Rgb, BitDepth::Sixteen, &wide),
        ),
        (
            "gif",
            make::gif(
                (24, 16),
                &[
                    square(1, gif::DisposalMethod::Previous),
                    square(3, gif::DisposalMethod::Background),
                ],
                gif::Repeat::Infinite,
            ),
        ),
        (
            "still gif",
            make::gif((24, 16), &[single], gif::Repeat::Infinite),
        ),
        ("webp", make::LOSSY_WEBP.to_vec()),
        ("lossless webp", make::lossless_webp(24, 16, &rgb)),
        ("animated webp", make::ANIMATED_WEBP.to_vec()),
        (
            "tiff",
            make::tiff::<tiff::encoder::colortype::RGB8>(24, 16, &rgb),
        ),
        ("lzw tiff", make::LZW_TIFF.to_vec()),
        ("fax tiff", make::FAX_TIFF.to_vec()),
        ("bmp", make::bmp((8, 16), 24, 0, &[], &rgb[..384])),
        (
            "rle bmp",
            make::bmp(
                (4, 2),
                8,
                1,
                &[7; 1024],
                &[0, 3, 1, 2, 3, 0, 0, 2, 1, 1, 4, 1, 0, 1],
            ),
        ),
    ]
}

/// Whatever the bytes are: an answer, and one that the error codes know.
fn survives(name: &str, bytes: &[u8]) {
    let limits = ImageLimits {
        pixels_max: 4_000_000,
        ..ImageLimits::default()
    };
    let options = DecodeOptions {
        limits,
        ..DecodeOptions::default()
    };
    let outcomes = [
        probe(bytes, &limits, None).err(),
        inspect(
            bytes,
            &InspectOptions {
                limits,
                record_positions: true,
                heif: None,
            },
        )
        .err(),
        decode(bytes, &options).err(),
        decode_frames(bytes, &options, &mut |_| Ok(())).err(),
    ];
    for error in outcomes.into_iter().flatten() {
        let known = [
            "input.corrupt",
            "input.unsupported",
            "input.empty",
            "limit.pixels",
            "limit.frames",
            "limit.memory",
        ];
        // A panic that was caught is a bug of a decoder, and true, but never the usual case.
        assert!(
            known.contains(&error.code) || error.code == "decoder.crashed",
            "{name}: {error}"
        );
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

#[test]
fn samples_are_fine_before_they_are_broken() {
    for (name, bytes) in samples() {
        if let Err(error) = decode(&bytes, &DecodeOptions::default()) {
            panic!("{name}: {error}");
        }
    }
}

#[test]
fn a_file_may_end_anywhere() {
    for (name, bytes) in samples() {
        let step = (bytes.len() / 150).max(1);
        for end in (0..bytes.len()).step_by(step) {
            survives(name, &bytes[..end]);
        }
    }
}

#[test]
fn bits_may_be_wrong_anywhere() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for (name, bytes) in samples() {
        let started = Instant::now();
        for _ in 0..400 {
            let mut broken = bytes.clone();
            for _ in 0..=random.below(6) {
                let at = random.below(broken.len());
                match random.below(3) {
                    0 => broken[at] ^= 1 << random.below(8),
                    1 => broken[at] = random.below(256) as u8,
                    // Headers are where the harm is done.
                    _ => broken[at % 64] = [0, 0xff, 0x7f, 0x80][random.below(4)],
                }
            }
            survives(name, &broken);
            if started.elapsed() > Duration::from_secs(3) {
                break;
            }
        }
    }
}

#[test]
fn a_cut_picture_is_never_passed_on_as_finished() {
    for (name, bytes) in samples().into_iter().filter(|(name, _)| *name != "gif") {
        for percent in [40, 60, 80] {
            let cut = &bytes[..bytes.len() * percent / 100];
            let result = decode(cut, &DecodeOptions::default());
            // An animation whose first frame is there has a first frame.
            let early_frame = name == "animated webp" && result.is_ok();
            assert!(result.is_err() || early_frame, "{name} cut at {percent}%");
        }
    }
}

#[test]
fn bombs_are_refused_from_their_headers() {
    let mut png = make::png((1, 1), ColorType::Grayscale, BitDepth::Eight, &[0]);
    png[16..24].copy_from_slice(&[0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff]);
    let sof = make::QUADRANTS_JPEG
        .windows(2)
        .position(|w| w == [0xff, 0xc0])
        .unwrap();
    let mut jpeg = make::QUADRANTS_JPEG.to_vec();
    jpeg[sof + 5..sof + 9].copy_from_slice(&[0xff; 4]);
    let mut gif = make::gif((1, 1), &[], gif::Repeat::Infinite);
    gif[6..10].copy_from_slice(&[0xff; 4]);
    gif.pop();
    gif.extend_from_slice(b"\x2c\0\0\0\0\xff\xff\xff\xff\0\x02\x02\x4c\x01\0\x3b");
    let bmp = make::bmp((65_535, 65_535), 1, 0, &[0; 8], &[]);
    let webp = b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff".to_vec();
    for (name, file) in [
        ("png", png),
        ("jpeg", jpeg),
        ("gif", gif),
        ("bmp", bmp),
        ("webp", webp),
    ] {
        let before = cpu_time();
        let error = decode(&file, &DecodeOptions::default()).unwrap_err();
        let expected = if name == "webp" {
            "input.corrupt"
        } else {
            "limit.pixels"
        };
        assert_eq!(error.code, expected, "{name}: {error}");
        let took = cpu_time() - before;
        assert!(took < Duration::from_millis(500), "{name} took {took:?}");
    }
}

#[test]
fn a_small_canvas_does_not_hide_a_large_frame() {
    let mut gif = make::gif((2, 2), &[], gif::Repeat::Infinite);
    gif.pop();
    gif.extend_from_slice(b"\x2c\0\0\0\0\xff\xff\xff\xff\0\x02\x02\x4c\x01\0\x3b");
    assert_eq!(
        decode(&gif, &DecodeOptions::default()).unwrap_err().code,
        "limit.pixels"
    );

    // The bitstream inside says 16383 x 16383.
    let mut webp = make::LOSSY_WEBP.to_vec();
    webp[26..30].copy_from_slice(&[0xff, 0x3f, 0xff, 0x3f]);
    assert_eq!(
        decode(&webp, &DecodeOptions::default()).unwrap_err().code,
        "limit.pixels"
    );
}

#[test]
fn a_hundred_thousand_frames_are_too_many() {
    let mut gif = make::gif((1, 1), &[], gif::Repeat::Infinite);
    gif.pop();
    for _ in 0..100_000 {
        gif.extend_from_slice(b"\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0");
    }
    let before = cpu_time();
    assert_eq!(
        probe(&gif, &ImageLimits::default(), None).unwrap_err().code,
        "limit.frames"
    );
    assert_eq!(
        decode(&gif, &DecodeOptions::default()).unwrap_err().code,
        "limit.frames"
    );
    assert!(cpu_time() - before < Duration::from_millis(500));
}

#[test]
fn an_animation_has_a_limit_for_all_its_pixels() {
    let limits = ImageLimits {
        animation_pixels_max: 32 * 24 * 2,
        ..ImageLimits::default()
    };
    assert_eq!(
        probe(make::ANIMATED_WEBP, &limits, None).unwrap_err().code,
        "limit.frames"
    );
}

#[test]
fn a_profile_that_inflates_without_end_is_ignored() {
    let png = make::png((1, 1), ColorType::Rgb, BitDepth::Eight, &[1, 2, 3]);
    let bomb = make::with_profile(&png, &vec![0; 40 << 20]);
    assert_eq!(
        decode(&bomb, &DecodeOptions::default()).unwrap().data(),
        [1, 2, 3]
    );
}

#[test]
fn a_tiff_cannot_claim_more_values_than_it_holds() {
    let mut tiff = make::FAX_TIFF.to_vec();
    let directory = u32::from_le_bytes(tiff[4..8].try_into().unwrap()) as usize;
    // The count of the first entry, its width.
    tiff[directory + 6..directory + 10].copy_from_slice(&8_000_000u32.to_le_bytes());
    assert_eq!(
        probe(&tiff, &ImageLimits::default(), None)
            .unwrap_err()
            .code,
        "input.corrupt"
    );
}
