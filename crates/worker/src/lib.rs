//! Workers: they claim tasks, keep within a budget, run each operation and report.
//!
//! A worker knows the engine and the media code. It knows no HTTP and decides nothing about what
//! happens next: that is the core's, inside the store's transactions.

#![forbid(unsafe_code)]

mod attempt;
mod budget;
mod classifier;
mod config;
mod heartbeat;
mod ops;
mod partial;
pub mod planning;
mod presence;
mod recognise;
mod scratch;
mod stills;
mod threads;
mod toolbox;
mod worker;

pub use config::WorkerConfig;
pub use recognise::MediaRecogniser;
pub use stills::MediaStills;
pub use toolbox::{Toolbox, VideoTools};
pub use worker::{Activity, Worker};
