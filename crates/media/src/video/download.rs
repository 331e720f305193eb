//! One plain file of a finished stream, to take away.

use std::ffi::OsString;
use std::path::Path;

use super::{Container, Ffmpeg};
use crate::MediaError;
use crate::ffmpeg::Input;

/// Writes a progressive MP4, index first, as `output`, a plain name in `scratch`: the pictures of
/// `video` and the sound of `audio`, each a file of an initialisation segment and all media
/// segments. Nothing is encoded again.
///
/// # Errors
/// Those of running ffmpeg: `limit.output`, `timeout`, `cancelled`, `encoder.failed`.
pub fn progressive(
    ffmpeg: &Ffmpeg,
    video: &Path,
    audio: Option<&Path>,
    scratch: &Path,
    output: &str,
) -> Result<(), MediaError> {
    let inputs: Vec<Input> = [Some(video), audio]
        .into_iter()
        .flatten()
        .map(|path| Input::new(path, Container::Mov))
        .collect();
    let mut args = vec!["-map", "0:v:0"];
    if audio.is_some() {
        args.extend(["-map", "1:a:0"]);
    }
    args.extend(["-c", "copy", "-movflags", "+faststart", "-f", "mp4", output]);
    let args: Vec<OsString> = args.into_iter().map(Into::into).collect();
    ffmpeg.write(&inputs, &args, scratch).map(|_| ())
}
