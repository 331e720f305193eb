//! Animated WebP.

use mediaflow_media::image::Pixels;
use mediaflow_media::image::encode::Metadata;
use mediaflow_media::image::encode::webp::{AnimationEncoder, WebpOptions};

use crate::{drawn, reading};

/// A square that moves to the right, one step a frame.
fn frame(step: u32) -> Pixels {
    drawn::rgba(80, 40, |x, y| {
        let inside = (step * 15..step * 15 + 15).contains(&x) && (10..25).contains(&y);
        if inside {
            [220, 40, 20, 255]
        } else {
            [0, 0, 0, 0]
        }
    })
}

fn animate(loops: u32, delays: &[u32], metadata: &Metadata<'_>) -> Vec<u8> {
    let mut encoder = AnimationEncoder::new(80, 40, loops, &WebpOptions::default())
        .expect("an encoder that works");
    for (step, delay) in (0..).zip(delays) {
        encoder
            .add_frame(&frame(step), *delay)
            .expect("an encoder that works");
    }
    let file = encoder.finish(metadata).expect("an encoder that works");
    assert_eq!(file.media_type, "image/webp");
    file.bytes
}

#[test]
fn frames_delays_and_loops_survive() {
    for loops in [0, 3] {
        let (frames, played) =
            reading::webp_animation(&animate(loops, &[40, 100, 250, 1000], &Metadata::default()));
        assert_eq!(
            frames.iter().map(|f| f.1).collect::<Vec<_>>(),
            [40, 100, 250, 1000]
        );
        assert_eq!(played, loops);
        for (step, (pixels, _)) in (0..).zip(&frames) {
            let p = drawn::at(pixels, step * 15 + 7, 17);
            assert!(
                p[3] > 240 && p[0] > 190 && p[2] < 60,
                "frame {step} shows {p:?}"
            );
            let rest = drawn::at(pixels, (step * 15 + 40) % 80, 17);
            assert!(rest[3] < 16, "frame {step} is {rest:?} where nothing is");
        }
    }
}

#[test]
fn metadata_goes_beside_the_frames() {
    let metadata = Metadata {
        icc: Some(&[7; 131]),
        copyright: Some("A. Author"),
        artist: None,
    };
    let bytes = animate(2, &[50, 60], &metadata);
    let mut decoder = image_webp::WebPDecoder::new(std::io::Cursor::new(&bytes)).unwrap();
    assert_eq!(
        decoder.icc_profile().unwrap().as_deref(),
        Some(&[7; 131][..])
    );
    assert!(decoder.exif_metadata().unwrap().is_some());
    assert_eq!(reading::webp_animation(&bytes).0.len(), 2);
}

#[test]
fn what_cannot_be_animated_is_refused() {
    assert_eq!(
        AnimationEncoder::new(20_000, 4, 0, &WebpOptions::default())
            .err()
            .unwrap()
            .code,
        "limit.pixels"
    );
    let mut encoder = AnimationEncoder::new(30, 30, 0, &WebpOptions::default()).unwrap();
    assert!(
        encoder.add_frame(&frame(0), 10).is_err(),
        "a frame of another size"
    );
    assert!(encoder.finish(&Metadata::default()).is_err(), "no frames");
}
