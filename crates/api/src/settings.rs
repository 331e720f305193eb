//! The configuration as it may be shown: whoever wires the server says it, without anything secret.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// A setting in effect.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = EffectiveSetting)]
pub struct Setting {
    /// With its section: `limits.upload.bytes_max`.
    pub name: String,
    /// As it is used; null without a value. Of something secret `(secret)`; addresses are without passwords and parameters.
    pub value: Value,
    /// What it is when nothing is said.
    pub default: Value,
    /// Where the value comes from.
    pub origin: Origin,
    /// What it is for.
    pub meaning: String,
}

/// Where a setting's value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// The configuration file.
    File,
    /// A flag of `mediaflow serve` or an environment variable, which win over the file.
    Command,
}
