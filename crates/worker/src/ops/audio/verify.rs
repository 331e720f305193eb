//! `audio.verify`: every piece was decoded when it was made; here is checked what no piece can see of itself, that
//! nothing is missing, that neighbours join and that the whole has its length.

use super::piece::track_name;
use crate::attempt::Attempt;
use crate::ops::failure::{from_media, unwritten};
use crate::ops::video::film::{ffmpeg, folder};
use crate::ops::video::verify::{Made, invalid, join, whole};
use mediaflow_core::Failure;
use mediaflow_engine::store::Output;
use mediaflow_media::video::plan::AudioPlan;
use mediaflow_media::video::verify_sound;
use serde_json::json;

pub(super) fn run(attempt: &Attempt, plan: &AudioPlan, made: &Made) -> Result<Output, Failure> {
    let ffmpeg = ffmpeg(attempt, 1)?;
    let folder = folder(attempt)?;
    let tracks = plan.tracks.iter().enumerate();
    let all = tracks.flat_map(|(t, track)| (0..track.renditions.len()).map(move |r| (t, r)));
    let mut joins = 0;
    for name in all.map(|which| track_name(plan, which)) {
        let found = made.iter().find(|(track, ..)| track.name == name);
        let (track, init, segments) = found.ok_or_else(|| invalid(&name, "is missing"))?;
        whole(track)?;
        let ticks: u64 = track.segments.iter().map(|s| s.duration).sum();
        if ticks != plan.blocks * 1024 {
            return Err(invalid(&name, "has not the length that was planned"));
        }
        for border in plan
            .pieces
            .iter()
            .map(|p| p.first_segment)
            .filter(|&n| n > 0)
        {
            attempt.check()?;
            let path = folder.path().join("join.mp4");
            let pair = &segments[border as usize - 1..=border as usize];
            std::fs::write(&path, join(attempt, Some(init), pair)?).map_err(unwritten)?;
            let (start, end) = (plan.segment(border - 1).start, plan.segment(border).end);
            verify_sound(&ffmpeg, &path, plan.sample_rate, start, end - start)
                .map_err(from_media)?;
            joins += 1;
        }
    }
    Ok(Output {
        facts: json!({ "tracks": made.len(), "joins": joins }),
        ..Output::default()
    })
}
