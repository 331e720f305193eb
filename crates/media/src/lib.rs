//! What is done to media: looking at it, decoding, resampling, encoding.
//!
//! This crate knows pixels, files and codecs. It knows no task, no store, no recipe and no
//! configuration file: callers pass plain option structs.
//!
//! Untrusted bytes are only ever parsed by memory-safe decoders or, where there is none, by a
//! child process in the [`sandbox`]. C encoders see only pixels that this crate produced.

pub mod audio;
mod error;
pub mod ffmpeg;
pub mod image;
pub mod mp4;
pub mod sandbox;
pub mod sniff;
pub mod ts;
pub mod video;

pub use error::{ErrorKind, MediaError};
