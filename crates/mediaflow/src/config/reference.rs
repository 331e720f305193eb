//! docs/reference/configuration.md, from the doc comments and the defaults of the sections.

use super::Config;
use serde_json::{Map, Value};
use std::fmt::Write as _;

const INTRODUCTION: &str = "\
# Configuration

<!-- Made by `mediaflow config reference`; a test compares it. Change the doc comments in the code. -->

MediaFlow reads `./mediaflow.toml` where it exists, or the file that `--config` or `MEDIAFLOW_CONFIG` names.
Every setting has a default: without a file, or with an empty one, everything works. Unknown settings are errors.
`mediaflow config check` says whether a file is right, `mediaflow config show` prints all settings in effect.

Flags win over environment variables, and both win over the file:

| variable | flag | for |
|---|---|---|
| `MEDIAFLOW_CONFIG` | `--config FILE` | all commands |
| `MEDIAFLOW_DATA` | `--data FOLDER` | all commands that use the data folder |
| `MEDIAFLOW_LISTEN` | `serve --listen ADDRESS:PORT` | the server |
| `MEDIAFLOW_BROKER` | `serve --broker ADDRESS` | the server |
| `MEDIAFLOW_EVENTS` | `serve --events ADDRESS` | the server |
| `MEDIAFLOW_SERVER` | `ingest --server URL` | clients |
| `MEDIAFLOW_API_KEY` | `ingest --key KEY` | clients |
";

/// The whole page.
pub(crate) fn reference() -> String {
    let schema = schemars::schema_for!(Config).to_value();
    let defaults =
        serde_json::to_value(Config::default()).expect("the configuration is plain data");
    let mut text = INTRODUCTION.to_owned();
    let page = Page { root: &schema };
    page.section(&mut text, "", &schema, &defaults);
    text
}

/// Every setting with its section, in the order of the page, and what it is for.
pub(crate) fn meanings() -> Vec<(String, String)> {
    let schema = schemars::schema_for!(Config).to_value();
    let mut found = Vec::new();
    Page { root: &schema }.collect(&mut found, "", &schema);
    found
}

struct Page<'a> {
    root: &'a Value,
}

