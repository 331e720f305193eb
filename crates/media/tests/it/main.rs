//! Tests of the media crate from outside, through its public interface.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)] // tests, also in their helper functions

mod child;
mod color;
mod corpus;
mod drawn;
mod encode;
mod film;
mod formats;
mod heif;
mod heif_process;
mod hostile;
mod make;
mod metadata;
mod orientation;
mod placeholder;
mod reading;
mod resize;
mod sandbox;
mod sniff;
mod video;
mod watermark;
