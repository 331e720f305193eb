//! Video: from a file that nobody trusts to streams that play everywhere.
//!
//! The steps are functions of their arguments, one file each: [`inspect()`] gives facts, [`plan`]
//! decides without running anything, the others run ffmpeg as they are told.

mod chunk;
mod document;
mod encoder;
mod filters;
pub mod info;
pub mod inspect;
pub mod limits;
mod orientation;
pub mod plan;
mod remux;
mod timeline;

pub use crate::ffmpeg::{Container, Ffmpeg, FfmpegLimits};
pub use chunk::{RungChunk, Segment, encode_chunk};
pub use info::{
    AttachedPicture, AudioStream, Chapter, Color, Hdr, Inspection, MediaInfo, Ratio,
    SubtitleStream, VideoStream,
};
pub use inspect::inspect;
pub use limits::MediaLimits;
pub use orientation::Orientation;
pub use plan::{Plan, PlanSettings, plan};
pub use remux::{REMUXED_MEDIA_TYPE, needs_index, remux};
pub use timeline::{AudioTimeline, VideoTimeline};
