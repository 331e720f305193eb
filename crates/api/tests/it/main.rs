//! The API as its clients see it: every status, every header that means something.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop where it is"
)]

mod access;
mod assets;
mod breaking;
mod cors;
mod dashboard;
mod delivery;
mod direct;
mod events;
mod forms;
mod given;
mod health;
mod hook;
mod imports;
mod keys;
mod moderation;
mod openapi;
mod operating;
mod original;
mod overview;
mod private;
mod problems;
mod resumable;
mod search;
mod session;
mod storage_events;
mod tasks;
mod tokens;
mod tus;
mod uploads;
mod watches;
mod web;
mod webhooks;
mod wire;
