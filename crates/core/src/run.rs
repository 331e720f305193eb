//! One generation of one asset, as the core sees it: counters per step, never single tasks.

use crate::moderation::{ModerationPolicy, Thresholds};
use crate::{Kind, Recipe, RunState, Sha256, Verdict};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How many of a step's tasks ended, and how. Equal to a recount of the task rows at every commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StepStatus {
    /// Tasks that exist.
    pub total: u32,
    /// Of these, done.
    pub succeeded: u32,
    /// Of these, not needed.
    pub skipped: u32,
    /// Of these, failed for good.
    pub dead: u32,
    /// Of these, not wanted any more.
    pub cancelled: u32,
    /// Whether the tasks may run: all needs were met.
    pub released: bool,
}

impl StepStatus {
    /// Tasks that can still do something.
    pub const fn open(self) -> u32 {
        self.total - self.succeeded - self.skipped - self.dead - self.cancelled
    }

    /// Whether the step's own tasks ended well: done, skipped, or dead where that is allowed.
    /// A cancelled one never counts: it did not even try, because what it needs has failed.
    pub const fn is_met(self, optional: bool) -> bool {
        self.open() == 0 && self.cancelled == 0 && (optional || self.dead == 0)
    }

    /// Whether this step can no longer be met without a replay.
    pub const fn is_failed(self, optional: bool) -> bool {
        self.cancelled > 0 || (!optional && self.dead > 0)
    }
}

/// The watermark as it was configured when the run began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WatermarkSettings {
    /// The mark's bytes, in the blob store.
    pub sha256: Sha256,
    /// `top-left`, `top`, `top-right`, `left`, `center`, `right`, `bottom-left`, `bottom`, `bottom-right`.
    pub position: String,
    /// 0 is invisible, 1 opaque.
    pub opacity: f32,
    /// The mark's width as a fraction of the picture's.
    pub scale: f32,
}

/// The operator's settings that a run's results depend on, frozen when it begins.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct RunSettings {
    /// Who decides what may be shown.
    pub moderation: ModerationPolicy,
    /// Thresholds per label, for the classifier.
    pub thresholds: BTreeMap<String, Thresholds>,
    /// Thresholds of a label that has none of its own.
    pub default_thresholds: Option<Thresholds>,
    /// The mark, where one is configured and the asset asks for it.
    pub watermark: Option<WatermarkSettings>,
    /// Whether GPS positions are recorded.
    pub record_positions: bool,
    /// Whether copyright notices are kept in renditions.
    pub keep_copyright: bool,
    /// How urgent the run is; no result depends on it.
    #[serde(default, skip_serializing_if = "crate::Priority::is_normal")]
    pub priority: crate::Priority,
}

/// One run of a recipe over an asset.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Counts up from 1 per asset.
    pub generation: u32,
    /// Where it stands.
    pub state: RunState,
    /// The gate's outcome, once there is one.
    pub verdict: Option<Verdict>,
    /// Counters, one for each of the recipe's steps.
    pub steps: Vec<StepStatus>,
    /// The graph.
    pub recipe: std::sync::Arc<Recipe>,
}

impl Run {
    /// Whether nothing is at work or will be, of a kind whose tasks leave things for each other. What a replay needs of
    /// these, it makes anew.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.recipe.kind == Kind::Video && self.steps.iter().all(|step| step.open() == 0)
    }
}
