//! GIF: the gif crate decompresses frames, this file composes them as browsers do.

use std::io::Cursor;
use std::num::NonZeroU64;

use ::gif::{ColorOutput, Decoder, DecodingError, DisposalMethod, MemoryLimit};

use super::{buffer, shown_delay};
use crate::MediaError;
use crate::image::ImageLimits;
use crate::image::color::{Channels, Raster, Samples, Space};
use crate::image::headers::Headers;

pub(super) fn decode(
    bytes: &[u8],
    headers: &Headers<'_>,
    limits: &ImageLimits,
) -> Result<Raster, MediaError> {
    let mut player = Player::new(bytes, headers, limits)?;
    player.next()?;
    Ok(player.raster())
}

pub(super) fn frames(
    bytes: &[u8],
    headers: &Headers<'_>,
    limits: &ImageLimits,
    each: &mut dyn FnMut(Raster, u32) -> Result<(), MediaError>,
) -> Result<(), MediaError> {
    let mut player = Player::new(bytes, headers, limits)?;
    for _ in 0..headers.frames {
        let delay = player.next()?;
        each(player.raster(), delay)?;
    }
    Ok(())
}

struct Player<'a> {
    decoder: Decoder<Cursor<&'a [u8]>>,
    width: usize,
    height: usize,
    has_alpha: bool,
    canvas: Vec<[u8; 4]>,
    /// What the next frame finds in place of the last one.
    after: After,
}

enum After {
    Keep,
    Clear(Area),
    Restore(Vec<[u8; 4]>),
}

#[derive(Clone, Copy)]
struct Area {
    left: usize,
    top: usize,
    /// Exclusive, and inside of the canvas.
    right: usize,
    bottom: usize,
}

impl<'a> Player<'a> {
    fn new(
        bytes: &'a [u8],
        headers: &Headers<'_>,
        limits: &ImageLimits,
    ) -> Result<Self, MediaError> {
        let mut options = Decoder::<Cursor<&[u8]>>::build();
        options.set_color_output(ColorOutput::RGBA);
        options.allow_unknown_blocks(true);
        let most = NonZeroU64::new(limits.pixels_max.saturating_mul(4)).unwrap_or(NonZeroU64::MIN);
        options.set_memory_limit(MemoryLimit::Bytes(most));
        let decoder = options.read_info(Cursor::new(bytes)).map_err(refused)?;
        Ok(Self {
            decoder,
            width: headers.width as usize,
            height: headers.height as usize,
            has_alpha: headers.has_alpha,
            canvas: buffer(headers.width, headers.height, 1)?,
            after: After::Keep,
        })
    }

    /// Draws the next frame and returns how long it is shown, in milliseconds.
    fn next(&mut self) -> Result<u32, MediaError> {
        match std::mem::replace(&mut self.after, After::Keep) {
            After::Keep => {}
            After::Clear(area) => self.rows(area).for_each(|row| row.fill([0; 4])),
            After::Restore(canvas) => self.canvas = canvas,
        }
        let frame = self.decoder.read_next_frame().map_err(refused)?;
        let frame = frame.ok_or_else(|| MediaError::corrupt("the GIF ends early"))?;
        let (left, top) = (usize::from(frame.left), usize::from(frame.top));
        let (frame_width, frame_height) = (usize::from(frame.width), usize::from(frame.height));
        // Frames may reach over the edge of the canvas; what does is not seen.
        let area = Area {
            left: left.min(self.width),
            top: top.min(self.height),
            right: (left + frame_width).min(self.width),
            bottom: (top + frame_height).min(self.height),
        };
        self.after = match frame.dispose {
            DisposalMethod::Background => After::Clear(area),
            DisposalMethod::Previous => After::Restore(self.canvas.clone()),
            DisposalMethod::Any | DisposalMethod::Keep => After::Keep,
        };
        let delay = shown_delay(u32::from(frame.delay) * 10);
        let pixels = frame.buffer.as_chunks::<4>().0;
        let rows = self.canvas[area.top * self.width..area.bottom * self.width]
            .chunks_exact_mut(self.width.max(1));
        for (target, source) in rows.zip(pixels.chunks_exact(frame_width.max(1))) {
            for (to, from) in target[area.left..area.right].iter_mut().zip(source) {
                if from[3] != 0 {
                    *to = *from;
                }
            }
        }
        Ok(delay)
    }

    fn rows(&mut self, area: Area) -> impl Iterator<Item = &mut [[u8; 4]]> {
        let rows = self.canvas[area.top * self.width..area.bottom * self.width]
            .chunks_exact_mut(self.width);
        rows.map(move |row| &mut row[area.left..area.right])
    }

    fn raster(&self) -> Raster {
        let (channels, data) = if self.has_alpha {
            (Channels::Rgba, self.canvas.as_flattened().to_vec())
        } else {
            (
                Channels::Rgb,
                self.canvas
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
            space: Space::Srgb,
        }
    }
}

fn refused(error: DecodingError) -> MediaError {
    match error {
        DecodingError::OutOfMemory => {
            MediaError::limit("limit.pixels", "a frame of the GIF is too large")
        }
        other => MediaError::corrupt(format!("the GIF is broken: {other}")),
    }
}
