//! What a process does in a cluster.

use clap::ValueEnum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A part of the work. One process may have both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// Takes uploads, answers requests, delivers; runs the background services.
    Api,
    /// Claims tasks and does them.
    Worker,
}

/// What a process does unless told otherwise.
pub(crate) fn all() -> Vec<Role> {
    vec![Role::Api, Role::Worker]
}
