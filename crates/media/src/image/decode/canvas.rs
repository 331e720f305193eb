//! The canvas of an animation: frames are drawn onto it, and it is shown after each.

use super::buffer;
use crate::MediaError;
use crate::image::color::{Channels, Raster, Samples, Space};
use crate::image::headers::Headers;

pub(super) struct Canvas {
    width: usize,
    height: usize,
    has_alpha: bool,
    icc: Option<Vec<u8>>,
    pixels: Vec<[u8; 4]>,
}

/// A rectangle inside of the canvas; right and bottom are exclusive.
#[derive(Clone, Copy)]
pub(super) struct Area {
    left: usize,
    top: usize,
    right: usize,
    bottom: usize,
}

impl Canvas {
    /// A transparent canvas of the size that the headers announce.
    pub(super) fn new(headers: &Headers<'_>) -> Result<Self, MediaError> {
        Ok(Self {
            width: headers.width as usize,
            height: headers.height as usize,
            has_alpha: headers.has_alpha,
            icc: headers.icc.as_ref().map(|icc| icc.to_vec()),
            pixels: buffer(headers.width, headers.height, 1)?,
        })
    }

    /// Frames may reach over the edge; what does is not seen.
    pub(super) fn area(&self, (left, top): (u32, u32), (width, height): (u32, u32)) -> Area {
        Area {
            left: (left as usize).min(self.width),
            top: (top as usize).min(self.height),
            right: (left as usize + width as usize).min(self.width),
            bottom: (top as usize + height as usize).min(self.height),
        }
    }

    /// Makes an area transparent.
    pub(super) fn clear(&mut self, area: Area) {
        self.rows(area).for_each(|row| row.fill([0; 4]));
    }

    /// Draws rows of `width` RGBA pixels, over what is there or in place of it.
    pub(super) fn draw(&mut self, area: Area, rgba: &[u8], width: u32, blend: bool) {
        let rows = rgba.as_chunks::<4>().0.chunks_exact(width.max(1) as usize);
        for (target, source) in self.rows(area).zip(rows) {
            for (to, from) in target.iter_mut().zip(source) {
                *to = if blend { over(*from, *to) } else { *from };
            }
        }
    }

    pub(super) fn save(&self) -> Vec<[u8; 4]> {
        self.pixels.clone()
    }

    pub(super) fn restore(&mut self, pixels: Vec<[u8; 4]>) {
        self.pixels = pixels;
    }

    fn rows(&mut self, area: Area) -> impl Iterator<Item = &mut [[u8; 4]]> {
        let rows = self.pixels[area.top * self.width..area.bottom * self.width]
            .chunks_exact_mut(self.width);
        rows.map(move |row| &mut row[area.left..area.right])
    }

    /// What is to be seen now.
    pub(super) fn raster(&self) -> Raster {
        let (channels, data) = if self.has_alpha {
            (Channels::Rgba, self.pixels.as_flattened().to_vec())
        } else {
            (
                Channels::Rgb,
                self.pixels
                    .iter()
                    .flat_map(|p| [p[0], p[1], p[2]])
                    .collect(),
            )
        };
        Raster {
            width: self.width as u32,
            height: self.height as u32,
            channels,
            samples: Samples::U8(data),
            space: self.icc.clone().map_or(Space::Srgb, Space::Icc),
        }
    }
}

/// Straight alpha over straight alpha.
fn over(source: [u8; 4], below: [u8; 4]) -> [u8; 4] {
    match source[3] {
        255 => source,
        0 => below,
        alpha => {
            let (front, back) = (
                u32::from(alpha) * 255,
                u32::from(below[3]) * (255 - u32::from(alpha)),
            );
            let total = front + back;
            let mix = |n: usize| {
                let sum = u32::from(source[n]) * front + u32::from(below[n]) * back;
                ((sum + total / 2) / total) as u8
            };
            [mix(0), mix(1), mix(2), ((total + 127) / 255) as u8]
        }
    }
}
