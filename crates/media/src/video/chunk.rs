//! Encodes one chunk: all its rungs from one decode, each as finished segments.

use std::ops::Range;
use std::path::Path;

use super::plan::{Chunk, Plan, PlannedRung};
use super::{Ffmpeg, FfmpegLimits, encoder, filters};
use crate::ffmpeg::Input;
use crate::mp4::{Fragment, FragmentSample, FragmentedFile, Reads, Sample, VideoTrackHeader};
use crate::{ErrorKind, MediaError};

/// Seconds before a chunk at which decoding begins: a container's clock may be rounded.
const BEFORE: f64 = 0.5;
/// The same for filters that look at neighbouring pictures.
const BEFORE_FILTERS: f64 = 2.0;
/// The same when a first try found the beginning missing: an index can be wrong.
const BEFORE_AGAIN: f64 = 20.0;
/// Seconds behind a chunk that are read: filters look ahead, and pictures are taken from there.
const BEHIND: f64 = 1.0;

/// What a chunk has for one rung.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RungChunk {
    /// Position in the plan's list of rungs.
    pub rung: usize,
    /// The initialisation segment, the same bytes for each chunk of a rung.
    pub init: Vec<u8>,
    /// In order.
    pub segments: Vec<Segment>,
}

/// One media segment: a `moof` and its `mdat`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Number in the whole stream, from 0.
    pub index: u32,
    /// The file.
    pub bytes: Vec<u8>,
    /// When it begins, in ticks of its track.
    pub start_ticks: u64,
    /// How long it lasts, in ticks.
    pub duration_ticks: u64,
    /// Ticks per second.
    pub timescale: u32,
    /// Pictures, or blocks of sound.
    pub frames: u32,
    /// How many of its first bytes show its first picture: the byte range of an I-frame playlist.
    pub key_frame_bytes: usize,
}

/// Encodes `chunk` of `plan` from `source`, working in the folder `scratch`, which it leaves
/// empty of its own files.
///
/// # Errors
/// `input.corrupt` when pictures are missing that the packets promised; `encoder.failed`;
/// `timeout`, `cancelled`, `limit.*`; `internal` when this is not the ffmpeg of the plan.
pub fn encode_chunk(
    ffmpeg: &Ffmpeg,
    source: &Path,
    plan: &Plan,
    chunk: &Chunk,
    scratch: &Path,
) -> Result<Vec<RungChunk>, MediaError> {
    if ffmpeg.version() != plan.encoder {
        return Err(MediaError {
            code: "internal",
            message: format!(
                "the plan was made for ffmpeg {}, this is {}",
                plan.encoder,
                ffmpeg.version()
            ),
            kind: ErrorKind::Transient,
        });
    }
    match try_encode(ffmpeg, source, plan, chunk, scratch, before(plan)) {
        Err(Missing::Pictures(_)) => {
            match try_encode(ffmpeg, source, plan, chunk, scratch, BEFORE_AGAIN) {
                Ok(made) => Ok(made),
                Err(Missing::Pictures(message)) => Err(MediaError::corrupt(message)),
                Err(Missing::Other(error)) => Err(error),
            }
        }
        Err(Missing::Other(error)) => Err(error),
        Ok(made) => Ok(made),
    }
}

/// What encoding `chunk` and comparing it reads of the source.
pub fn chunk_reads(plan: &Plan, chunk: &Chunk) -> Reads {
    let (start, frames) = (plan.source.start_seconds(), plan.frames(chunk));
    let seconds = |picture: u64| start + picture as f64 / plan.grid.rate.as_f64();
    // What is missing at a film's very end is filled up, so all that is there must be seen.
    let end = match frames.end == plan.grid.total {
        true => f64::INFINITY,
        false => seconds(frames.end) + BEHIND,
    };
    Reads::Pictures {
        stream: plan.source.stream,
        seconds: seconds(frames.start) - before(plan)..end,
    }
}

fn before(plan: &Plan) -> f64 {
    match plan.source.deinterlace {
        true => BEFORE_FILTERS,
        false => BEFORE,
    }
}

/// Why a try failed: whether starting earlier may help.
enum Missing {
    Pictures(String),
    Other(MediaError),
}

impl From<MediaError> for Missing {
    fn from(error: MediaError) -> Self {
        Self::Other(error)
    }
}

