//! Art that a file carries with it. It is only copied out here: its bytes are a stranger's image,
//! to be decoded like any other.

use std::path::Path;

use crate::MediaError;
use crate::ffmpeg::Input;
use crate::video::{Ffmpeg, MediaInfo};

/// Largest picture that is taken out, in bytes.
const BYTES_MAX: u64 = 32 << 20;

/// Whether [`cover`] has something to give.
pub fn has_cover(info: &MediaInfo) -> bool {
    !info.pictures.is_empty()
}

/// The bytes of the first attached picture (JPEG, PNG or BMP), if there is one.
///
/// # Errors
/// Those of reading a source: `input.corrupt`, `limit.metadata`, `timeout`, `cancelled`, ...
pub fn cover(
    ffmpeg: &Ffmpeg,
    source: &Path,
    info: &MediaInfo,
) -> Result<Option<Vec<u8>>, MediaError> {
    let Some(picture) = info.pictures.first() else {
        return Ok(None);
    };
    let input = Input::new(source, info.container);
    let args = [
        "-map",
        &format!("0:{}", picture.index),
        "-c",
        "copy",
        "-frames:v",
        "1",
        "-f",
        "image2pipe",
        "pipe:1",
    ]
    .map(Into::into);
    let (_, bytes) = ffmpeg.stream(&[input], &args, None, |output| output.collect(BYTES_MAX))?;
    Ok(Some(bytes).filter(|bytes| !bytes.is_empty()))
}
