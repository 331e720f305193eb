//! `video.lead` and `video.encode`: one chunk of the plan, decoded again and compared before anybody is told of it.

use super::film::{Film, ffmpeg, folder};
use super::packaging;
use crate::attempt::Attempt;
use crate::config::processors;
use crate::ops::failure::from_media;
use mediaflow_core::{ErrorCode, Failure};
use mediaflow_engine::store::{self, NewSegment, NewTrack, Output, TrackKind};
use mediaflow_media::mp4::codec_string;
use mediaflow_media::video::{
    Plan, Quality, RungChunk, SsimRange, chunk_reads, encode_chunk, verify_chunk,
};
use serde_json::json;
use std::sync::Arc;

/// Structural similarity below which a picture is not what the source shows. Noise at a low bit rate was measured
/// down to 0.36 in a chunk's first pictures, in ffmpeg's own result too.
const SSIM_MIN: f64 = 0.25;
/// More gain little for one chunk.
const THREADS_MAX: u32 = 4;

pub(super) fn run(
    attempt: &Attempt,
    film: &Film,
    plan: &Plan,
    number: usize,
) -> Result<Output, Failure> {
    let chunk = plan.chunks.get(number).ok_or_else(|| {
        let message = format!("the plan has no chunk {number}");
        Failure::permanent(ErrorCode::Internal, message)
    })?;
    let ffmpeg = ffmpeg(attempt, threads(plan, number))?;
    let folder = folder(attempt)?;
    let source = film.open(attempt, &ffmpeg, &[chunk_reads(plan, chunk)])?;
    let path = source.path();
    let made = encode_chunk(&ffmpeg, path, plan, chunk, folder.path());
    let made = made.map_err(|e| source.failed(attempt, e))?;
    attempt.check()?;
    // To compare the lead's end would take as long as making it, and it is compared in the chunk of its other rungs.
    let compared = match number {
        0 if plan.chunks.len() > 1 => SsimRange::Start,
        _ => SsimRange::Sample,
    };
    let checking = ffmpeg.charged_to(Arc::clone(&attempt.spent.checking));
    let qualities = verify_chunk(&checking, path, plan, chunk, &made, compared, folder.path());
    let mut output = Output::default();
    for (rung, quality) in made
        .into_iter()
        .zip(qualities.map_err(|e| source.failed(attempt, e))?)
    {
        check(quality)?;
        record(attempt, plan, rung, quality, &mut output)?;
    }
    Ok(output)
}

/// Threads of the chunk `number`; 0 is one for each processor. Encoders that share a picture between threads take some
/// 5 % more processor time than one each, so threads are for films that have fewer chunks than there are processors.
fn threads(plan: &Plan, number: usize) -> u32 {
    let processors = processors();
    let share = match number {
        // Somebody waits for the lead, and then for what completes its segment.
        0 => return 0,
        1 => processors / 2,
        _ => processors / u32::try_from(plan.chunks.len()).unwrap_or(u32::MAX),
    };
    share.clamp(1, THREADS_MAX)
}

fn check(quality: Option<Quality>) -> Result<(), Failure> {
    match quality {
        Some(found) if found.ssim_min < SSIM_MIN => {
            let message = format!(
                "a picture has a similarity of {:.2} to the source's; {SSIM_MIN} is the least",
                found.ssim_min
            );
            Err(Failure::transient(ErrorCode::OutputInvalid, message))
        }
        _ => Ok(()),
    }
}

fn record(
    attempt: &Attempt,
    plan: &Plan,
    mut made: RungChunk,
    quality: Option<Quality>,
    output: &mut Output,
) -> Result<(), Failure> {
    let rung = &plan.rungs[made.rung];
    let codecs = codec_string(&made.init).map_err(from_media)?;
    for segment in &mut made.segments {
        plan.packaging
            .wrap(&made.init, segment)
            .map_err(from_media)?;
    }
    let files = std::iter::once(made.init);
    let (files, said): (Vec<Vec<u8>>, Vec<_>) = files
        .map(|init| (init, None))
        .chain(made.segments.into_iter().map(|mut segment| {
            let bytes = std::mem::take(&mut segment.bytes);
            (bytes, Some(segment))
        }))
        .unzip();
    let blobs = attempt.write(&files)?;
    let mut quality = quality.map(|q| store::Quality {
        frames: q.frames,
        ssim_mean: q.ssim_mean,
        ssim_min: q.ssim_min,
    });
    for (blob, segment) in blobs.into_iter().zip(said) {
        match segment {
            None => output.tracks.push(NewTrack {
                name: rung.name.clone(),
                kind: TrackKind::Video,
                codecs: codecs.clone(),
                width: Some(rung.width),
                height: Some(rung.height),
                said: json!({
                    "frame_rate": [plan.grid.rate.num, plan.grid.rate.den * rung.every],
                    "target_duration": plan.target_duration(),
                    "audio": plan.audio.as_ref().map(|_| rung.audio_bit_rate),
                }),
                timescale: plan.grid.timescale,
                segments: plan.segments,
                packaging: packaging::recorded(plan.packaging),
                init: blob,
            }),
            Some(segment) => output.segments.push(NewSegment {
                track: rung.name.clone(),
                number: segment.index,
                duration: segment.duration_ticks,
                key_bytes: segment.key_frame_bytes as u64,
                quality: quality.take(),
                blob,
            }),
        }
    }
    Ok(())
}
