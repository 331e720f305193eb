//! `mediaflow import`: has the server fetch files, and follows them like uploads.

use super::ingest::follow::{ABSENCE_MAX, follow, is_final};
use super::ingest::show::Report;
use super::ingest::{Outcome, upload};
use crate::client::{Client, Server, Trouble};
use crate::fault::Fault;
use clap::Args;
use indicatif::ProgressBar;
use mediaflow_core::Priority;
use reqwest::Method;
use serde_json::{Map, Value, json};
use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(500);

#[derive(Debug, Clone, Args)]
pub(crate) struct Import {
    /// http and https addresses that the server can reach
    #[arg(required = true, value_name = "URL")]
    urls: Vec<String>,
    #[command(flatten)]
    server: Server,
    /// Its name; otherwise the last part of the address
    #[arg(long, value_name = "NAME")]
    filename: Option<String>,
    /// A title
    #[arg(long)]
    title: Option<String>,
    /// Tags; may be repeated
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// Any JSON object
    #[arg(long, value_name = "JSON")]
    metadata: Option<String>,
    /// Show it only to signed URLs
    #[arg(long)]
    private: bool,
    /// Put the configured watermark on it
    #[arg(long)]
    watermark: bool,
    /// high, normal or low: the share of processors beside your other uploads
    #[arg(long, value_name = "PRIORITY", value_parser = super::ingest::priority)]
    priority: Option<Priority>,
    /// A recipe other than the default one
    #[arg(long, value_name = "NAME")]
    recipe: Option<String>,
    /// Print one JSON array: each asset as the API shows it, with its address as `file`
    #[arg(long)]
    json: bool,
    /// Do not wait for the file to be there, nor for the work to be done
    #[arg(long)]
    no_wait: bool,
}

pub(crate) async fn run(import: Import) -> Result<(), Fault> {
    let metadata = import.metadata.as_deref().map(serde_json::from_str);
    let metadata: Option<Map<String, Value>> = metadata.transpose().map_err(|_| {
        Fault::unusable("--metadata must be a JSON object, for example '{\"album\": \"summer\"}'")
    })?;
    let client = import.server.client()?;
    let mut report = Report::new(import.json, client.clone());
    let mut begun = Vec::new();
    for url in &import.urls {
        let body = body(&import, url, metadata.as_ref());
        let asked = client.send_json(Method::POST, "v1/assets/import", &body);
        begun.push((url, Instant::now(), asked.await));
    }
    for (url, began, asked) in begun {
        let bar = upload::bar();
        bar.set_prefix(url.clone());
        let asset = async {
            let begun = asked?;
            if import.no_wait {
                return Ok(begun);
            }
            let id = fetched(&client, &begun, &bar).await?;
            follow(&client, &id, &bar).await
        };
        let asset = asset.await;
        bar.finish_and_clear();
        if let Err(Trouble::Unreachable(sentence)) = &asset {
            return Err(Fault::unusable(sentence));
        }
        report.add(&Outcome {
            name: url.clone(),
            asset,
            took: began.elapsed(),
        })?;
    }
    report.end()
}

fn body(import: &Import, url: &str, metadata: Option<&Map<String, Value>>) -> Value {
    let mut body = json!({
        "url": url, "tags": import.tags, "watermark": import.watermark,
        "visibility": if import.private { "private" } else { "public" },
    });
    let fields = [
        ("filename", import.filename.clone().map(Value::from)),
        ("title", import.title.clone().map(Value::from)),
        ("recipe", import.recipe.clone().map(Value::from)),
        ("priority", import.priority.map(|p| p.as_str().into())),
        ("metadata", metadata.cloned().map(Value::from)),
    ];
    for (name, value) in fields {
        if let Some(value) = value {
            body[name] = value;
        }
    }
    body
}

/// Waits until the import has ended; answers what it became.
async fn fetched(client: &Client, begun: &Value, bar: &ProgressBar) -> Result<String, Trouble> {
    let path = format!("v1/imports/{}", begun["id"].as_str().unwrap_or_default());
    let mut heard = Instant::now();
    loop {
        match client.get(&path).await {
            Ok(import) => {
                heard = Instant::now();
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                match import["state"].as_str() {
                    Some("done") => return Ok(text(&import["asset"])),
                    Some("failed") => {
                        return Err(Trouble::Refused {
                            code: text(&import["error"]["code"]),
                            message: text(&import["error"]["message"]),
                            again: None,
                        });
                    }
                    _ => {
                        bar.set_length(import["length"].as_u64().unwrap_or_default());
                        bar.set_position(import["bytes"].as_u64().unwrap_or_default());
                    }
                }
            }
            Err(trouble) if is_final(&trouble) || heard.elapsed() > ABSENCE_MAX => {
                return Err(trouble);
            }
            Err(_) => {}
        }
        tokio::time::sleep(PAUSE).await;
    }
}
