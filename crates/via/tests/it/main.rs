//! Messages of `proto/worker.proto` and our own types.

#![allow(clippy::unwrap_used)] // all of this is test code

mod codec;
