//! The media that is sent: small, made on the spot, and each time a little different, so that nothing made before is used again.

use mediaflow_media::MediaError;
use mediaflow_media::image::Pixels;
use mediaflow_media::image::encode::{Metadata, jpeg, png, webp};
use mediaflow_media::image::pixels::Layout;

const WIDTH: u32 = 320;
const HEIGHT: u32 = 240;

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Media {
    /// A photograph.
    Jpeg,
    /// A picture with transparency.
    Png,
    /// A picture that moves.
    Webp,
    /// A second of sound.
    Wav,
}

impl Media {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Jpeg => "jpeg",
            Self::Png => "png",
            Self::Webp => "webp",
            Self::Wav => "wav",
        }
    }

    /// What the server must find out of the bytes.
    pub(super) const fn kind(self) -> &'static str {
        match self {
            Self::Jpeg | Self::Png | Self::Webp => "image",
            Self::Wav => "audio",
        }
    }

    /// The size of a picture.
    pub(super) const fn dimensions(self) -> Option<(u32, u32)> {
        match self {
            Self::Jpeg | Self::Png | Self::Webp => Some((WIDTH, HEIGHT)),
            Self::Wav => None,
        }
    }

    /// The bytes of one that nobody has sent before.
    pub(super) fn make(self, seed: u32) -> Result<Vec<u8>, MediaError> {
        let plain = Metadata::default();
        let encoded = match self {
            Self::Jpeg => {
                let picture = drawn(seed, Layout::Rgb);
                jpeg::encode(&picture, &jpeg::JpegOptions::default(), &plain)?
            }
            Self::Png => png::encode(&drawn(seed, Layout::Rgba), png::PngEffort::Fast, &plain)?,
            Self::Webp => {
                let options = webp::WebpOptions::default();
                let mut film = webp::AnimationEncoder::new(WIDTH, HEIGHT, 0, &options)?;
                for frame in 0..4 {
                    film.add_frame(&drawn(seed.wrapping_add(frame), Layout::Rgba), 100)?;
                }
                film.finish(&plain)?
            }
            Self::Wav => return Ok(tone(seed)),
        };
        Ok(encoded.bytes)
    }
}

/// Soft stripes whose colours and places the seed decides.
fn drawn(seed: u32, layout: Layout) -> Pixels {
    let [a, b, c, d] = seed.to_le_bytes().map(f32::from);
    let mut data = Vec::with_capacity((WIDTH * HEIGHT) as usize * layout.channels());
    for y in 0..HEIGHT {
        for x in 0..WIDTH {
            let (x, y) = (x as f32 / 20.0, y as f32 / 20.0);
            let wave = |phase: f32, turn: f32| 128.0 + 100.0 * ((x + turn * y + phase).sin());
            let rgba = [wave(a, 0.3), wave(b, 1.0), wave(c, -0.5), 128.0 + d / 2.0];
            data.extend(rgba[..layout.channels()].iter().map(|v| *v as u8));
        }
    }
    Pixels::new(WIDTH, HEIGHT, layout, data)
}

/// RIFF/WAVE with one channel of 16-bit samples, 8,000 in the second.
fn tone(seed: u32) -> Vec<u8> {
    const RATE: u32 = 8000;
    let pitch = 200.0 + (seed % 10_007) as f32 / 20.0;
    let samples = (0..RATE).map(|n| {
        let turn = n as f32 / RATE as f32 * pitch * std::f32::consts::TAU;
        (turn.sin() * 12_000.0) as i16
    });
    let data: Vec<u8> = samples.flat_map(i16::to_le_bytes).collect();
    let length = u32::try_from(data.len()).expect("a second is short");
    let mut file = Vec::with_capacity(44 + data.len());
    file.extend(b"RIFF");
    file.extend((36 + length).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16_u32.to_le_bytes());
    // PCM, one channel.
    file.extend([1_u16, 1].map(u16::to_le_bytes).concat());
    file.extend([RATE, RATE * 2].map(u32::to_le_bytes).concat());
    // Bytes and bits of a sample.
    file.extend([2_u16, 16].map(u16::to_le_bytes).concat());
    file.extend(b"data");
    file.extend(length.to_le_bytes());
    file.extend(data);
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_what_it_says_and_another_each_time() {
        let beginnings: [(Media, &[u8]); 4] = [
            (Media::Jpeg, b"\xff\xd8\xff"),
            (Media::Png, b"\x89PNG"),
            (Media::Webp, b"RIFF"),
            (Media::Wav, b"RIFF"),
        ];
        for (media, beginning) in beginnings {
            let [one, other] = [1, 2].map(|seed| media.make(seed).expect("it can be made"));
            assert!(one.starts_with(beginning), "{media:?}");
            assert_ne!(one, other, "{media:?}");
            assert!(one.len() < 200_000, "{media:?} has {} bytes", one.len());
        }
    }
}
