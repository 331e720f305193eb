//! Video: from a file that nobody trusts to streams that play everywhere.

pub use crate::ffmpeg::{Container, Ffmpeg, FfmpegLimits};
