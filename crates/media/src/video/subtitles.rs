//! Text that a film carries with it, as WebVTT.

use std::path::Path;

use super::{Container, Ffmpeg};
use crate::MediaError;
use crate::ffmpeg::Input;

/// Largest text, in bytes.
const BYTES_MAX: u64 = 8 << 20;

/// The stream number `stream` of `source`, which must be of text, as WebVTT.
///
/// # Errors
/// Those of reading a source: `input.corrupt`, `limit.metadata`, `timeout`, `cancelled`, ...
pub fn subtitles(
    ffmpeg: &Ffmpeg,
    source: &Path,
    container: Container,
    stream: u32,
) -> Result<String, MediaError> {
    let input = Input::new(source, container);
    let map = format!("0:{stream}");
    let args = ["-map", &map, "-c:s", "webvtt", "-f", "webvtt", "pipe:1"].map(Into::into);
    let (_, text) = ffmpeg.stream(&[input], &args, None, |output| output.collect(BYTES_MAX))?;
    String::from_utf8(text).map_err(|_| MediaError::corrupt("its subtitles are not text"))
}
