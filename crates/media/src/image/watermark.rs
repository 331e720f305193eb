//! Laying a mark (a logo, a name) over an image.
//!
//! The mark is measured in fractions of the image, so that every size of a set looks alike.
//! Knows nothing about which assets want one.

use serde::{Deserialize, Serialize};

use super::pixels::{Layout, Pixels};
use super::resize;
use crate::MediaError;

/// Where the mark goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the nine places name themselves")]
pub enum Position {
    TopLeft,
    Top,
    TopRight,
    Left,
    Center,
    Right,
    BottomLeft,
    Bottom,
    BottomRight,
}

impl Position {
    /// 0, 1 or 2 for start, middle and end, across and down.
    fn cell(self) -> (u64, u64) {
        let index = self as u64;
        (index % 3, index / 3)
    }
}

/// How a mark is laid over an image.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WatermarkOptions {
    /// Where the mark goes.
    pub position: Position,
    /// 0 is invisible, 1 is the mark as it is.
    pub opacity: f32,
    /// Width of the mark as a fraction of the image's width, 0 to 1.
    pub scale: f32,
    /// Distance from the edges as a fraction of the image's shorter side, 0 to 0.5.
    pub margin: f32,
}

impl Default for WatermarkOptions {
    fn default() -> Self {
        Self {
            position: Position::BottomRight,
            opacity: 0.6,
            scale: 0.2,
            margin: 0.03,
        }
    }
}

/// Lays `mark` over `image`.
///
/// The mark keeps its shape and shrinks further where it would not fit between the margins; an
/// image too small to show at least one pixel of it stays as it is.
///
/// # Errors
/// `encoder.failed` when the resampler refuses, which is a bug of ours.
pub fn apply(
    image: &mut Pixels,
    mark: &Pixels,
    options: &WatermarkOptions,
) -> Result<(), MediaError> {
    let unit = |v: f32| {
        f64::from(if v.is_finite() {
            v.clamp(0.0, 1.0)
        } else {
            0.0
        })
    };
    let (iw, ih) = (f64::from(image.width()), f64::from(image.height()));
    let (mw, mh) = (f64::from(mark.width()), f64::from(mark.height()));
    let margin = (unit(options.margin).min(0.5) * iw.min(ih)).floor();
    let factor = (unit(options.scale) * iw / mw)
        .min((iw - 2.0 * margin) / mw)
        .min((ih - 2.0 * margin) / mh);
    let (w, h) = ((mw * factor).round() as u32, (mh * factor).round() as u32);
    if w == 0 || h == 0 || w > image.width() || h > image.height() {
        return Ok(());
    }
    let scaled;
    let mark = if (w, h) == (mark.width(), mark.height()) {
        mark
    } else {
        scaled = resize::stretch(mark, (w, h))?;
        &scaled
    };
    let margin = margin as u64;
    let place = |cell: u64, whole: u32, part: u32| {
        let free = u64::from(whole - part);
        match cell {
            0 => margin.min(free),
            1 => free / 2,
            _ => free - margin.min(free),
        }
    };
    let (column, row) = options.position.cell();
    let at = (
        place(column, image.width(), w) as usize,
        place(row, image.height(), h) as usize,
    );
    blend(image, mark, at, unit(options.opacity) as f32);
    Ok(())
}

/// Source-over with straight alpha (Porter and Duff) of `mark` onto `image` at `at`.
fn blend(image: &mut Pixels, mark: &Pixels, at: (usize, usize), opacity: f32) {
    let (layout, mark_layout) = (image.layout(), mark.layout());
    let (channels, mark_channels) = (layout.channels(), mark_layout.channels());
    let stride = image.width() as usize * channels;
    let mark_stride = mark.width() as usize * mark_channels;
    let rows = image.data_mut().chunks_exact_mut(stride).skip(at.1);
    for (row, mark_row) in rows.zip(mark.data().chunks_exact(mark_stride)) {
        let under = row[at.0 * channels..].chunks_exact_mut(channels);
        for (below, above) in under.zip(mark_row.chunks_exact(mark_channels)) {
            let alpha = |p: &[u8], l: Layout| {
                if l == Layout::Rgba {
                    f32::from(p[3]) / 255.0
                } else {
                    1.0
                }
            };
            let over = alpha(above, mark_layout) * opacity;
            let rest = alpha(below, layout) * (1.0 - over);
            let sum = over + rest;
            if over == 0.0 || sum == 0.0 {
                continue;
            }
            for c in 0..3 {
                let value = (f32::from(above[c]) * over + f32::from(below[c]) * rest) / sum;
                below[c] = (value + 0.5) as u8;
            }
            if layout == Layout::Rgba {
                below[3] = (sum * 255.0 + 0.5) as u8;
            }
        }
    }
}
