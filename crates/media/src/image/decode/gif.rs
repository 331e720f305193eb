//! GIF: the gif crate decompresses frames, which are composed as browsers do.

use std::io::Cursor;
use std::num::NonZeroU64;

use ::gif::{ColorOutput, Decoder, DecodingError, DisposalMethod, MemoryLimit};

use super::canvas::{Area, Canvas};
use super::shown_delay;
use crate::MediaError;
use crate::image::ImageLimits;
use crate::image::color::Raster;
use crate::image::headers::Headers;

pub(super) fn decode(
    bytes: &[u8],
    headers: &Headers<'_>,
    limits: &ImageLimits,
) -> Result<Raster, MediaError> {
    let mut player = Player::new(bytes, headers, limits)?;
    player.next()?;
    Ok(player.canvas.raster())
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
        each(player.canvas.raster(), delay)?;
    }
    Ok(())
}

struct Player<'a> {
    decoder: Decoder<Cursor<&'a [u8]>>,
    canvas: Canvas,
    /// What happens to the last frame before the next is drawn.
    after: After,
}

enum After {
    Keep,
    Clear(Area),
    Restore(Vec<[u8; 4]>),
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
            canvas: Canvas::new(headers)?,
            after: After::Keep,
        })
    }

    /// Draws the next frame and returns how long it is shown, in milliseconds.
    fn next(&mut self) -> Result<u32, MediaError> {
        match std::mem::replace(&mut self.after, After::Keep) {
            After::Keep => {}
            After::Clear(area) => self.canvas.clear(area),
            After::Restore(pixels) => self.canvas.restore(pixels),
        }
        let frame = self.decoder.read_next_frame().map_err(refused)?;
        let frame = frame.ok_or_else(|| MediaError::corrupt("the GIF ends early"))?;
        let (width, height) = (frame.width.into(), frame.height.into());
        let area = self
            .canvas
            .area((frame.left.into(), frame.top.into()), (width, height));
        self.after = match frame.dispose {
            DisposalMethod::Background => After::Clear(area),
            DisposalMethod::Previous => After::Restore(self.canvas.save()),
            DisposalMethod::Any | DisposalMethod::Keep => After::Keep,
        };
        self.canvas.draw(area, &frame.buffer, width, true);
        Ok(shown_delay(u32::from(frame.delay) * 10))
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
