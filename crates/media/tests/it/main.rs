//! Tests of the media crate as its callers see it.

mod child;
mod heif;
mod sandbox;
