//! The simulator's promises: it is the same each time, finds nothing in the store as it is, and something in each store
//! that lacks a mechanism.

#![allow(clippy::unwrap_used)]

mod protocol;
mod seeds;
mod stories;
