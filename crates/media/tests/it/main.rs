//! What this crate does to media, seen from outside.

mod drawn;
mod encode;
mod placeholder;
mod reading;
mod resize;
mod watermark;
