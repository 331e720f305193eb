//! What a store of blobs promises, in a folder and in a bucket.

#![allow(clippy::unwrap_used)] // all of this is test code

mod addressed;
mod conformance;
mod faults;
mod folder;
mod given;
mod growing;
mod incoming;
mod keys;
mod proxy;
mod signed;
