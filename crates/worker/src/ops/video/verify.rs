//! `video.verify`: every chunk was decoded when it was made; here is checked what no chunk can see of itself, that
//! nothing is missing and that neighbours join.

use super::film::{ffmpeg, folder};
use super::packaging;
use crate::attempt::Attempt;
use crate::ops::failure::{from_engine, from_media, unwritten};
use mediaflow_core::{ErrorCode, Failure};
use mediaflow_engine::store::{BlobRow, Output, Track, TrackKind};
use mediaflow_media::video::plan::Packaging;
use mediaflow_media::video::{Plan, verify_listed, verify_stream};
use serde_json::json;

/// Of how many joins of the lowest rung one is decoded. All chunks were decoded alone, and each begins with a picture
/// that refers to none before it, so this is to notice a mistake of ours, which all rungs would share.
const DECODED: usize = 20;

pub(crate) type Made = Vec<(Track, BlobRow, Vec<BlobRow>)>;

/// All that this generation has recorded.
pub(crate) async fn made(attempt: &Attempt) -> Result<Made, Failure> {
    let made = attempt.depot.made(&attempt.task).await;
    made.map_err(|e| from_engine(e.into()))
}

pub(super) fn run(attempt: &Attempt, plan: &Plan, made: &Made) -> Result<Output, Failure> {
    let ffmpeg = ffmpeg(attempt, 0)?;
    let folder = folder(attempt)?;
    let mut joins = 0;
    for (number, rung) in plan.rungs.iter().enumerate() {
        let found = made.iter().find(|(track, ..)| track.name == rung.name);
        let (track, init, segments) = found.ok_or_else(|| invalid(&rung.name, "is missing"))?;
        whole(track)?;
        let borders = plan.chunks.iter().filter(|c| c.rungs.contains(&number));
        let borders = borders.map(|c| c.first_segment).filter(|&first| first > 0);
        for (count, border) in borders.enumerate() {
            attempt.check()?;
            let pair = &segments[border as usize - 1..=border as usize];
            let bytes = join(attempt, before(track, init), pair)?;
            verify_listed(plan, number, border - 1..border + 1, &bytes).map_err(from_media)?;
            joins += 1;
            if number == 0 && count % DECODED == 0 {
                let path = folder.path().join("join");
                std::fs::write(&path, bytes).map_err(unwritten)?;
                let frames = plan.segment(border - 1).start..plan.segment(border).end;
                verify_stream(&ffmpeg, &path, plan, number, frames).map_err(from_media)?;
            }
        }
    }
    // What is wrapped was compared before; whether it can be read as it is listed shows at the start as well as anywhere.
    if plan.packaging == Packaging::MpegTs
        && let Some((track, init, segments)) =
            made.iter().find(|(t, ..)| t.name == plan.rungs[0].name)
    {
        let path = folder.path().join("start");
        let bytes = join(attempt, before(track, init), &segments[..1])?;
        std::fs::write(&path, bytes).map_err(unwritten)?;
        verify_stream(&ffmpeg, &path, plan, 0, plan.segment(0)).map_err(from_media)?;
    }
    for (track, ..) in made.iter().filter(|(t, ..)| t.kind == TrackKind::Audio) {
        whole(track)?;
    }
    Ok(Output {
        facts: json!({ "tracks": made.len(), "joins": joins }),
        ..Output::default()
    })
}

pub(crate) fn whole(track: &Track) -> Result<(), Failure> {
    match track.whole {
        true => Ok(()),
        false => Err(invalid(&track.name, "has a gap")),
    }
}

pub(crate) fn invalid(track: &str, what: &str) -> Failure {
    Failure::permanent(
        ErrorCode::OutputInvalid,
        format!("the stream {track} {what}"),
    )
}

/// What a decoder must be told before the segments of a stream.
fn before<'a>(track: &Track, init: &'a BlobRow) -> Option<&'a BlobRow> {
    (packaging::planned(track.packaging) == Packaging::Cmaf).then_some(init)
}

/// Segments, behind their initialisation segment where they need one, are a file of their own.
pub(crate) fn join(
    attempt: &Attempt,
    init: Option<&BlobRow>,
    segments: &[BlobRow],
) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    for blob in init.into_iter().chain(segments) {
        bytes.extend(attempt.read(blob)?);
    }
    Ok(bytes)
}
