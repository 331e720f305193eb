//! What a page shows while the image itself is on its way: a BlurHash and one colour.

use super::pixels::{Layout, Pixels};
use super::resize;
use crate::MediaError;

/// The hash has few coefficients: more input pixels than this cost time and change nothing.
const SIDE_MAX: u32 = 48;

/// A stand-in for an image, small enough to be part of the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placeholder {
    /// BlurHash with 4×3 components (3×4 for upright images, 3×3 for nearly square ones).
    pub blurhash: String,
    /// Average colour as `#rrggbb`, averaged in linear light and weighted by alpha.
    pub color: String,
}

/// Computes the placeholder of an image; any size of it will do, the smallest is the cheapest.
///
/// Transparent parts count as the average colour, so that what nobody sees tints nothing.
///
/// # Errors
/// `encoder.failed` when resampling or hashing refuses, which is a bug of ours.
pub fn placeholder(image: &Pixels) -> Result<Placeholder, MediaError> {
    let (w, h) = (image.width(), image.height());
    let longest = w.max(h);
    let small;
    let image = if longest > SIDE_MAX {
        let side = |s: u32| (u64::from(s) * u64::from(SIDE_MAX) / u64::from(longest)).max(1) as u32;
        small = resize::stretch(image, (side(w), side(h)))?;
        &small
    } else {
        image
    };
    let average = average(image);
    let rgba = on_background(image, average);
    let (x, y) = match (w, h) {
        _ if w * 4 >= h * 5 => (4, 3),
        _ if h * 4 >= w * 5 => (3, 4),
        _ => (3, 3),
    };
    let blurhash = blurhash::encode(x, y, image.width(), image.height(), &rgba)
        .map_err(|e| MediaError::encoder(format!("no BlurHash: {e}")))?;
    let [r, g, b] = average;
    Ok(Placeholder {
        blurhash,
        color: format!("#{r:02x}{g:02x}{b:02x}"),
    })
}

fn average(image: &Pixels) -> [u8; 3] {
    let (mut sum, mut weight) = ([0f64; 3], 0f64);
    for p in image.data().chunks_exact(image.layout().channels()) {
        let alpha = if image.layout() == Layout::Rgba {
            f64::from(p[3])
        } else {
            255.0
        };
        weight += alpha;
        for c in 0..3 {
            sum[c] += alpha * to_linear(p[c]);
        }
    }
    // Nothing is visible: white, the colour of most pages.
    if weight == 0.0 {
        [255; 3]
    } else {
        sum.map(|s| from_linear(s / weight))
    }
}

fn on_background(image: &Pixels, background: [u8; 3]) -> Vec<u8> {
    let mut rgba = Vec::with_capacity(image.width() as usize * image.height() as usize * 4);
    for p in image.data().chunks_exact(image.layout().channels()) {
        let alpha = if image.layout() == Layout::Rgba {
            u32::from(p[3])
        } else {
            255
        };
        for c in 0..3 {
            let mixed = u32::from(p[c]) * alpha + u32::from(background[c]) * (255 - alpha);
            rgba.push(((mixed + 127) / 255) as u8);
        }
        rgba.push(255);
    }
    rgba
}

/// The sRGB transfer function of IEC 61966-2-1.
fn to_linear(value: u8) -> f64 {
    let v = f64::from(value) / 255.0;
    if v <= 0.04045 {
        v / 12.92
    } else {
        ((v + 0.055) / 1.055).powf(2.4)
    }
}

fn from_linear(v: f64) -> u8 {
    let v = if v <= 0.003_130_8 {
        v * 12.92
    } else {
        1.055 * v.powf(1.0 / 2.4) - 0.055
    };
    (v * 255.0).round().clamp(0.0, 255.0) as u8
}
