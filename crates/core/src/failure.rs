//! Why an attempt failed, and when to try again.

use crate::ErrorCode;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What a failure means for the next attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FailureKind {
    /// May pass: retried with exponential backoff.
    Transient,
    /// Will not pass: dead at once, because retrying a corrupt file is noise.
    Permanent,
    /// A process or a decoder died: an attempt, of which few are allowed.
    Crash,
    /// The worker itself vanished with the lease: an attempt, then it runs alone.
    Lost,
    /// Not tried, because what it needs is known to be down: tried again later, at no cost.
    Deferred,
}

/// One failed attempt's reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Stable reason.
    pub code: ErrorCode,
    /// The same for people; holds nothing that a stranger may not read.
    pub message: String,
    /// What it means for the next attempt.
    pub kind: FailureKind,
}

/// Crashes after which a task is dead: a decoder that dies thrice on a file will die again.
pub const CRASHES_MAX: u32 = 3;
/// Losses while running alone after which a task is quarantined. With the backoff between them a process must
/// have died under it over and over for about half a minute: a restart or two, or an eviction, condemns no good file.
pub const LOSSES_ALONE_MAX: u32 = 4;
/// Deferred tasks wait as long as after this many failures: 4 to 8 seconds.
pub(crate) const DEFERRED_AS: u32 = 4;
/// The first delay before a retry.
pub const BACKOFF_FIRST: Duration = Duration::from_secs(1);
/// The longest delay before a retry.
pub const BACKOFF_MAX: Duration = Duration::from_secs(300);

impl Failure {
    /// A failure that no retry can help.
    pub fn permanent(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            kind: FailureKind::Permanent,
        }
    }

    /// A failure that may pass.
    pub fn transient(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            kind: FailureKind::Transient,
        }
    }

    /// Nothing was tried.
    pub fn deferred(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            kind: FailureKind::Deferred,
        }
    }

    /// The lease ran out or its process is gone.
    pub fn worker_lost() -> Self {
        Self {
            code: ErrorCode::WorkerLost,
            message: "the worker vanished while it ran this task".into(),
            kind: FailureKind::Lost,
        }
    }
}

/// The pause before the attempt after `attempts` failed ones: exponential, between half and all of
/// the nominal delay. `jitter` is uniform over all of `u32` and comes from the caller.
pub fn backoff(attempts: u32, jitter: u32) -> Duration {
    let doublings = attempts.saturating_sub(1).min(16);
    let nominal = BACKOFF_FIRST
        .saturating_mul(1 << doublings)
        .min(BACKOFF_MAX);
    let half = nominal / 2;
    half + half.mul_f64(f64::from(jitter) / f64::from(u32::MAX))
}
