//! `mediaflow config`: check, show and explain the configuration.

use crate::cli::Place;
use crate::config::{load, reference, without_secrets};
use crate::fault::Fault;
use crate::output;
use clap::Subcommand;
use serde_json::Value;

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Verb {
    /// Say whether the configuration can be used
    Check,
    /// Print all settings in effect; secrets are left out
    Show,
    /// Print the reference of all settings (Markdown)
    Reference,
}

pub(crate) fn run(place: &Place, verb: Verb) -> Result<(), Fault> {
    match verb {
        Verb::Check => {
            load(place)?;
            output::print("the configuration is right\n")
        }
        Verb::Show => {
            let mut value = without_secrets(&load(place)?);
            tidy(&mut value);
            output::print(&toml::to_string(&value).map_err(Fault::failed)?)
        }
        Verb::Reference => output::print(&reference()),
    }
}

/// Without what has no value, for TOML has no word for nothing.
fn tidy(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, v| !v.is_null());
            map.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}
