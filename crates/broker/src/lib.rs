//! Wake-ups for workers, and events for others. The store is the truth and a broker only rings: it may lose, repeat, delay and reorder what it is
//! given, and nothing is lost by that, for everybody who waits for a ring polls the store as well.
//!
//! A [`Ring`] says in which queue and lane something became ready, and names a task as a hint. A worker that gets one claims from
//! the store in the store's order, and acknowledges right after its claim, whatever the claim gave.
//!
//! One file or folder for each broker; [`Broker`] is the handle over all of them. [`Outlet`] is the other direction: what happened is told to systems
//! outside. Neither knows a store, a task or a worker.

#![forbid(unsafe_code)]

mod adapter;
mod address;
mod aws;
mod broker;
mod error;
mod in_process;
mod kafka;
mod listener;
mod outlet;
mod postgres;
mod rabbitmq;
mod redis;
mod ring;
mod sns;
mod sqs;

pub use broker::{Broker, Failed, Stats};
pub use error::BrokerError;
pub use listener::{Delivery, Listener};
pub use outlet::{Event, Outlet};
pub use ring::Ring;
pub use sqs::inbox::{Inbox, Letter};
