//! Tests of the media crate from outside, through its public interface.

mod color;
mod corpus;
mod formats;
mod heif;
mod hostile;
mod make;
mod metadata;
mod orientation;
mod sniff;
