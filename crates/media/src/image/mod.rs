//! Still and animated images: one file per step of the way from bytes to renditions.

mod color;
pub mod heif;
pub mod heif_reader;
pub mod limits;
pub mod pixels;

pub use color::Cicp;
pub use heif_reader::{HeifProbe, HeifReader, RawImage};
pub use limits::ImageLimits;
pub use pixels::{Animation, Frame, Pixels};
