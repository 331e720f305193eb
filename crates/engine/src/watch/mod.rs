//! Watched folders: files that lie there become assets, each once, also when somebody is killed in between.
//!
//! What was taken is remembered in the store under the file's name, size, time and number. It is remembered before the file is
//! read, becomes the asset in the transaction that accepts it, and only then the file is moved or deleted. So whoever goes on after a
//! crash neither takes a file twice nor loses one.

mod alarm;
mod config;
mod leave;
mod names;
mod round;
mod take;
mod walk;

pub use config::{After, WatchConfig};
pub(crate) use round::Watch;
