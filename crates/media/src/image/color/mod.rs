//! From whatever samples a file holds to 8-bit sRGB. Decoders hand over a [`Raster`]; nothing else in
//! this crate knows about profiles, gamma, ink or light.

mod cmyk;
mod hdr;
mod profile;

use super::headers::PngColor;
use super::pixels::{Layout, Pixels};

pub(crate) use profile::{describe, name};

/// Colour code points of ITU-T H.273, as in an `nclx` box or a PNG `cICP` chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cicp {
    /// Colour primaries: 1 BT.709, 9 BT.2020, 12 Display P3.
    pub primaries: u16,
    /// Transfer characteristics: 13 sRGB, 16 PQ, 18 HLG.
    pub transfer: u16,
    /// Matrix coefficients; 0 for RGB samples.
    pub matrix: u16,
    /// Whether samples use their whole range.
    pub full_range: bool,
}

impl Cicp {
    /// `pq` or `hlg` when the samples are high dynamic range.
    pub(crate) fn hdr_transfer(self) -> Option<&'static str> {
        match self.transfer {
            16 => Some("pq"),
            18 => Some("hlg"),
            _ => None,
        }
    }
}

/// The samples of a pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channels {
    Gray,
    GrayAlpha,
    Rgb,
    Rgba,
    /// Amounts of ink: 0 is paper.
    Cmyk,
}

impl Channels {
    pub(crate) fn count(self) -> usize {
        match self {
            Self::Gray => 1,
            Self::GrayAlpha => 2,
            Self::Rgb => 3,
            Self::Rgba | Self::Cmyk => 4,
        }
    }

    fn layout(self) -> Layout {
        match self {
            Self::GrayAlpha | Self::Rgba => Layout::Rgba,
            Self::Gray | Self::Rgb | Self::Cmyk => Layout::Rgb,
        }
    }
}

/// Interleaved rows, using the whole range of their type.
pub(crate) enum Samples {
    U8(Vec<u8>),
    U16(Vec<u16>),
}

/// What the values mean.
#[derive(Default)]
pub(crate) enum Space {
    /// Nothing is said, or sRGB is said: the web treats both alike.
    #[default]
    Srgb,
    Icc(Vec<u8>),
    Cicp(Cicp),
    Png(PngColor),
}

/// Decoded samples, not yet upright and in any colour space.
pub(crate) struct Raster {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) channels: Channels,
    pub(crate) samples: Samples,
    pub(crate) space: Space,
}

impl Raster {
    /// Converts to 8-bit sRGB, or to 8 bits of the file's own RGB space when `keep_profile` asks for it
    /// and the file has an RGB profile.
    pub(crate) fn into_pixels(mut self, keep_profile: bool) -> Pixels {
        let (width, height) = (self.width, self.height);
        let color = matches!(self.channels, Channels::Rgb | Channels::Rgba);
        let space = std::mem::take(&mut self.space);
        let mut kept = None;
        let (layout, data) = match profile::interpret(&space) {
            profile::Meaning::Srgb => plain(self),
            profile::Meaning::Hdr(cicp) if color => hdr::to_srgb(self, cicp),
            profile::Meaning::Hdr(_) => plain(self),
            profile::Meaning::Profile(source) => match space {
                Space::Icc(icc) if keep_profile && color && profile::is_rgb(&source) => {
                    kept = Some(icc.into());
                    plain(self)
                }
                _ => profile::to_srgb(self, &source),
            },
        };
        let mut pixels = Pixels::new(width, height, layout, data);
        pixels.icc = kept;
        pixels
    }
}

/// Sample values as they are, in the form of pixels.
fn plain(raster: Raster) -> (Layout, Vec<u8>) {
    let data = match raster.samples {
        Samples::U8(data) => data,
        Samples::U16(data) => data.into_iter().map(narrow).collect(),
    };
    let data = match raster.channels {
        Channels::Rgb | Channels::Rgba => data,
        Channels::Gray => data.into_iter().flat_map(|v| [v; 3]).collect(),
        Channels::GrayAlpha => data
            .as_chunks::<2>()
            .0
            .iter()
            .flat_map(|&[v, a]| [v, v, v, a])
            .collect(),
        Channels::Cmyk => cmyk::to_srgb(&data),
    };
    (raster.channels.layout(), data)
}

/// 16 bits to 8, rounded to the nearest.
fn narrow(value: u16) -> u8 {
    ((u32::from(value) * 255 + 32_895) >> 16) as u8
}

/// The sRGB encoding (IEC 61966-2-1) of linear light between 0 and 1.
fn srgb_encode(linear: f64) -> f64 {
    if linear <= 0.003_130_8 {
        linear * 12.92
    } else {
        1.055 * linear.powf(1.0 / 2.4) - 0.055
    }
}

/// Linear light of an sRGB value between 0 and 1.
fn srgb_decode(value: f64) -> f64 {
    if value <= 0.040_45 {
        value / 12.92
    } else {
        ((value + 0.055) / 1.055).powf(2.4)
    }
}
