//! One plain file of a recording, to take away.

use std::ffi::OsString;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Level;
use super::filters::in_channels;
use crate::MediaError;
use crate::ffmpeg::Input;
use crate::video::{AudioStream, Container, Ffmpeg};

/// Kinds of plain files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DownloadFormat {
    /// Opus in Ogg.
    Opus,
    /// MP3.
    Mp3,
    /// AAC in MP4, index first.
    Aac,
}

impl DownloadFormat {
    /// For `Content-Type`.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Opus => "audio/ogg",
            Self::Mp3 => "audio/mpeg",
            Self::Aac => "audio/mp4",
        }
    }

    /// For file names, without a point.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Opus => "opus",
            Self::Mp3 => "mp3",
            Self::Aac => "m4a",
        }
    }

    fn args(self) -> &'static [&'static str] {
        match self {
            Self::Opus => &["-c:a", "libopus", "-ar", "48000", "-f", "ogg"],
            Self::Mp3 => &["-c:a", "libmp3lame", "-f", "mp3"],
            Self::Aac => &["-c:a", "aac", "-movflags", "+faststart", "-f", "ipod"],
        }
    }
}

/// One plain file about to be made.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Download {
    /// What it becomes.
    pub format: DownloadFormat,
    /// Bits per second.
    pub bit_rate: u32,
    /// By how much it is turned up or down.
    pub level: Level,
}

/// Channels of a plain file made of `stream`.
pub fn download_channels(stream: &AudioStream) -> u8 {
    match stream.channels {
        1 => 1,
        _ => 2,
    }
}

/// Writes `download` of a stream of `source` as `output`, a plain name in `scratch`, in stereo or mono.
///
/// # Errors
/// Those of reading a source: `input.corrupt`, `timeout`, `cancelled`, ...
pub fn download(
    ffmpeg: &Ffmpeg,
    source: &Path,
    container: Container,
    stream: &AudioStream,
    download: &Download,
    scratch: &Path,
    output: &str,
) -> Result<(), MediaError> {
    let input = Input::new(source, container).option("-threads", ffmpeg.threads().to_string());
    let mut args: Vec<OsString> = [
        "-map",
        &format!("0:{}", stream.index),
        "-map_metadata",
        "-1",
        "-af",
        &format!(
            "{}{}anull",
            in_channels(stream, download_channels(stream)),
            download.level.filters(stream.sample_rate)
        ),
        "-b:a",
        &download.bit_rate.to_string(),
    ]
    .map(OsString::from)
    .to_vec();
    args.extend(download.format.args().iter().map(OsString::from));
    args.push(output.into());
    ffmpeg.write(&[input], &args, scratch).map(|_| ())
}
