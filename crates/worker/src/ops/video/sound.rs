//! `video.audio`: one piece of all sounds at all bit rates.

use super::film::Film;
use crate::attempt::Attempt;
use crate::ops::audio::{Levels, Piece};
use mediaflow_core::{ErrorCode, Failure};
use mediaflow_engine::store::Output;
use mediaflow_media::video::Plan;

pub(super) fn run(
    attempt: &Attempt,
    film: &Film,
    plan: &Plan,
    levels: &Levels,
) -> Result<Output, Failure> {
    let none = || Failure::permanent(ErrorCode::Internal, "the plan has no sound");
    let piece = Piece {
        plan: plan.audio.as_ref().ok_or_else(none)?,
        target_duration: plan.target_duration(),
        packaging: plan.packaging,
        is_alone: false,
    };
    piece.make(attempt, film, levels)
}
