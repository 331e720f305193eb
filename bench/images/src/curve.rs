//! What each preset costs at the quality that sharp's defaults give.

use std::path::Path;

use mediaflow_media::image::Pixels;
use mediaflow_media::image::encode::{Metadata, avif, jpeg, webp};
use serde_json::json;

use crate::{cpu, peers, read, score};

/// Encodes with a quality of the preset's own scale, higher being better.
type Preset = (&'static str, fn(&Pixels, f32) -> Vec<u8>);

fn jpeg_with(p: &Pixels, quality: f32, progressive: bool) -> Vec<u8> {
    let options = jpeg::JpegOptions {
        quality: quality as u8,
        progressive,
        ..Default::default()
    };
    jpeg::encode(p, &options, &Metadata::default())
        .expect("encoded")
        .bytes
}

fn webp_with(p: &Pixels, quality: f32, method: u8) -> Vec<u8> {
    let options = webp::WebpOptions {
        quality,
        method,
        lossless: false,
    };
    webp::encode(p, &options, &Metadata::default())
        .expect("encoded")
        .bytes
}

fn avif_with(p: &Pixels, quality: f32, speed: u8) -> Vec<u8> {
    avif::encode(
        p,
        &avif::AvifOptions {
            quality: quality as u8,
            speed: Some(speed),
        },
        &Metadata::default(),
    )
    .expect("encoded")
    .bytes
}

const PRESETS: [(&str, &[Preset]); 3] = [
    (
        "jpeg",
        &[
            ("sequential", |p, q| jpeg_with(p, q, false)),
            ("progressive", |p, q| jpeg_with(p, q, true)),
        ],
    ),
    (
        "webp",
        &[
            ("method 0", |p, q| webp_with(p, q, 0)),
            ("method 1", |p, q| webp_with(p, q, 1)),
            ("method 2", |p, q| webp_with(p, q, 2)),
            ("method 4", |p, q| webp_with(p, q, 4)),
            ("method 6", |p, q| webp_with(p, q, 6)),
        ],
    ),
    (
        "avif",
        &[
            ("speed 9", |p, q| avif_with(p, q, 9)),
            ("speed 8", |p, q| avif_with(p, q, 8)),
            ("speed 7", |p, q| avif_with(p, q, 7)),
            ("speed 6", |p, q| avif_with(p, q, 6)),
        ],
    ),
];

/// Prints, for each preset, bytes relative to sharp's at sharp's score, and CPU milliseconds.
pub fn print(photos: &[impl AsRef<Path>], size: &str) {
    println!("\n## Curve: {size} pixels wide, bytes at the SSIMULACRA2 of sharp's defaults\n");
    println!("| format | preset | bytes against sharp | CPU ms | quality |\n|---|---|---|---|---|");
    let index = crate::ours::SIZES
        .iter()
        .position(|s| *s == size)
        .expect("a size of the set");
    let inputs: Vec<(Pixels, Vec<peers::Rendition>)> = photos
        .iter()
        .map(|photo| {
            let files = peers::sharp(
                photo.as_ref(),
                &json!({ "jpeg": {}, "webp": {}, "avif": {} }),
            );
            let files = files.into_iter().filter(|f| f.size == size).collect();
            (
                peers::sharp_pixels(photo.as_ref()).swap_remove(index),
                files,
            )
        })
        .collect();
    for (format, presets) in PRESETS {
        for (name, encode) in presets {
            let points: Vec<Point> = inputs
                .iter()
                .filter_map(|(pixels, files)| {
                    let theirs = &files.iter().find(|f| f.format == format)?.bytes;
                    let wanted = score::ssimulacra2(pixels, &read::any(format, theirs));
                    at_score(pixels, format, *encode, wanted).map(|p| Point {
                        bytes: p.bytes / theirs.len() as f64,
                        ..p
                    })
                })
                .collect();
            let mean = |value: fn(&Point) -> f64| {
                points.iter().map(value).sum::<f64>() / points.len() as f64
            };
            let (bytes, ms, quality) = (
                mean(|p| p.bytes.ln()).exp(),
                mean(|p| p.cpu_s) * 1e3,
                mean(|p| p.quality),
            );
            println!(
                "| {format} | {name} | {:+.1} % | {ms:.1} | {quality:.1} |",
                (bytes - 1.0) * 100.0
            );
        }
    }
}

struct Point {
    quality: f64,
    bytes: f64,
    cpu_s: f64,
}

/// Halves the range of qualities until the score lies between two neighbours, and interpolates.
fn at_score(
    pixels: &Pixels,
    format: &str,
    encode: fn(&Pixels, f32) -> Vec<u8>,
    wanted: f64,
) -> Option<Point> {
    let try_at = |quality: u8| {
        let (bytes, cpu_s) = cpu::timed(|| encode(pixels, f32::from(quality)));
        let score = score::ssimulacra2(pixels, &read::any(format, &bytes));
        (
            Point {
                quality: f64::from(quality),
                bytes: bytes.len() as f64,
                cpu_s,
            },
            score,
        )
    };
    let (mut low, mut high) = (30u8, 98u8);
    let (mut below, mut above) = (None, None);
    while high - low > 1 {
        let middle = low.midpoint(high);
        let (point, score) = try_at(middle);
        if score < wanted {
            (low, below) = (middle, Some((point, score)));
        } else {
            (high, above) = (middle, Some((point, score)));
        }
    }
    let ((a, from), (b, to)) = (below?, above?);
    let part = (wanted - from) / (to - from);
    let between = |a: f64, b: f64| a + (b - a) * part;
    Some(Point {
        quality: between(a.quality, b.quality),
        bytes: between(a.bytes.ln(), b.bytes.ln()).exp(),
        cpu_s: a.cpu_s.min(b.cpu_s),
    })
}
