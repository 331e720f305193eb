//! `mediaflow import`: has the server fetch files, and follows them like uploads.

use super::ingest::follow::{ABSENCE_MAX, follow, is_final};
use super::ingest::show::Report;
use super::ingest::{Outcome, progress};
use super::said::Said;
use crate::client::{Client, Server, Trouble};
use crate::fault::Fault;
use clap::Args;
use indicatif::ProgressBar;
use reqwest::Method;
use serde_json::Value;
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
    #[command(flatten)]
    said: Said,
    /// Print one JSON array: each asset as the API shows it, with its address as `file`
    #[arg(long)]
    json: bool,
    /// Do not wait for the file to be there, nor for the work to be done
    #[arg(long)]
    no_wait: bool,
}

pub(crate) async fn run(import: Import) -> Result<(), Fault> {
    let fields = import.said.fields()?;
    let client = import.server.client()?;
    let mut report = Report::new(import.json, client.clone());
    let mut begun = Vec::new();
    for url in &import.urls {
        let mut body = fields.clone();
        body.insert("url".into(), url.clone().into());
        if let Some(name) = &import.filename {
            body.insert("filename".into(), name.clone().into());
        }
        let body = Value::from(body);
        let asked = client.send_json(Method::POST, "v1/assets/import", &body);
        begun.push((url, Instant::now(), asked.await));
    }
    for (url, began, asked) in begun {
        let bar = progress::bar();
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
