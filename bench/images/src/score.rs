//! SSIMULACRA2 of a file against the pixels that its encoder was given.

use mediaflow_media::image::Pixels;
use ssimulacra2::{ColorPrimaries, Rgb, TransferCharacteristic, compute_frame_ssimulacra2};

/// 100 is identical, 90 visually lossless, 70 good, 50 fair.
pub fn ssimulacra2(reference: &Pixels, distorted: &Pixels) -> f64 {
    assert_eq!(
        (reference.width(), reference.height()),
        (distorted.width(), distorted.height())
    );
    let rgb = |p: &Pixels| {
        let data = p
            .data()
            .chunks_exact(3)
            .map(|c| [c[0], c[1], c[2]].map(|v| f32::from(v) / 255.0))
            .collect();
        Rgb::new(
            data,
            p.width() as usize,
            p.height() as usize,
            TransferCharacteristic::SRGB,
            ColorPrimaries::BT709,
        )
        .expect("the size fits")
    };
    compute_frame_ssimulacra2(rgb(reference), rgb(distorted)).expect("a score")
}
