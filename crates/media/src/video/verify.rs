//! Decodes what was made, before anybody is told that it is there.

use std::ffi::OsString;
use std::ops::Range;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::chunk::input as source_input;
use super::plan::{AUDIO_BLOCK, Chunk, Plan};
use super::{Container, Ffmpeg, RungChunk, filters};
use crate::MediaError;
use crate::ffmpeg::Input;

/// Seconds of the source that are decoded before the first compared picture.
const BEFORE: f64 = 0.5;
/// Pictures that are compared on each side of a chunk.
const BORDER: u64 = 8;

/// Which pictures are compared with the source's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SsimRange {
    /// None: only decoding is checked.
    None,
    /// Some at the chunk's start and end.
    Borders,
    /// All of them.
    All,
}

/// How near a result is to its source.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// How many pictures were compared.
    pub frames: u64,
    /// Mean structural similarity of luma and colours, 0 to 1.
    pub ssim_mean: f64,
    /// That of the worst picture.
    pub ssim_min: f64,
}

/// Decodes all pictures of `made` and compares some with the source's.
///
/// # Errors
/// `encoder.failed` when a picture is broken, missing, twice there or at the wrong time; those of
/// reading the source.
pub fn verify_chunk(
    ffmpeg: &Ffmpeg,
    source: &Path,
    plan: &Plan,
    chunk: &Chunk,
    made: &RungChunk,
    range: SsimRange,
    scratch: &Path,
) -> Result<Option<Quality>, MediaError> {
    let path = scratch.join("verify.mp4");
    let mut bytes = made.init.clone();
    made.segments
        .iter()
        .for_each(|segment| bytes.extend_from_slice(&segment.bytes));
    let checked = std::fs::write(&path, bytes)
        .map_err(|e| MediaError {
            code: "internal",
            message: format!("the result cannot be written for checking: {e}"),
            kind: crate::ErrorKind::Transient,
        })
        .and_then(|()| {
            let frames = plan.frames(chunk);
            verify_stream(ffmpeg, &path, plan, made.rung, frames.clone())?;
            let picked = match range {
                SsimRange::None => Vec::new(),
                SsimRange::All => vec![frames],
                SsimRange::Borders if frames.end - frames.start <= 2 * BORDER => vec![frames],
                SsimRange::Borders => vec![
                    frames.start..frames.start + BORDER,
                    frames.end - BORDER..frames.end,
                ],
            };
            let start = plan.frames(chunk).start;
            let mut values = Vec::new();
            for frames in picked {
                compare(
                    ffmpeg,
                    source,
                    plan,
                    made.rung,
                    &path,
                    start,
                    frames,
                    &mut values,
                )?;
            }
            Ok(summed(&values))
        });
    let _ = std::fs::remove_file(&path);
    checked
}

/// Decodes the file `path`, which must show exactly the pictures `frames` of the grid in the rung
/// number `rung`, each at its time. A whole rung is checked by all its segments in one file.
///
/// # Errors
/// `encoder.failed` when it does not.
pub fn verify_stream(
    ffmpeg: &Ffmpeg,
    path: &Path,
    plan: &Plan,
    rung: usize,
    frames: Range<u64>,
) -> Result<(), MediaError> {
    let every = u64::from(plan.rungs[rung].every);
    let ticks = u64::from(plan.grid.frame_ticks);
    let count = (frames.end - frames.start).div_ceil(every);
    let mut next = 0;
    let times = |n: u64| (frames.start + n * every) * ticks;
    decoded(ffmpeg, path, "v", plan.grid.timescale, &mut |time, _| {
        if time != times(next) as i64 {
            let message = format!("picture {next} is shown at {time} and not {}", times(next));
            return Err(MediaError::encoder(message));
        }
        next += 1;
        Ok(())
    })?;
    if next != count {
        let message = format!("{next} pictures can be decoded and not {count}");
        return Err(MediaError::encoder(message));
    }
    Ok(())
}

/// Decodes the file `path` of sound, which must be `blocks` long, without a gap, from the block
/// number `first` of the plan on.
///
/// # Errors
/// `encoder.failed` when it is not.
pub fn verify_sound(
    ffmpeg: &Ffmpeg,
    path: &Path,
    sample_rate: u32,
    first: u64,
    blocks: u64,
) -> Result<(), MediaError> {
    let block = i64::from(AUDIO_BLOCK);
    let mut next = first as i64 * block;
    decoded(ffmpeg, path, "a", sample_rate, &mut |time, duration| {
        if time != next {
            let message = format!("sound goes on at sample {time} and not {next}");
            return Err(MediaError::encoder(message));
        }
        next += duration;
        Ok(())
    })?;
    let end = (first + blocks) as i64 * block;
    if next != end {
        let message = format!("the sound ends at sample {next} and not {end}");
        return Err(MediaError::encoder(message));
    }
    Ok(())
}

