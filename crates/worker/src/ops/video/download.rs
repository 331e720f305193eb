//! `video.download`: a finished stream and its sound as one file that plays from its first bytes, without encoding again.

use super::film::{ffmpeg, folder};
use super::verify::Made;
use crate::attempt::Attempt;
use crate::ops::failure::{from_media, unwritten};
use crate::ops::own;
use mediaflow_core::operation::{DOWNLOAD, Download, Format};
use mediaflow_core::{ErrorCode, Failure, Operation};
use mediaflow_engine::store::{BlobRow, NewRendition, Output, Track, TrackKind};
use mediaflow_media::video::progressive;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;

pub(super) fn run(attempt: &Attempt, asked: &Download, made: &Made) -> Result<Output, Failure> {
    let none = || Failure::permanent(ErrorCode::OutputInvalid, "there is no stream to take away");
    let video = chosen(attempt, asked, made).ok_or_else(none)?;
    let audio = sound(&video.0, made);
    let ffmpeg = ffmpeg(attempt, 1)?;
    let folder = folder(attempt)?;
    let pictures = folder.path().join("pictures.mp4");
    join(attempt, video, &pictures)?;
    let with_sound = folder.path().join("sound.mp4");
    if let Some(audio) = audio {
        join(attempt, audio, &with_sound)?;
    }
    let sound = audio.map(|_| &*with_sound);
    let name = "download.mp4";
    progressive(&ffmpeg, &pictures, sound, folder.path(), name).map_err(from_media)?;
    let blob = attempt.keep(&folder.path().join(name))?;
    let size = video.0.width.zip(video.0.height);
    let rendition = NewRendition {
        animated: true,
        ..own(attempt, DOWNLOAD, Format::Mp4, size, blob)
    };
    Ok(Output {
        renditions: vec![rendition],
        ..Output::default()
    })
}

type Stream = (Track, BlobRow, Vec<BlobRow>);

/// The highest stream that is not above the one asked for, or else the lowest.
fn chosen<'a>(attempt: &Attempt, asked: &Download, made: &'a Made) -> Option<&'a Stream> {
    let steps = attempt.task.recipe.steps.iter();
    let ladder = steps.filter_map(|s| match &s.operation {
        Operation::VideoPlan(ladder) => Some(ladder),
        _ => None,
    });
    let names: Vec<&String> = ladder
        .flat_map(|l| l.rungs.iter().map(|r| &r.name))
        .collect();
    let place = |name: &String| names.iter().position(|n| *n == name);
    let most = asked.rung.as_ref().and_then(place);
    let rungs = made.iter().filter(|(t, ..)| t.kind == TrackKind::Video);
    let (low, high): (Vec<&Stream>, Vec<&Stream>) =
        rungs.partition(|(t, ..)| most.is_none_or(|most| place(&t.name) <= Some(most)));
    let highest = low.into_iter().max_by_key(|(t, ..)| place(&t.name));
    highest.or_else(|| high.into_iter().min_by_key(|(t, ..)| place(&t.name)))
}

/// The sound that goes with a stream, in the language that players choose by themselves.
fn sound<'a>(video: &Track, made: &'a Made) -> Option<&'a Stream> {
    let rate = video.said["audio"].as_u64()?;
    let fits = made
        .iter()
        .filter(|(t, ..)| t.kind == TrackKind::Audio && t.said["bit_rate"].as_u64() == Some(rate));
    let is_default = |t: &Track| t.said["default"].as_bool() == Some(true);
    fits.min_by_key(|(t, ..)| (!is_default(t), t.name.clone()))
}

/// Writes a stream's parts behind each other, which is a file of its own, with a part in memory at a time.
fn join(attempt: &Attempt, (_, init, segments): &Stream, path: &Path) -> Result<(), Failure> {
    let mut file = File::create_new(path).map_err(unwritten)?;
    for blob in std::iter::once(init).chain(segments) {
        attempt.check()?;
        file.write_all(&attempt.read(blob)?).map_err(unwritten)?;
    }
    Ok(())
}
