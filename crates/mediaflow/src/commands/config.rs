//! `mediaflow config`: check, show and explain the configuration.

use crate::cli::Place;
use crate::config::{load, reference};
use crate::fault::Fault;
use crate::output;
use crate::stores::shown;
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

const SECRETS: [&str; 3] = ["secret", "purge_token", "secret_access_key"];
/// These may have a password in them.
const ADDRESSES: [&str; 3] = ["store", "broker", "to"];

pub(crate) fn run(place: &Place, verb: Verb) -> Result<(), Fault> {
    match verb {
        Verb::Check => {
            load(place)?;
            output::print("the configuration is right\n")
        }
        Verb::Show => {
            let config = load(place)?;
            let mut value = serde_json::to_value(&config).map_err(Fault::failed)?;
            tidy(&mut value);
            output::print(&toml::to_string(&value).map_err(Fault::failed)?)
        }
        Verb::Reference => output::print(&reference()),
    }
}

/// Without what has no value, and without secrets.
fn tidy(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, v| !v.is_null());
            for (name, value) in map {
                if SECRETS.contains(&name.as_str()) {
                    *value = "(secret)".into();
                } else if let (true, Some(address)) =
                    (ADDRESSES.contains(&name.as_str()), value.as_str())
                {
                    *value = shown(address).into();
                } else {
                    tidy(value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        // A fraction has 32 bits; the digits beyond would only confuse.
        Value::Number(n) if n.is_f64() => {
            let short = format!("{}", n.as_f64().unwrap_or_default() as f32);
            if let Ok(number) = short.parse::<f64>() {
                *value = number.into();
            }
        }
        _ => {}
    }
}