fn try_encode(
    ffmpeg: &Ffmpeg,
    source: &Path,
    plan: &Plan,
    chunk: &Chunk,
    scratch: &Path,
    before: f64,
) -> Result<Vec<RungChunk>, Missing> {
    let frames = plan.frames(chunk);
    let rungs: Vec<&PlannedRung> = chunk.rungs.iter().map(|&rung| &plan.rungs[rung]).collect();
    let names: Vec<String> = (0..rungs.len()).map(|n| format!("rung-{n}.mp4")).collect();
    let encoded: Vec<&PlannedRung> = rungs
        .iter()
        .copied()
        .filter(|rung| rung.pass_through.is_none())
        .collect();
    let mut args: Vec<String> = Vec::new();
    if !encoded.is_empty() {
        let graph = filters::ladder(plan, &frames, &encoded, 0, "r");
        args.extend(["-filter_complex".into(), graph]);
    }
    let mut labels = (0..encoded.len()).map(|n| format!("[r{n}]"));
    for (rung, name) in rungs.iter().zip(&names) {
        args.extend(match rung.pass_through {
            Some(_) => encoder::copy(plan, &frames, name),
            None => {
                let label = labels.next().unwrap_or_default();
                encoder::args(plan, rung, &label, ffmpeg.threads(), name)
            }
        });
    }
    let args: Vec<_> = args.into_iter().map(Into::into).collect();
    let inputs = [input(ffmpeg, source, plan, frames.start, before)];
    let limited = ffmpeg.clone().with_limits(FfmpegLimits {
        file_bytes: file_bytes_max(plan, frames.end - frames.start, &rungs)
            .min(ffmpeg.limits().file_bytes),
        ..*ffmpeg.limits()
    });
    let written = limited.write(&inputs, &args, scratch);
    let made = written.map_err(Missing::from).and_then(|_| {
        let each = chunk.rungs.iter().zip(&names);
        each.map(|(&rung, name)| {
            let file = std::fs::read(scratch.join(name)).map_err(|e| unreadable(&e))?;
            cut(plan, rung, chunk, &frames, &file)
        })
        .collect()
    });
    for name in &names {
        let _ = std::fs::remove_file(scratch.join(name));
    }
    made
}

/// Largest file that an encoder which keeps to its rate can write, generously.
fn file_bytes_max(plan: &Plan, frames: u64, rungs: &[&PlannedRung]) -> u64 {
    const OVERHEAD: u64 = 4 << 20;
    let rate = rungs.iter().map(|r| r.video_bit_rate).max().unwrap_or(0);
    let seconds = frames as f64 / plan.grid.rate.as_f64();
    OVERHEAD + (f64::from(rate) / 8.0 * (seconds + 2.0) * 2.0) as u64
}

/// The source, opened a little before picture `first` with its own times kept.
pub(super) fn input(ffmpeg: &Ffmpeg, source: &Path, plan: &Plan, first: u64, before: f64) -> Input {
    let input = Input::new(source, plan.source.container)
        .flag("-copyts")
        .flag("-noautorotate")
        .option("-threads", ffmpeg.threads().to_string());
    // A film may change its size in the middle; only the deinterlacer cannot follow.
    let input = if plan.source.deinterlace {
        input
    } else {
        input.option("-reinit_filter", "0")
    };
    let into = first as f64 / plan.grid.rate.as_f64() - before;
    if into <= 0.0 {
        return input;
    }
    let at = plan.source.start_seconds() + into;
    // A negative time would count from the end.
    if at <= 0.0 {
        return input;
    }
    input
        .flag("-noaccurate_seek")
        .option("-seek_timestamp", "1")
        .option("-ss", format!("{at:.6}"))
}

