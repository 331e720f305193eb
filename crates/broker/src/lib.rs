//! Wake-ups for workers. The store is the truth and a broker only rings: it may lose, repeat, delay and reorder what it is
//! given, and nothing is lost by that, for everybody who waits for a ring polls the store as well.
//!
//! A [`Ring`] says in which queue and lane something became ready, and names a task as a hint. A worker that gets one claims from
//! the store in the store's order, and acknowledges right after its claim, whatever the claim gave.
//!
//! One file or folder for each broker; [`Broker`] is the handle over all of them. It knows no store, no task and no worker.

#![forbid(unsafe_code)]

mod adapter;
mod address;
mod broker;
mod error;
mod in_process;
mod kafka;
mod listener;
mod postgres;
mod rabbitmq;
mod redis;
mod ring;
mod sqs;

pub use broker::{Broker, Stats};
pub use error::BrokerError;
pub use listener::{Delivery, Listener};
pub use ring::Ring;
