//! The gate: who decides whether an asset may be shown, and by which scores.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Who decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModerationPolicy {
    /// Everything passes.
    #[default]
    Off,
    /// A person decides about each asset.
    Review,
    /// A classifier scores it; thresholds decide, and may ask for a person.
    Classifier,
}

impl ModerationPolicy {
    /// The name in configuration and API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Review => "review",
            Self::Classifier => "classifier",
        }
    }
}

/// Scores of one label, between 0 and 1, from which a person or a rejection follows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thresholds {
    /// From this score on a person decides.
    pub review: f32,
    /// From this score on the asset is rejected.
    pub reject: f32,
}

impl Thresholds {
    /// Whether `0 <= review <= reject <= 1`.
    pub fn is_valid(self) -> bool {
        0.0 <= self.review && self.review <= self.reject && self.reject <= 1.0
    }
}

/// The outcome of the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// May be shown.
    Pass,
    /// A person must look.
    Review,
    /// Must not be shown.
    Reject,
}

impl Verdict {
    /// The name in API and database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Review => "review",
            Self::Reject => "reject",
        }
    }

    /// The verdict of that name.
    pub fn parse(name: &str) -> Option<Self> {
        let all = [Self::Pass, Self::Review, Self::Reject];
        all.into_iter().find(|v| v.as_str() == name)
    }
}

/// A person's answer to an asset in review.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// It may be shown.
    Approve,
    /// It may not.
    Reject,
}

/// What `scores` mean under `thresholds`. A label without thresholds of its own uses `default`;
/// a score that is not a number between 0 and 1 asks for a person.
pub fn judge(
    scores: &BTreeMap<String, f32>,
    thresholds: &BTreeMap<String, Thresholds>,
    default: Thresholds,
) -> Verdict {
    let mut verdict = Verdict::Pass;
    for (label, &score) in scores {
        let limits = thresholds.get(label).copied().unwrap_or(default);
        if !(0.0..=1.0).contains(&score) {
            verdict = Verdict::Review;
        } else if score >= limits.reject {
            return Verdict::Reject;
        } else if score >= limits.review {
            verdict = Verdict::Review;
        }
    }
    verdict
}
