//! What each step reads of a film, for who fetches it from far away, and the proof that it was enough.

use std::ffi::OsString;
use std::path::Path;

use super::frames::Film;
use super::{Ffmpeg, MediaInfo, poster, storyboard};
use crate::ffmpeg::{Container, Input};
use crate::mp4::{Excerpt, Reads};
use crate::{ErrorKind, MediaError};

/// Seconds more that are listed, of those more that an excerpt has: pictures are stored in another order than shown.
const BEHIND: f64 = 0.8;

/// What [`super::frames()`] reads.
///
/// # Errors
/// `input.unsupported` without a film.
pub fn frames_read(info: &MediaInfo, count_max: usize) -> Result<Vec<Reads>, MediaError> {
    let film = described(info)?;
    Ok(vec![film.keys_read(&film.spread(count_max))])
}

/// What [`super::poster()`] reads.
///
/// # Errors
/// `input.unsupported` without a film.
pub fn poster_reads(info: &MediaInfo) -> Result<Vec<Reads>, MediaError> {
    Ok(poster::reads(&described(info)?))
}

/// What [`super::storyboard()`] reads.
///
/// # Errors
/// `input.unsupported` without a film.
pub fn storyboard_reads(info: &MediaInfo, interval: f64) -> Result<Vec<Reads>, MediaError> {
    Ok(storyboard::reads(&described(info)?, interval))
}

/// What those read who listen to all of it.
pub fn sound_reads(info: &MediaInfo) -> Reads {
    Reads::Streams(info.audio.iter().map(|stream| stream.index).collect())
}

/// A film that nobody opens.
fn described(info: &MediaInfo) -> Result<Film<'_>, MediaError> {
    Film::of(Path::new(""), info)
}

/// Has ffprobe seek and read in `copy`, which holds what `reads` asked of `excerpt`, as the step will, and sees that it
/// meets every sample of that time where the file's tables say. Reads that are not of a time need no proof: they are
/// of whole streams, or their pictures are counted.
///
/// # Errors
/// `internal`, to be tried again, where it does not; those of reading a source.
pub fn prove(
    ffmpeg: &Ffmpeg,
    copy: &Path,
    excerpt: &Excerpt,
    reads: &[Reads],
) -> Result<(), MediaError> {
    for reading in reads {
        let (streams, seconds) = match reading {
            Reads::Pictures { stream, seconds } => (vec![*stream], seconds),
            Reads::Sound { streams, seconds } => (streams.clone(), seconds),
            Reads::Opening | Reads::Keys { .. } | Reads::Streams(_) => continue,
        };
        for stream in streams {
            let mut expected = excerpt.positions(stream, seconds);
            let mut met = positions(ffmpeg, copy, stream, seconds)?;
            expected.sort_unstable();
            met.sort_unstable();
            let missed = expected.iter().find(|at| met.binary_search(at).is_err());
            if let Some(at) = missed {
                return Err(MediaError {
                    code: "internal",
                    message: format!(
                        "too little of the source was fetched: what stream {stream} has at {at} was not read"
                    ),
                    kind: ErrorKind::Transient,
                });
            }
        }
    }
    Ok(())
}

/// Where in the file the packets of this time are that ffprobe reads.
fn positions(
    ffmpeg: &Ffmpeg,
    copy: &Path,
    stream: u32,
    seconds: &std::ops::Range<f64>,
) -> Result<Vec<u64>, MediaError> {
    let from = match seconds.start > 0.0 {
        true => format!("{:.6}", seconds.start),
        // A negative time would count from the end.
        false => String::new(),
    };
    let until = match seconds.end.is_finite() {
        true => format!("{:.6}", seconds.end + BEHIND),
        false => String::new(),
    };
    let args = [
        "-select_streams",
        &stream.to_string(),
        "-read_intervals",
        &format!("{from}%{until}"),
        "-show_entries",
        "packet=pos",
        "-of",
        "csv=p=0",
    ]
    .map(OsString::from);
    let mut found = Vec::new();
    ffmpeg.probe(&Input::new(copy, Container::Mov), &args, |output| {
        output.lines(|line| {
            let field = line.trim_end().split(',').next();
            found.extend(field.and_then(|at| at.parse::<u64>().ok()));
            Ok(())
        })
    })?;
    Ok(found)
}
