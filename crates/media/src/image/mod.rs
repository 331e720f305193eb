//! Still and animated images: one file per step of the way from bytes to renditions.

mod color;
pub mod decode;
pub mod encode;
pub mod format;
mod headers;
pub mod heif;
pub mod heif_reader;
pub mod inspect;
pub mod limits;
mod metadata;
mod orientation;
pub mod pixels;
pub mod placeholder;
pub mod probe;
pub mod resize;
pub mod watermark;

pub use color::Cicp;
pub use decode::{AnimationInfo, DecodeOptions, decode, decode_frames};
pub use format::Format;
pub use heif_reader::{HeifProbe, HeifReader, RawImage};
pub use inspect::{ImageInfo, InspectOptions, inspect};
pub use limits::ImageLimits;
pub use metadata::{Camera, Exposure, Metadata, Position};
pub use pixels::{Animation, Frame, Pixels};
pub use probe::{Probe, probe};
