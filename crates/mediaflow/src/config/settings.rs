//! The configuration as operators may see it: each setting with where its value comes from, and nothing that is secret.
//!
//! What may be shown is listed by section: one that is new is not shown before somebody has looked whether it may be.

use super::Config;
use super::reference::meanings;
use crate::stores::shown;
use mediaflow_api::{Origin, Setting};
use serde_json::Value;

/// Sections and settings at the top that may be shown; what is secret in them is known by its name.
const SHOWN: &[&str] = &[
    "listen",
    "data",
    "sandbox",
    "store",
    "postgres",
    "broker",
    "events",
    "webhooks",
    "blobs",
    "object_store",
    "roles",
    "via",
    "log",
    "api",
    "worker",
    "limits",
    "ingest",
    "recipes",
    "moderation",
    "watermark",
    "metadata",
    "delivery",
    "cdn",
    "retention",
    "prices",
    "telemetry",
];
/// Names of settings that are never shown, wherever they are.
const SECRETS: &[&str] = &[
    "secret",
    "secret_access_key",
    "purge_token",
    "token",
    "password",
];

/// The whole configuration without secrets. Of addresses no parameters are told, because some of them are secret.
pub(crate) fn without_secrets(config: &Config) -> Value {
    let mut value = whole(config);
    if let Value::Object(sections) = &mut value {
        sections.retain(|name, _| SHOWN.contains(&name.as_str()));
    }
    conceal(&mut value);
    value
}

fn whole(config: &Config) -> Value {
    serde_json::to_value(config).expect("the configuration is plain data")
}

fn conceal(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                match SECRETS.contains(&name.as_str()) {
                    true if !value.is_null() => *value = "(secret)".into(),
                    _ => conceal(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(conceal),
        // An address may have a password in it, or a secret among its parameters.
        Value::String(text) if text.contains("://") => {
            *text = match text.split_once('?') {
                Some((plain, _)) => format!("{}?…", shown(plain)),
                None => shown(text),
            };
        }
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

/// Each setting in effect. `file` is what the configuration file says, and `read` the configuration before flags and environment had
/// their say.
pub(crate) fn settings(config: &Config, read: &Config, file: &toml::Table) -> Vec<Setting> {
    let (now, before) = (whole(config), whole(read));
    let values = without_secrets(config);
    let defaults = without_secrets(&Config::default());
    let file = serde_json::to_value(file).unwrap_or_default();
    meanings()
        .into_iter()
        .filter_map(|(name, meaning)| {
            let at = |value: &Value| value.pointer(&pointer(&name)).cloned();
            let origin = match (at(&now) == at(&before), at(&file)) {
                (false, _) => Origin::Command,
                (true, Some(_)) => Origin::File,
                (true, None) => Origin::Default,
            };
            Some(Setting {
                value: at(&values)?,
                default: at(&defaults).unwrap_or_default(),
                origin,
                meaning,
                name,
            })
        })
        .collect()
}

fn pointer(name: &str) -> String {
    format!("/{}", name.replace('.', "/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Something secret in every place that has room for it.
    const SECRET: &str = r#"
        store = "postgres://ann:HIDDEN@db/media?sslpassword=HIDDEN"
        broker = "redis://:HIDDEN@broker"
        blobs = "s3://bucket/prefix?token=HIDDEN"
        [events]
        to = "kafka://ann:HIDDEN@kafka:9092?sasl=HIDDEN"
        [object_store]
        access_key_id = "id"
        secret_access_key = "HIDDEN"
        [[delivery.signing_keys]]
        id = "k1"
        secret = "HIDDEN"
        [cdn]
        driver = "http"
        url = "https://ann:HIDDEN@cdn.example"
        purge_token = "HIDDEN"
        [moderation.classifier]
        url = "http://ann:HIDDEN@classifier:50051"
        [ingest.hook]
        url = "https://ann:HIDDEN@hook.example/ask?key=HIDDEN"
        secret = "HIDDEN"
        [[ingest.events]]
        name = "incoming"
        bucket = "s3://incoming"
        queue = "https://ann:HIDDEN@sqs.example/1/incoming"
        token = "HIDDEN"
        secret_access_key = "HIDDEN"
    "#;

    fn read(text: &str) -> (Config, toml::Table) {
        (toml::from_str(text).unwrap(), toml::from_str(text).unwrap())
    }

    #[test]
    fn nothing_secret_is_shown() {
        let (config, file) = read(SECRET);
        let settings = settings(&config, &config, &file);
        let text = serde_json::to_string(&settings).unwrap();
        assert!(!text.contains("HIDDEN"), "{text}");
        let value = |name: &str| {
            let found = settings.iter().find(|setting| setting.name == name);
            found.unwrap_or_else(|| panic!("{name}")).value.clone()
        };
        assert_eq!(value("store"), "postgres://ann@db/media?…");
        assert_eq!(value("events.to"), "kafka://ann@kafka:9092?…");
        assert_eq!(value("cdn.purge_token"), "(secret)");
        assert_eq!(value("ingest.events")[0]["token"], "(secret)");
        assert_eq!(value("delivery.signing_keys")[0]["id"], "k1");
    }

    #[test]
    fn whatever_is_new_was_looked_at() {
        let whole = whole(&Config::default());
        for section in whole.as_object().unwrap().keys() {
            assert!(
                SHOWN.contains(&section.as_str()),
                "may `{section}` be shown to operators? Then list it, with the names of what is secret in it"
            );
        }
    }

    #[test]
    fn each_value_has_its_origin() {
        let (before, file) = read("data = \"here\"\n[worker]\ncpu = 3\nlease_s = 30\n");
        let mut config = before.clone();
        config.worker.cpu = 5;
        let settings = settings(&config, &before, &file);
        let find = |name: &str| settings.iter().find(|s| s.name == name).unwrap();
        for (name, origin) in [
            ("data", Origin::File),
            ("worker.cpu", Origin::Command),
            ("worker.lease_s", Origin::File),
            ("worker.memory_bytes", Origin::Default),
            ("limits.upload.bytes_max", Origin::Default),
        ] {
            assert_eq!(find(name).origin, origin, "{name}");
            assert!(find(name).meaning.len() > 10, "{name}");
        }
        assert_eq!(find("worker.cpu").value, 5);
        let names: Vec<_> = settings.iter().map(|s| &s.name).collect();
        let mut once = names.clone();
        once.sort();
        once.dedup();
        assert_eq!(once.len(), names.len());
    }
}
