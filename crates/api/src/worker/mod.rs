//! The API's side of `proto/worker.proto`: workers that reach neither store nor bytes. They are believed as little as
//! can be: a lease is bound to the key that it was given to, and every blob that is told back must have been told before.
//!
//! `service.rs` answers the calls, `permit.rs` seals what is told, `report.rs` looks at what comes back, `bytes.rs` gives
//! addresses and serves those that are ours.

mod bytes;
mod permit;
mod report;
mod service;

pub(crate) use bytes::{get, put};
pub(crate) use service::WorkerService;
