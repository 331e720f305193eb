//! What of a run may be shown, and how far it is.

use crate::{Kind, Operation, Run, RunState, Verdict};

impl Run {
    /// Whether renditions that are recorded may be shown before the run is published: only in a
    /// first generation, once the gate is passed, and once no step is left that must still touch
    /// the pixels. With a watermark, nothing without it ever shows.
    pub fn is_showing(&self) -> bool {
        self.generation == 1
            && matches!(
                self.state,
                RunState::Uploaded | RunState::Processing | RunState::Ready
            )
            && (self.verdict == Some(Verdict::Pass) || !self.has(|o| *o == Operation::Moderate))
            && self.all_met(|o| *o == Operation::Watermark)
    }

    /// Whether there is something to look at: the baseline renditions are there and show.
    pub fn is_viewable(&self) -> bool {
        self.state == RunState::Ready
            || (self.is_showing()
                && match self.recipe.kind {
                    Kind::Image => self.is_there(|o| matches!(o, Operation::Resize(_))),
                    Kind::Video => {
                        self.is_there(|o| *o == Operation::VideoLead)
                            && self.has_begun(|o| *o == Operation::VideoAudio)
                    }
                    Kind::Audio => self.has_begun(|o| *o == Operation::AudioEncode),
                })
    }

    /// Whether there is such a step, and it is done.
    fn is_there(&self, test: impl Fn(&Operation) -> bool + Copy) -> bool {
        self.recipe.steps.iter().any(|s| test(&s.operation)) && self.all_met(test)
    }

    /// Whether each such step has something to show, or nothing to do.
    fn has_begun(&self, test: impl Fn(&Operation) -> bool) -> bool {
        let steps = self.recipe.steps.iter().zip(&self.steps);
        steps
            .filter(|(step, _)| test(&step.operation))
            .all(|(_, status)| status.succeeded + status.skipped > 0)
    }

    /// Ended tasks over all tasks of the steps that publishing needs, between 0 and 1.
    pub fn progress(&self) -> f64 {
        let counted = self
            .steps
            .iter()
            .enumerate()
            .filter(|(i, _)| self.recipe.is_before_publish(*i));
        let (ended, total) = counted.fold((0, 0), |(ended, total), (_, s)| {
            (ended + s.total - s.open(), total + s.total)
        });
        f64::from(ended) / f64::from(total.max(1))
    }

    fn has(&self, test: impl Fn(&Operation) -> bool) -> bool {
        self.recipe.steps.iter().any(|s| test(&s.operation))
    }

    fn all_met(&self, test: impl Fn(&Operation) -> bool) -> bool {
        let steps = self.recipe.steps.iter().zip(&self.steps);
        steps
            .filter(|(step, _)| test(&step.operation))
            .all(|(step, status)| status.is_met(step.optional))
    }
}
