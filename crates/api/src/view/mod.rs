//! What answers look like. Names here are the API: they only ever grow.

pub(crate) mod asset;
pub(crate) mod event;
pub(crate) mod task;
