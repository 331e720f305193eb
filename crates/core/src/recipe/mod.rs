//! Recipes: named, versioned graphs of steps for one kind of media.

mod check;
mod parse;

pub use parse::RecipeError;

use crate::operation::{Cost, Facts, POSTER_SIDE_MAX, Queue, Resize, Variant, VideoCodec};
use crate::{Kind, Operation, Sha256};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Most steps in one recipe.
pub const STEPS_MAX: usize = 64;
/// Attempts of a step that does not say otherwise.
pub const ATTEMPTS_DEFAULT: u32 = 5;

/// When a step runs at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// The asset asks for a watermark and one is configured.
    Watermark,
}

/// What happens to colours other than sRGB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColorPolicy {
    /// Converted to sRGB, which every screen shows right.
    #[default]
    Srgb,
    /// Kept, with the profile embedded in every rendition.
    Keep,
}

/// A node of the graph.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Unique in its recipe.
    pub name: String,
    /// What it does.
    #[serde(flatten)]
    pub operation: Operation,
    /// The steps that must be done before, as indices into [`Recipe::steps`]; all are smaller than its own.
    pub needs: Vec<usize>,
    /// Without it the step always runs.
    pub when: Option<Condition>,
    /// An optional step that dies does not fail the run.
    pub optional: bool,
    /// Failed attempts after which its tasks are dead.
    pub attempts: u32,
    /// Limit of one attempt, in seconds.
    pub timeout_s: u64,
    /// Capabilities that a worker must have for it, beside those that follow from what is made; sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<String>,
}

impl Step {
    /// Limit of one attempt.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_s)
    }
}

/// A checked recipe: its steps are in an order in which each comes after all that it needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// What uploads name it by.
    pub name: String,
    /// Raised by its author when it changes.
    pub version: u32,
    /// The media it takes.
    pub kind: Kind,
    /// What happens to colours.
    pub color: ColorPolicy,
    /// The graph.
    pub steps: Vec<Step>,
}

impl Recipe {
    /// Reads and checks a recipe file.
    ///
    /// # Errors
    /// The first mistake, with its line, its step and what to do about it.
    pub fn parse(text: &str) -> Result<Self, RecipeError> {
        parse::parse(text)
    }

    /// Identifies what the recipe does: equal recipes have equal hashes however they are written.
    pub fn hash(&self) -> Sha256 {
        let text = serde_json::to_vec(self).expect("a recipe is plain data");
        Sha256::of(&text)
    }

    /// What a task of `step` needs, estimated from what is known of the asset.
    pub fn cost(&self, step: usize, facts: Facts) -> Cost {
        let operation = &self.steps[step].operation;
        operation.cost(match (self.kind, operation.queue()) {
            (Kind::Image, _) => facts,
            // Nothing holds a film's bytes: programs read it from the disk.
            (Kind::Video, Queue::Video) => Facts { bytes: 0, ..facts },
            // What sound costs goes by its bytes.
            (Kind::Audio, Queue::Video) => facts,
            (Kind::Audio, _) => Facts {
                bytes: 0,
                frames: 1,
                pixels: POSTER_SIDE_MAX * POSTER_SIDE_MAX,
            },
            // What is done to pictures is done to a film's poster or its key frames.
            (Kind::Video, _) => Facts {
                bytes: 0,
                frames: 1,
                pixels: facts.pixels.min(POSTER_SIDE_MAX * POSTER_SIDE_MAX),
            },
        })
    }

    /// Capabilities that a worker must have for tasks of `step`: what the recipe says, and the codecs of a ladder's
    /// rungs for what encodes them. Sorted, each once.
    pub fn requires(&self, step: usize) -> Vec<&str> {
        let of = &self.steps[step];
        let mut all: Vec<&str> = of.requires.iter().map(String::as_str).collect();
        if matches!(
            of.operation,
            Operation::VideoPlan(_) | Operation::VideoLead | Operation::VideoEncode
        ) {
            let ladders = self.steps.iter().filter_map(|s| match &s.operation {
                Operation::VideoPlan(ladder) => Some(ladder),
                _ => None,
            });
            let codecs = ladders.flat_map(|l| l.rungs.iter().map(|r| r.codec));
            for codec in codecs.filter(|codec| *codec != VideoCodec::H264) {
                all.push(codec.as_str());
            }
        }
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The index of the step that publishes; every recipe has exactly one.
    pub fn publish(&self) -> usize {
        self.steps
            .iter()
            .position(|s| s.operation == Operation::Publish)
            .expect("a checked recipe publishes")
    }

    /// Whether the run's outcome depends on this step: it publishes, or publishing needs it.
    pub fn is_before_publish(&self, step: usize) -> bool {
        let publish = self.publish();
        step == publish || self.reaches(step, publish)
    }

    /// Whether something may be shown only once this step is done as it stands: it is one task, never skipped by others.
    pub(crate) fn decides_what_shows(&self, step: usize) -> bool {
        match self.steps[step].operation {
            Operation::Moderate | Operation::Publish | Operation::Watermark => true,
            Operation::Resize(_) => self.kind == Kind::Image,
            _ => false,
        }
    }

    /// Whether `step` works on the picture that `source` finds in media of another kind.
    pub(crate) fn stands_on_picture(&self, step: usize, source: usize) -> bool {
        self.kind != Kind::Image
            && self.steps[step].operation.queue() == Queue::Image
            && self.reaches(source, step)
    }

    fn reaches(&self, from: usize, to: usize) -> bool {
        // Needs point backwards, so one pass marks all that `to` stands on. Following the paths one
        // by one would take two to the power of 64 steps on a dense graph.
        let mut marked = vec![false; self.steps.len()];
        marked[to] = true;
        for step in (from + 1..=to).rev().filter(|_| from < to) {
            if marked[step] {
                for &need in &self.steps[step].needs {
                    marked[need] = true;
                }
            }
        }
        from < to && marked[from]
    }

    /// The sizes it makes, if it makes any.
    pub fn resize(&self) -> Option<&Resize> {
        self.steps.iter().find_map(|s| match &s.operation {
            Operation::Resize(resize) => Some(resize),
            _ => None,
        })
    }

    /// The variant of that name.
    pub fn variant(&self, name: &str) -> Option<&Variant> {
        self.resize()?.variants.iter().find(|v| v.name == name)
    }
}
