//! Video: from a file that nobody trusts to streams that play everywhere.
//!
//! The steps are functions of their arguments, one file each: [`inspect()`] gives facts, [`plan`]
//! decides without running anything, the others run ffmpeg as they are told.

mod chunk;
mod document;
mod download;
mod encoder;
mod filters;
mod frames;
#[doc(hidden)]
pub mod fuzzing;
pub mod info;
pub mod inspect;
pub mod limits;
mod orientation;
pub mod plan;
mod poster;
mod reads;
mod remux;
mod split;
mod storyboard;
mod subtitles;
mod timeline;
mod verify;

pub use crate::ffmpeg::{Container, Ffmpeg, FfmpegLimits};
pub use chunk::{RungChunk, Segment, chunk_reads, encode_chunk};
pub use download::progressive;
pub use frames::{Moment, frame_at, frames};
pub use info::{
    AttachedPicture, AudioStream, Chapter, Color, Hdr, Inspection, MediaInfo, Ratio,
    SubtitleStream, VideoStream,
};
pub use inspect::{inspect, inspect_excerpt};
pub use limits::MediaLimits;
pub use orientation::Orientation;
pub use plan::{Plan, PlanSettings, plan};
pub use poster::poster;
pub use reads::{frames_read, poster_reads, prove, sound_reads, storyboard_reads};
pub use remux::{REMUXED_MEDIA_TYPE, needs_index, remux};
pub use split::{HEAD_BYTES, Split, SplitError, Streamed, is_fragmented, is_streamable, split};
pub use storyboard::{Storyboard, StoryboardManifest, Tile, storyboard};
pub use subtitles::subtitles;
pub use timeline::{AudioTimeline, VideoTimeline};
pub use verify::{Quality, SsimRange, verify_chunk, verify_listed, verify_sound, verify_stream};
