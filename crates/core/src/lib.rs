//! The sans-IO heart of MediaFlow: what an asset is, what a recipe is, and what happens next.
//!
//! Nothing here waits, reads a clock, draws a random number or touches a disk. Time, jitter and
//! ids come in as arguments; what must happen comes out as [`transition::Effect`]s that a store applies in
//! one transaction.

#![forbid(unsafe_code)]

pub mod asset;
pub mod code;
pub mod digest;
pub mod event;
pub mod failure;
pub mod id;
pub mod language;
pub mod moderation;
pub mod operation;
pub mod recipe;
pub mod run;
mod showing;
pub mod state;
pub mod time;
pub mod trace;
pub mod transition;

pub use asset::{AssetOptions, Focus, Kind, Visibility};
pub use code::ErrorCode;
pub use digest::Sha256;
pub use event::{EventDraft, EventType, Topic};
pub use failure::{Failure, FailureKind};
pub use id::{
    AssetId, BlobId, EventId, Ids, KeyId, TaskId, TenantId, TokenId, UploadId, WebhookId, WorkerId,
};
pub use moderation::{Decision, ModerationPolicy, Thresholds, Verdict};
pub use operation::{Cost, Operation, Priority, Queue};
pub use recipe::{Recipe, Step};
pub use run::{Run, RunSettings, StepStatus};
pub use state::{AssetState, RunState, TaskState};
pub use time::Timestamp;
