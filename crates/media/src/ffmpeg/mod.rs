//! The one door to ffmpeg and ffprobe: every run goes through the sandbox, with the type that our
//! own sniffing found, closed lists of formats and codecs, and a watchdog on progress.
//!
//! Knows how to run them safely and what their failures mean; not what they are run for.

mod codecs;
mod container;
mod failure;
mod input;
mod run;
mod tools;
mod watch;

pub use codecs::is_accepted as is_accepted_codec;
pub use container::Container;
pub(crate) use input::Input;
pub use tools::{Ffmpeg, FfmpegLimits};
