//! Cuts a film into tasks: few for a short one, enough for a long one to keep all workers busy.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::{FrameGrid, PlanSettings, PlannedRung};

/// CPU seconds per encoded pixel: 9.4 s were measured for six seconds of 1080p30 in three rungs.
const CPU_SECONDS_PER_PIXEL: f64 = 16e-9;
/// What taking the source's packets costs of that: they are decoded to be checked.
const PASSED_THROUGH: f64 = 0.15;
/// A film that costs less than this, in CPU seconds, is one task: nobody waits for it.
const WHOLE: f64 = 12.0;
/// Most segments of a chunk, five minutes: what a task holds in memory and on the disk must not grow with the film.
const SEGMENTS_MAX: u32 = 50;

/// Whole segments of some rungs, made by one task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// Number of the first segment, from 0.
    pub first_segment: u32,
    /// How many segments.
    pub segments: u32,
    /// Which rungs, as positions in the plan's list, lowest first.
    pub rungs: Vec<usize>,
    /// CPU seconds that it is expected to take on one core, at least 1.
    pub cost_cpu_seconds: u32,
}

/// Every segment of every rung is in exactly one chunk. The first chunk is the first segment of
/// the lowest rung alone, so that a player has something to begin with.
pub(super) fn cut(
    grid: &FrameGrid,
    segment_frames: u32,
    segments: u32,
    rungs: &[PlannedRung],
    settings: &PlanSettings,
) -> Vec<Chunk> {
    let all: Vec<usize> = (0..rungs.len()).collect();
    let cost = |chosen: &[usize], segments: u32| {
        let pixels: f64 = chosen
            .iter()
            .map(|&rung| &rungs[rung])
            .map(|r| {
                let pixels = f64::from(r.width) * f64::from(r.height) / f64::from(r.every);
                let share = match r.pass_through {
                    Some(_) => PASSED_THROUGH,
                    None => r.codec.cost(),
                };
                pixels * share
            })
            .sum();
        pixels * f64::from(segment_frames) * f64::from(segments) * CPU_SECONDS_PER_PIXEL
    };
    let chunk = |range: Range<u32>, chosen: &[usize]| Chunk {
        first_segment: range.start,
        segments: range.len() as u32,
        rungs: chosen.to_vec(),
        cost_cpu_seconds: (cost(chosen, range.len() as u32).ceil() as u32).max(1),
    };
    let film = cost(&all, 1) * grid.total as f64 / f64::from(segment_frames);
    if segments == 1 || film < WHOLE && segments <= SEGMENTS_MAX {
        return vec![chunk(0..segments, &all)];
    }

    let per_chunk = |chosen: &[usize]| {
        let wanted = f64::from(settings.chunk_cpu_seconds) / cost(chosen, 1);
        (wanted.round() as u32).clamp(1, SEGMENTS_MAX)
    };
    let mut chunks = vec![chunk(0..1, &all[..1])];
    let is_slow = film > grid.seconds() * f64::from(settings.processors);
    let (ahead, rest): (&[usize], &[usize]) = match all.split_first() {
        Some((_, rest)) if is_slow && !rest.is_empty() => (&all[..1], rest),
        _ => (&[], &all),
    };
    if !ahead.is_empty() {
        let runs = growing(1, segments, per_chunk(ahead));
        chunks.extend(runs.into_iter().map(|run| chunk(run, ahead)));
    }
    // The lead has the lowest rung's first segment already.
    let others = &all[1..];
    if !others.is_empty() {
        chunks.push(chunk(0..1, others));
    }
    let runs = growing(1, segments, per_chunk(rest));
    chunks.extend(runs.into_iter().map(|run| chunk(run, rest)));
    chunks
}

/// Runs of 2, 4, 8, ... segments up to `most`: the beginning is there early, and the rest pays
/// for few starts.
fn growing(first: u32, end: u32, most: u32) -> Vec<Range<u32>> {
    let mut runs = Vec::new();
    let (mut at, mut length) = (first, 2.min(most));
    while at < end {
        // What is left over is no task of its own: to start one costs most of a short one.
        let left = end - at;
        let until = if left <= length + length / 2 {
            end
        } else {
            at + length
        };
        runs.push(at..until);
        at = until;
        length = (length * 2).min(most);
    }
    runs
}
