//! Workers on networks of their own: the worker's side of `proto/worker.proto` as a [`mediaflow_engine::Depot`], and the
//! translation between messages and our own types, which the API's side uses too.
//!
//! It knows what is asked and answered, and neither operations, nor who may ask, nor where bytes are.

#![forbid(unsafe_code)]

mod addresses;
mod caller;
mod client;
pub mod codec;
mod held;
mod status;

pub use caller::{ViaError, ViaOptions};
pub use client::{Connected, Via};
pub use status::{refusal, store_status};

/// Most bytes of one message.
pub const MESSAGE_BYTES_MAX: usize = 16 << 20;
