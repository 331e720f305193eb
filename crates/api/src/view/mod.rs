//! What answers look like. Names here are the API: they only ever grow.

pub(crate) mod asset;
pub(crate) mod event;
pub(crate) mod playlists;
pub(crate) mod task;
pub(crate) mod webhook;

/// The bytes of a file.
#[derive(utoipa::ToSchema)]
#[schema(value_type = String, format = Binary)]
#[allow(dead_code, reason = "only described, never made")]
pub(crate) struct Binary(Vec<u8>);
