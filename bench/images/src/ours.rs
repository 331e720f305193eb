//! The set of renditions by this project's media code, the way a worker makes it.

use std::sync::Arc;

use mediaflow_media::image::Pixels;
use mediaflow_media::image::encode::{Encoded, Metadata, avif, jpeg, webp};
use mediaflow_media::image::resize::{Fit, cascade};

use crate::{cpu, read};

pub const SIZES: [&str; 6] = ["thumbnail", "320", "640", "1080", "2160", "original"];
pub const FORMATS: [&str; 3] = ["jpeg", "webp", "avif"];

pub fn fit(name: &str) -> Fit {
    match name {
        "thumbnail" => Fit::Cover {
            width: 150,
            height: 150,
            focus: (0.5, 0.5),
        },
        "original" => Fit::Original,
        width => Fit::Width(width.parse().expect("a width")),
    }
}

/// Every rendition of one photograph and the CPU seconds of each part.
pub struct Run {
    pub decode_s: f64,
    pub resize_s: f64,
    pub pixels: Vec<Arc<Pixels>>,
    /// By size, then by format.
    pub files: Vec<Vec<(Encoded, f64)>>,
    pub total_s: f64,
}

pub fn run(photo: &[u8]) -> Run {
    let start = cpu::own();
    let (source, decode_s) = cpu::timed(|| Arc::new(read::jpeg(photo)));
    let (pixels, resize_s) = cpu::timed(|| cascade(&source, &SIZES.map(fit)).expect("resized"));
    let files = pixels
        .iter()
        .map(|p| {
            FORMATS
                .iter()
                .map(|f| cpu::timed(|| encode(f, p)))
                .collect()
        })
        .collect();
    Run {
        decode_s,
        resize_s,
        pixels,
        files,
        total_s: cpu::own() - start,
    }
}

/// One rendition with the defaults of this project.
pub fn encode(format: &str, pixels: &Pixels) -> Encoded {
    let nothing = Metadata::default();
    match format {
        "jpeg" => jpeg::encode(pixels, &jpeg::JpegOptions::default(), &nothing),
        "webp" => webp::encode(pixels, &webp::WebpOptions::default(), &nothing),
        _ => avif::encode(pixels, &avif::AvifOptions::default(), &nothing),
    }
    .expect("encoded")
}
