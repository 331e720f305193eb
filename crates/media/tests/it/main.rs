//! Tests of the media crate as its callers see it.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)] // tests, also in their helper functions

mod child;
mod heif;
mod sandbox;
