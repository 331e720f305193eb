//! The pixels that renditions are made of: decoded once per asset, cut to all of the recipe's sizes once,
//! marked once. Kept in the asset's scratch between its tasks.

use crate::attempt::Attempt;
use crate::ops::failure::from_media;
use mediaflow_core::operation::{self, Variant};
use mediaflow_core::recipe::ColorPolicy;
use mediaflow_core::{Failure, Focus};
use mediaflow_media::image::resize::{Fit, cascade};
use mediaflow_media::image::watermark::{self, Position, WatermarkOptions};
use mediaflow_media::image::{Pixels, decode};
use std::sync::Arc;

/// The decoded first picture.
pub(super) fn pixels(attempt: &Attempt) -> Result<Arc<Pixels>, Failure> {
    attempt.scratch.pixels(|| {
        let bytes = attempt.original()?;
        decode(&bytes, &attempt.toolbox.decoding(keeps_profile(attempt))).map_err(from_media)
    })
}

pub(super) fn keeps_profile(attempt: &Attempt) -> bool {
    attempt.task.recipe.color == ColorPolicy::Keep
}

/// The recipe's variants; a checked recipe has some wherever an operation asks for them.
pub(super) fn variants(attempt: &Attempt) -> &[Variant] {
    attempt
        .task
        .recipe
        .resize()
        .map_or(&[], |resize| &resize.variants)
}

/// How the media code cuts these variants for this asset.
pub(super) fn fits(attempt: &Attempt) -> Vec<Fit> {
    let Focus { x, y } = attempt.task.options.focus.unwrap_or_default();
    let fit = |v: &Variant| {
        let (width, height) = (v.width.unwrap_or(u32::MAX), v.height.unwrap_or(u32::MAX));
        match v.fit {
            operation::Fit::Width => Fit::Width(width),
            operation::Fit::Cover => Fit::Cover {
                width,
                height,
                focus: (x, y),
            },
            operation::Fit::Original => Fit::Original,
        }
    };
    variants(attempt).iter().map(fit).collect()
}

/// All variants' pixels in the recipe's order, with `mark` on them where the asset has one.
pub(super) fn sizes(
    attempt: &Attempt,
    mark: Option<&[u8]>,
) -> Result<Arc<Vec<Arc<Pixels>>>, Failure> {
    attempt.scratch.sizes(|| {
        let source = pixels(attempt)?;
        let cut = cascade(&source, &fits(attempt)).map_err(from_media)?;
        let Some(mark) = mark else { return Ok(cut) };
        let marker = Marker::new(attempt, mark)?;
        cut.iter().map(|p| marker.apply(p)).collect()
    })
}

/// Lays the configured mark over pictures.
pub(super) struct Marker {
    mark: Pixels,
    options: WatermarkOptions,
}

impl Marker {
    pub(super) fn new(attempt: &Attempt, mark: &[u8]) -> Result<Self, Failure> {
        let mark = decode(mark, &attempt.toolbox.decoding(false)).map_err(from_media)?;
        let mut options = WatermarkOptions::default();
        if let Some(settings) = &attempt.task.settings.watermark {
            options.position = position(&settings.position);
            options.opacity = settings.opacity;
            options.scale = settings.scale;
        }
        Ok(Self { mark, options })
    }

    pub(super) fn apply(&self, picture: &Arc<Pixels>) -> Result<Arc<Pixels>, Failure> {
        let mut marked = Pixels::clone(picture);
        watermark::apply(&mut marked, &self.mark, &self.options).map_err(from_media)?;
        Ok(Arc::new(marked))
    }
}

fn position(name: &str) -> Position {
    match name {
        "top-left" => Position::TopLeft,
        "top" => Position::Top,
        "top-right" => Position::TopRight,
        "left" => Position::Left,
        "center" => Position::Center,
        "right" => Position::Right,
        "bottom-left" => Position::BottomLeft,
        "bottom" => Position::Bottom,
        _ => Position::BottomRight,
    }
}
