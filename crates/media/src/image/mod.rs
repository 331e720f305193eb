//! Still and animated images: one file per step of the way from bytes to renditions.

pub mod limits;
pub mod pixels;

pub use limits::ImageLimits;
pub use pixels::{Animation, Frame, Pixels};
