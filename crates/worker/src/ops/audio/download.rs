//! `audio.download`: one plain file to take away, looked at again before it is given to anybody.

use super::{Levels, main_stream};
use crate::attempt::Attempt;
use crate::ops::failure::from_media;
use crate::ops::own;
use crate::ops::video::Film;
use crate::ops::video::film::{ffmpeg, folder};
use mediaflow_core::operation::{DOWNLOAD, Downloads, Format, SoundFile};
use mediaflow_core::{ErrorCode, Failure};
use mediaflow_engine::store::Output;
use mediaflow_media::audio::{self, Download, DownloadFormat};
use mediaflow_media::video;

/// Encoders fill their last block: seconds that a result may differ from its source.
const NEAR: f64 = 0.25;

pub(super) fn run(
    attempt: &Attempt,
    film: &Film,
    wanted: &Downloads,
    levels: &Levels,
) -> Result<Output, Failure> {
    let file = wanted.files.get(attempt.task.number as usize);
    let file =
        file.ok_or_else(|| Failure::permanent(ErrorCode::Internal, "the recipe has no such file"))?;
    let ffmpeg = ffmpeg(attempt, 1)?;
    let folder = folder(attempt)?;
    let info = film.seekable();
    let source = film.open(attempt, &ffmpeg, &[video::sound_reads(info)])?;
    let stream = main_stream(info)?;
    let download = Download {
        format: format(*file)?,
        bit_rate: file.kbps * 1000,
        level: levels.of(stream.index, audio::download_channels(stream)),
    };
    let name = format!("{DOWNLOAD}.{}", file.format.extension());
    audio::download(
        &ffmpeg,
        source.path(),
        info.container,
        stream,
        &download,
        folder.path(),
        &name,
    )
    .map_err(|e| source.failed(attempt, e))?;
    attempt.check()?;
    let path = folder.path().join(name);
    let limits = &attempt.toolbox.video_limits;
    let made = video::inspect(&ffmpeg, &path, download.format.media_type(), limits);
    let made = made.map_err(from_media)?.info;
    let (heard, expected) = (main_stream(&made)?.heard(), stream.heard());
    let (seconds, expected) = (heard.end - heard.start, expected.end - expected.start);
    if (seconds - expected).abs() > NEAR {
        let message = format!("the file lasts {seconds:.3} s, and its source {expected:.3} s");
        return Err(Failure::transient(ErrorCode::OutputInvalid, message));
    }
    let blob = attempt.keep(&path)?;
    Ok(Output {
        renditions: vec![own(attempt, DOWNLOAD, file.format, None, blob)],
        ..Output::default()
    })
}

fn format(file: SoundFile) -> Result<DownloadFormat, Failure> {
    match file.format {
        Format::Mp3 => Ok(DownloadFormat::Mp3),
        Format::Opus => Ok(DownloadFormat::Opus),
        Format::M4a => Ok(DownloadFormat::Aac),
        other => {
            let message = format!("no sound is made as {}", other.as_str());
            Err(Failure::permanent(ErrorCode::Internal, message))
        }
    }
}