/// Decodes a file of ours, strictly, and gives each picture's or block's time and duration.
fn decoded(
    ffmpeg: &Ffmpeg,
    path: &Path,
    kind: &str,
    timescale: u32,
    each: &mut dyn FnMut(i64, i64) -> Result<(), MediaError>,
) -> Result<(), MediaError> {
    let input = Input::new(path, Container::Mov)
        .flag("-copyts")
        .flag("-xerror")
        .option("-err_detect", "+explode")
        .option("-threads", ffmpeg.threads().to_string());
    let base = format!("1/{timescale}");
    let mut args: Vec<OsString> = ["-map", &format!("0:{kind}:0"), "-fps_mode", "passthrough"]
        .map(OsString::from)
        .to_vec();
    if kind == "v" {
        args.extend(["-enc_time_base", &base].map(OsString::from));
    }
    args.extend(["-f", "framecrc", "pipe:1"].map(OsString::from));
    let expected = format!("#tb 0: {base}");
    let read = ffmpeg.stream(&[input], &args, None, |output| {
        output.lines(|line| {
            if line.starts_with("#tb 0:") && line.trim() != expected {
                return Err(MediaError::encoder(format!("its clock is {line}")));
            }
            let mut fields = line
                .split(',')
                .map(|field| field.trim().parse::<i64>().ok());
            match (fields.next(), fields.next(), fields.next(), fields.next()) {
                (Some(Some(0)), Some(_), Some(Some(time)), Some(Some(duration))) => {
                    each(time, duration)
                }
                _ => Ok(()),
            }
        })
    });
    // The file is ours: whatever is wrong with it is not the uploader's fault.
    read.map(|_| ()).map_err(|e| match e.code {
        "input.corrupt" | "input.unsupported" => MediaError::encoder(e.message),
        _ => e,
    })
}

#[expect(
    clippy::too_many_arguments,
    reason = "two films and where they are compared"
)]
fn compare(
    ffmpeg: &Ffmpeg,
    source: &Path,
    plan: &Plan,
    rung_index: usize,
    path: &Path,
    path_start: u64,
    frames: Range<u64>,
    values: &mut Vec<f64>,
) -> Result<(), MediaError> {
    let rung = &plan.rungs[rung_index];
    let every = u64::from(rung.every);
    // Both sides begin at a picture that the rung has.
    let first = (frames.start - path_start).next_multiple_of(every);
    let wanted = path_start + first..frames.end;
    if wanted.is_empty() {
        return Ok(());
    }
    let mut graph = filters::selected(plan, &wanted);
    graph += &filters::shaped(&plan.source, rung.width, rung.height);
    if every > 1 {
        graph += &format!(",framestep={every}");
    }
    let (from, to) = (first / every, (frames.end - path_start).div_ceil(every));
    graph += &format!(
        ",settb=1/1000,setpts=N[a];[1:v]trim=start_frame={from}:end_frame={to},\
         settb=1/1000,setpts=N[b];[b][a]ssim=stats_file=-[out]"
    );
    let ours = Input::new(path, Container::Mov);
    let theirs = source_input(ffmpeg, source, plan, wanted.start, BEFORE);
    let args = [
        "-filter_complex",
        &graph,
        "-map",
        "[out]",
        "-f",
        "null",
        "-",
    ]
    .map(Into::into);
    let before = values.len();
    ffmpeg.stream(&[theirs, ours], &args, None, |output| {
        output.lines(|line| {
            let all = line.split_whitespace().find_map(|f| f.strip_prefix("All:"));
            values.extend(all.and_then(|value| value.parse::<f64>().ok()));
            Ok(())
        })
    })?;
    if (values.len() - before) as u64 != to - from {
        return Err(MediaError::encoder("not all pictures could be compared"));
    }
    Ok(())
}

fn summed(values: &[f64]) -> Option<Quality> {
    let worst = values.iter().copied().min_by(f64::total_cmp)?;
    Some(Quality {
        frames: values.len() as u64,
        ssim_mean: values.iter().sum::<f64>() / values.len() as f64,
        ssim_min: worst,
    })
}
