//! What every store must do, told as the domain sees it.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop where it is"
)]

#[macro_use]
mod stores;

mod bounding;
mod captioning;
mod check;
mod claiming;
mod clustering;
mod collecting;
mod failing;
mod finding;
mod given;
mod happy;
mod importing;
mod intake;
mod leases;
mod lifecycle;
mod measuring;
mod moderating;
mod moving;
mod opening;
mod overviewing;
mod postgres;
mod pruning;
mod random;
mod sharing;
mod streaming;
mod upgrading;
mod uploading;
mod waking;
mod webhooks;
