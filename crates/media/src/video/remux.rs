//! Puts films into a container with an index, without touching their pictures and sound.

use std::ffi::OsString;
use std::path::Path;

use super::{Container, Ffmpeg, FfmpegLimits, MediaInfo};
use crate::MediaError;
use crate::ffmpeg::Input;

/// The media type of what [`remux`] writes.
pub const REMUXED_MEDIA_TYPE: &str = "video/x-matroska";

/// Most bytes of a copy for each of its source: packets of one byte have headers of ten.
const BYTES_PER_BYTE: u64 = 16;

/// Whether `info` is of a film that must be remuxed before it can be cut: in a transport stream a
/// seek was 22 pictures off.
pub fn needs_index(info: &MediaInfo) -> bool {
    !info.container.is_indexed()
}

/// Copies the first film and all sound of `source` to `output`, a Matroska file in
/// `scratch` with this plain name. Inspect it afterwards: its times differ from the source's.
///
/// # Errors
/// Those of reading a source: `input.corrupt`, `limit.output`, `timeout`, `cancelled`, ...
pub fn remux(
    ffmpeg: &Ffmpeg,
    source: &Path,
    container: Container,
    scratch: &Path,
    output: &str,
) -> Result<(), MediaError> {
    // Some of these containers say when a picture is decoded and not when it is shown.
    let input = Input::new(source, container).option("-fflags", "+genpts");
    let args = [
        "-map",
        "0:V:0?",
        "-map",
        "0:a?",
        "-c",
        "copy",
        "-max_interleave_delta",
        "0",
        "-f",
        "matroska",
        output,
    ];
    let args: Vec<OsString> = args.map(OsString::from).to_vec();
    let bytes = std::fs::metadata(source).map_or(0, |m| m.len());
    let limits = *ffmpeg.limits();
    let limited = ffmpeg.clone().with_limits(FfmpegLimits {
        file_bytes: limits
            .file_bytes
            .min(bytes.saturating_mul(BYTES_PER_BYTE) + (1 << 20)),
        ..limits
    });
    limited.write(&[input], &args, scratch).map(|_| ())
}
