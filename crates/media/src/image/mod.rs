//! Still and animated images: one file per step of the way from bytes to renditions.

pub mod encode;
pub mod limits;
pub mod pixels;
pub mod placeholder;
pub mod resize;
pub mod watermark;

pub use limits::ImageLimits;
pub use pixels::{Animation, Frame, Pixels};
