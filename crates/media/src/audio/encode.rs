//! AAC streams in pieces that join without a click.
//!
//! Each block of AAC overlaps the one before, and an encoder needs some blocks to get into its
//! stride. So a piece is encoded from a second before its start to a little after its end, of
//! exactly the samples that its neighbours have too, and what lies outside is dropped.

use std::ffi::OsString;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use super::adts::{Blocks, configuration};
use super::filters::placed;
use crate::ffmpeg::Input;
use crate::mp4::{AudioTrackHeader, Fragment, FragmentSample};
use crate::video::plan::{AUDIO_BLOCK, AudioPiece, AudioPlan, AudioTrack};
use crate::video::{Ffmpeg, Segment};
use crate::{ErrorKind, MediaError};

/// Blocks that are encoded before a piece and dropped: about a second.
const BEFORE: u64 = 48;
/// Blocks after it: an encoder looks ahead.
const AFTER: u64 = 3;
/// Seconds before the first sample at which reading begins: sound and pictures of one moment can
/// lie apart in a file.
const SEEK_BEFORE: f64 = 3.0;

/// One segment of one track at one bit rate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioSegment {
    /// Position in the plan's list of tracks.
    pub track: usize,
    /// Position in the track's list of renditions.
    pub rendition: usize,
    /// The segment; its frames are blocks, its ticks samples.
    pub segment: Segment,
}

/// The initialisation segment of a track at a bit rate, which follows from the plan alone.
///
/// # Errors
/// `encoder.failed` for a plan whose sample rate AAC does not have.
pub fn init_segment(
    plan: &AudioPlan,
    track: usize,
    rendition: usize,
) -> Result<Vec<u8>, MediaError> {
    let track = &plan.tracks[track];
    Ok(AudioTrackHeader {
        channels: track.channels.into(),
        sample_rate: plan.sample_rate,
        bit_rate: track.renditions[rendition].bit_rate,
        configuration: &configuration(plan.sample_rate, track.channels)?,
        language: track.language.as_deref().unwrap_or("und"),
    }
    .write())
}

/// Encodes `piece`: all tracks at all bit rates. `gains_db` has one gain for each track, or is
/// empty. `each` gets the segments, in order within a track and bit rate.
///
/// # Errors
/// As [`crate::video::encode_chunk`], and what `each` returns.
pub fn encode_piece(
    ffmpeg: &Ffmpeg,
    source: &Path,
    plan: &AudioPlan,
    piece: &AudioPiece,
    gains_db: &[f64],
    scratch: &Path,
    each: &mut dyn FnMut(AudioSegment) -> Result<(), MediaError>,
) -> Result<(), MediaError> {
    let first = plan.segment(piece.first_segment).start;
    let end = plan.segment(piece.first_segment + piece.segments - 1).end;
    let from = first.saturating_sub(BEFORE);
    let samples = |block: u64| block * u64::from(AUDIO_BLOCK);
    let mut graphs = Vec::new();
    let mut outputs = Vec::new();
    for (t, track) in plan.tracks.iter().enumerate() {
        let gain = gains_db.get(t).copied().unwrap_or(0.0);
        let placed = placed(
            track,
            plan.sample_rate,
            samples(from),
            samples(end + AFTER),
            gain,
        );
        let count = track.renditions.len();
        let labels: String = (0..count).map(|r| format!("[t{t}r{r}]")).collect();
        graphs.push(format!("{placed},asplit={count}{labels}"));
        for (r, rendition) in track.renditions.iter().enumerate() {
            outputs.extend(
                [
                    "-map",
                    &format!("[t{t}r{r}]"),
                    "-c:a",
                    "aac",
                    "-b:a",
                    &rendition.bit_rate.to_string(),
                    "-f",
                    "adts",
                    &name(t, r),
                ]
                .map(OsString::from),
            );
        }
    }
    let mut args: Vec<OsString> = vec!["-filter_complex".into(), graphs.join(";").into()];
    args.extend(outputs);
    let input = input(
        ffmpeg,
        source,
        &plan.tracks,
        samples(from) as f64 / f64::from(plan.sample_rate),
    );
    let written = ffmpeg.write(&[input], &args, scratch);
    let made = written.and_then(|_| {
        for (t, track) in plan.tracks.iter().enumerate() {
            for r in 0..track.renditions.len() {
                let path = scratch.join(name(t, r));
                cut(&path, plan, piece, first - from, &mut |segment| {
                    each(AudioSegment {
                        track: t,
                        rendition: r,
                        segment,
                    })
                })?;
            }
        }
        Ok(())
    });
    for (t, track) in plan.tracks.iter().enumerate() {
        for r in 0..track.renditions.len() {
            let _ = std::fs::remove_file(scratch.join(name(t, r)));
        }
    }
    made
}

fn name(track: usize, rendition: usize) -> String {
    format!("sound-{track}-{rendition}.aac")
}

/// The source, opened before the moment `from` (seconds of the result), with its own times kept.
fn input(ffmpeg: &Ffmpeg, source: &Path, tracks: &[AudioTrack], from: f64) -> Input {
    let input = Input::new(source, tracks[0].container)
        .flag("-copyts")
        .option("-threads", ffmpeg.threads().to_string());
    let at = tracks[0].start_seconds + from - SEEK_BEFORE;
    if from <= SEEK_BEFORE || at <= 0.0 {
        return input;
    }
    input
        .flag("-noaccurate_seek")
        .option("-seek_timestamp", "1")
        .option("-ss", format!("{at:.6}"))
}

/// Makes segments of the blocks in `path`, without the first `dropped` and the encoder's own
/// first one, which says nothing but what comes before.
fn cut(
    path: &Path,
    plan: &AudioPlan,
    piece: &AudioPiece,
    dropped: u64,
    each: &mut dyn FnMut(Segment) -> Result<(), MediaError>,
) -> Result<(), MediaError> {
    let file = File::open(path).map_err(|e| MediaError {
        code: "internal",
        message: format!("what ffmpeg wrote cannot be read: {e}"),
        kind: ErrorKind::Transient,
    })?;
    let mut blocks = Blocks::new(BufReader::new(file));
    let mut next = || {
        let missing = || MediaError::corrupt("the sound ends early");
        blocks.next()?.ok_or_else(missing)
    };
    for _ in 0..dropped + 1 {
        next()?;
    }
    for index in piece.first_segment..piece.first_segment + piece.segments {
        let range = plan.segment(index);
        let data = range
            .clone()
            .map(|_| next())
            .collect::<Result<Vec<_>, _>>()?;
        let start_ticks = range.start * u64::from(AUDIO_BLOCK);
        let fragment = Fragment {
            sequence: index + 1,
            decode_time: start_ticks,
            sample_ticks: AUDIO_BLOCK,
            all_sync: true,
            samples: data
                .iter()
                .map(|data| FragmentSample {
                    data,
                    shown_after: 0,
                })
                .collect(),
        };
        each(Segment {
            index,
            bytes: fragment.write().0,
            start_ticks,
            duration_ticks: data.len() as u64 * u64::from(AUDIO_BLOCK),
            timescale: plan.sample_rate,
            frames: data.len() as u32,
            key_frame_bytes: 0,
        })?;
    }
    Ok(())
}
