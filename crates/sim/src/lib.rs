//! The simulator: the real core and the real SQLite store code, in worlds where everything goes wrong that can.
//!
//! A world is one seed: who sends what, who works, and what fails when. Time is virtual, and everything happens on one
//! thread in one order, so a seed is a proof that can be shown again. After every transaction an [`oracle`] compares what
//! changed with what may change; when faults have stopped, everything must come to rest and be whole.
//!
//! It knows no HTTP, no codec and no file: bytes, brokers, caches and people are models. See `docs/simulation.md`.

#![forbid(unsafe_code)]

mod bytes;
mod caches;
mod clock;
mod coverage;
mod database;
mod oracle;
mod people;
mod plan;
mod random;
mod recipes;
mod rest;
mod run;
mod seen;
mod trace;
mod trouble;
mod upkeep;
mod work;
mod workers;
mod world;

pub use coverage::{Coverage, Met};
pub use database::Broken;
pub use plan::{Fault, Plan};
pub use run::{Outcome, Simulator, Violation};