/// Makes segments of what ffmpeg wrote for one rung, checking every picture's place.
fn cut(
    plan: &Plan,
    rung_index: usize,
    chunk: &Chunk,
    frames: &Range<u64>,
    file: &[u8],
) -> Result<RungChunk, Missing> {
    let rung = &plan.rungs[rung_index];
    let parsed = FragmentedFile::new(file);
    let ticks = plan.grid.frame_ticks * rung.every;
    let pictures = match rung.pass_through {
        None => numbered(parsed.samples()?, ticks)?,
        Some(_) => taken(plan, parsed.samples()?, frames),
    };
    let every = u64::from(rung.every);
    let expected = (frames.end - frames.start).div_ceil(every);
    if pictures.len() as u64 != expected {
        return Err(Missing::Pictures(format!(
            "{} of {expected} pictures could be read from picture {} on",
            pictures.len(),
            frames.start
        )));
    }
    let init = VideoTrackHeader {
        shown_late: ticks * rung.reordered(),
        width: rung.width as u16,
        height: rung.height as u16,
        timescale: plan.grid.timescale,
        coding: parsed.coding()?,
    }
    .write()?;
    let per_segment = (plan.segment_frames / rung.every) as usize;
    let segments = (0..chunk.segments)
        .map(|n| {
            let start = n as usize * per_segment;
            let range = start..(start + per_segment).min(pictures.len());
            let index = chunk.first_segment + n;
            segment(plan, rung, index, &pictures, range, file)
        })
        .collect::<Result<_, _>>()?;
    Ok(RungChunk {
        rung: rung_index,
        init,
        segments,
    })
}

/// A sample, and which picture of the chunk it is.
struct Picture {
    sample: Sample,
    number: u64,
}

/// What the encoder made: the chunk's pictures and nothing else.
fn numbered(samples: Vec<Sample>, ticks: u32) -> Result<Vec<Picture>, MediaError> {
    let count = samples.len() as u64;
    let first = samples.iter().map(|s| s.pts).min().unwrap_or(0);
    let number = |sample: Sample| {
        let after = (sample.pts - first) as u64;
        let number = after / u64::from(ticks);
        if !after.is_multiple_of(u64::from(ticks)) || number >= count {
            return Err(MediaError::encoder("a picture is off the grid"));
        }
        Ok(Picture { sample, number })
    };
    samples.into_iter().map(number).collect()
}

/// What was taken from the source, from a key picture before the chunk on to some behind it.
fn taken(plan: &Plan, samples: Vec<Sample>, frames: &Range<u64>) -> Vec<Picture> {
    let begin = plan.source.start_seconds() * plan.grid.rate.as_f64();
    let ticks = f64::from(plan.grid.frame_ticks);
    let number = |sample: Sample| {
        let picture = (sample.pts as f64 / ticks - begin).round();
        let is_inside = picture >= frames.start as f64 && picture < frames.end as f64;
        is_inside.then(|| Picture {
            sample,
            number: picture as u64 - frames.start,
        })
    };
    samples.into_iter().filter_map(number).collect()
}

fn segment(
    plan: &Plan,
    rung: &PlannedRung,
    index: u32,
    pictures: &[Picture],
    range: Range<usize>,
    file: &[u8],
) -> Result<Segment, MediaError> {
    let ticks = plan.grid.frame_ticks * rung.every;
    let reordered = u64::from(rung.reordered());
    let first = range.start as u64;
    // A key frame exactly at the border, of ours no other, nothing shown on the other side of it,
    // and nothing held back for longer than the edit list says.
    let closed = range.clone().all(|n| {
        let Picture { sample, number } = &pictures[n];
        let is_in_place = match n == range.start {
            true => sample.is_sync,
            false => !sample.is_sync || rung.pass_through.is_some(),
        };
        is_in_place && (first..range.end as u64).contains(number) && number + reordered >= n as u64
    });
    let mut shown: Vec<u64> = pictures[range.clone()].iter().map(|p| p.number).collect();
    shown.sort_unstable();
    shown.dedup();
    if !closed || shown.len() != range.len() {
        return Err(MediaError::encoder(format!(
            "segment {index} is not closed"
        )));
    }
    let start_ticks = plan.segment(index).start * u64::from(plan.grid.frame_ticks);
    let fragment = Fragment {
        sequence: index + 1,
        decode_time: start_ticks,
        sample_ticks: ticks,
        all_sync: false,
        samples: range
            .clone()
            .map(|n| FragmentSample {
                data: &file[pictures[n].sample.range.clone()],
                shown_after: (pictures[n].number + reordered - n as u64) as u32 * ticks,
            })
            .collect(),
    };
    let (bytes, key_frame_bytes) = fragment.write();
    Ok(Segment {
        index,
        bytes,
        start_ticks,
        duration_ticks: range.len() as u64 * u64::from(ticks),
        timescale: plan.grid.timescale,
        frames: range.len() as u32,
        key_frame_bytes,
    })
}

fn unreadable(error: &std::io::Error) -> Missing {
    Missing::Other(MediaError::scratch(
        "what ffmpeg wrote cannot be read",
        error,
    ))
}