impl Page<'_> {
    /// A table of the section's own settings, then the sections inside it.
    fn section(&self, text: &mut String, path: &str, schema: &Value, defaults: &Value) {
        let empty = Map::new();
        let properties = schema["properties"].as_object().unwrap_or(&empty);
        let (sections, settings): (Vec<_>, Vec<_>) = properties
            .iter()
            .map(|(name, s)| (name, s, self.resolve(s)))
            .partition(|(_, _, resolved)| resolved.get("properties").is_some());
        if path.is_empty() {
            text.push_str("\n## Top level\n");
        } else if !settings.is_empty() {
            let _ = write!(text, "\n## `[{path}]`\n\n{}\n", about(path, schema));
        }
        if !settings.is_empty() {
            text.push_str("\n| setting | default | |\n|---|---|---|\n");
        }
        let mut lists = Vec::new();
        for (name, own, resolved) in settings {
            let items = self.resolve(&resolved["items"]);
            if items.get("properties").is_some() {
                lists.push((name, items));
            }
            let default = shown(defaults.get(name));
            let meaning = match own["description"].as_str() {
                Some(meaning) => one_line(meaning),
                None => one_line(resolved["description"].as_str().unwrap_or_default()),
            };
            let choices = self.choices(resolved);
            let _ = writeln!(text, "| `{name}` | {default} | {meaning}{choices} |");
        }
        for (name, items) in lists {
            self.entries(text, &format!("{path}.{name}"), items);
        }
        for (name, _, resolved) in sections {
            let path = if path.is_empty() {
                name.clone()
            } else {
                format!("{path}.{name}")
            };
            self.section(text, &path, resolved, &defaults[name]);
        }
    }

    /// A table of what each entry of a list has.
    fn entries(&self, text: &mut String, path: &str, schema: &Value) {
        let about = about(path, schema);
        let about = about
            .strip_prefix(&format!("`[[{path}]]`: "))
            .unwrap_or(&about);
        let _ = write!(text, "\n## `[[{path}]]`\n\n{}\n", capital(about));
        text.push_str("\n| setting | default | |\n|---|---|---|\n");
        let empty = Map::new();
        let required = schema["required"].as_array().map(Vec::as_slice);
        let required = required.unwrap_or_default();
        for (name, own) in schema["properties"].as_object().unwrap_or(&empty) {
            let resolved = self.resolve(own);
            let default = match required.iter().any(|r| r == name) {
                true => "needed".to_owned(),
                false => shown(own.get("default")),
            };
            let meaning = own["description"]
                .as_str()
                .or(resolved["description"].as_str());
            let meaning = one_line(meaning.unwrap_or_default());
            let choices = self.choices(resolved);
            let _ = writeln!(text, "| `{name}` | {default} | {meaning}{choices} |");
        }
    }

    /// What [`Self::section`] writes, as data.
    fn collect(&self, found: &mut Vec<(String, String)>, path: &str, schema: &Value) {
        let empty = Map::new();
        let properties = schema["properties"].as_object().unwrap_or(&empty);
        let (sections, settings): (Vec<_>, Vec<_>) = properties
            .iter()
            .map(|(name, own)| (format!("{path}{name}"), own, self.resolve(own)))
            .partition(|(_, _, resolved)| resolved.get("properties").is_some());
        for (name, own, resolved) in settings {
            let own = own["description"].as_str();
            let meaning = own.or(resolved["description"].as_str());
            let meaning = one_line(meaning.unwrap_or_default()).replace("\\|", "|");
            found.push((name, meaning + &self.choices(resolved)));
        }
        for (name, _, resolved) in sections {
            self.collect(found, &format!("{name}."), resolved);
        }
    }

    fn resolve<'s>(&'s self, schema: &'s Value) -> &'s Value {
        match schema["$ref"].as_str().and_then(|r| r.strip_prefix('#')) {
            Some(pointer) => self.root.pointer(pointer).unwrap_or(schema),
            None => schema,
        }
    }

    /// The values of a setting that has only a few, with what each means.
    fn choices(&self, schema: &Value) -> String {
        let Some(variants) = schema["oneOf"].as_array() else {
            let names = schema["enum"]
                .as_array()
                .map(Vec::as_slice)
                .unwrap_or_default();
            let names: Vec<_> = names.iter().filter_map(Value::as_str).collect();
            return match names.is_empty() {
                true => String::new(),
                false => format!(" One of `{}`.", names.join("`, `")),
            };
        };
        let mut text = String::new();
        for variant in variants {
            let meaning = one_line(variant["description"].as_str().unwrap_or_default());
            if let Some(name) = variant["const"].as_str() {
                let _ = write!(text, " `{name}`: {meaning}");
            }
            for name in variant["enum"].as_array().into_iter().flatten() {
                let _ = write!(text, " `{}`", name.as_str().unwrap_or_default());
            }
        }
        text
    }
}

/// A section's description without its own name, which the heading has.
fn about(path: &str, schema: &Value) -> String {
    let text = one_line(schema["description"].as_str().unwrap_or_default());
    let own = text.strip_prefix(&format!("`[{path}]`: ")).unwrap_or(&text);
    capital(own)
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace('|', "\\|")
}

fn shown(default: Option<&Value>) -> String {
    match default {
        None | Some(Value::Null) => "none".to_owned(),
        Some(Value::Array(a)) if a.is_empty() => "none".to_owned(),
        Some(Value::Object(o)) if o.is_empty() => "none".to_owned(),
        // A fraction is stored with 32 bits and would be printed with the digits of 64.
        Some(Value::Number(n)) if n.is_f64() => {
            format!("`{}`", n.as_f64().unwrap_or_default() as f32)
        }
        Some(value) => format!("`{value}`"),
    }
}
