//! Tests of the media crate from outside, through its public interface.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail loudly, too")]

mod color;
mod corpus;
mod formats;
mod heif;
mod hostile;
mod make;
mod metadata;
mod orientation;
mod sniff;
