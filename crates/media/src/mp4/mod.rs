//! Boxes of ISO base media files (ISO/IEC 14496-12), as far as streams in CMAF pieces
//! (ISO/IEC 23000-19) need them.
//!
//! We write every header ourselves, so that initialisation segments are the same bytes whoever
//! encoded a chunk, and times continue over chunks to the tick. What is read is what our own
//! ffmpeg wrote, but it is read as carefully as a stranger's.

mod boxes;
mod codec;
mod excerpt;
mod fragment;
mod gather;
mod index;
mod init;
mod part;
mod samples;
mod setup;
mod spans;
mod tables;
mod units;

pub use codec::codec_string;
pub use excerpt::{Excerpt, Reads};
pub(crate) use fragment::{Fragment, FragmentSample};
pub(crate) use gather::Gatherer;
pub(crate) use init::{AudioTrackHeader, VideoTrackHeader};
pub(crate) use samples::{FragmentedFile, Sample};
pub(crate) use setup::{CodecSetup, TrackSetup};
pub use spans::Spans;
pub(crate) use tables::{handlers, is_fragmented, read as read_tables};
