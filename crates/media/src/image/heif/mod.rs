//! HEIC and AVIF stills, decoded by libheif (libde265, dav1d) in a process of their own.
//!
//! [`HeifHelper`] is the parent's side: it starts the program, gives it the bytes and checks what
//! comes back. [`helper_main`] is the program's side and the only code here that calls C.
//! [`dimensions`] reads the size from the headers in this process, in safe Rust, so that a file
//! can be refused, or its cost known, before any process is started.
//!
//! Animations (`avis`, `hevs`) are read as their primary still.

mod answer;
mod boxes;
mod helper;
mod libheif;
mod parent;

pub use boxes::dimensions;
pub use helper::helper_main;
pub use parent::HeifHelper;

/// Reads what a helper that was taken over might send; for fuzzers.
#[doc(hidden)]
pub fn fuzz_answer(bytes: &[u8], limits: &super::ImageLimits) {
    if let Ok(received) = answer::receive(bytes, limits, true) {
        assert!(!received.samples.is_empty());
    }
}
