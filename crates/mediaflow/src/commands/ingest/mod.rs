//! `mediaflow ingest`: uploads files, follows the work live, prints every rendition.
//!
//! Files are found, uploaded, followed and printed as a stream: a folder of a million pictures needs no
//! more memory than one of ten.

mod files;
pub(super) mod follow;
mod journal;
mod resumable;
pub(super) mod show;
pub(super) mod upload;

use crate::client::{Client, Server, Trouble};
use crate::fault::Fault;
use clap::Args;
use files::{Files, Input};
use futures_util::StreamExt as _;
use indicatif::MultiProgress;
use mediaflow_core::Priority;
use serde_json::Value;
use show::Report;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Assets that are followed while the next ones are uploaded already.
const FOLLOWED_MAX: usize = 64;

#[derive(Debug, Clone, Args)]
pub(crate) struct Ingest {
    /// Files, folders (with all that is in them), or - for standard input
    #[arg(required = true)]
    inputs: Vec<PathBuf>,
    #[command(flatten)]
    server: Server,
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
    /// high, normal or low: the share of processors beside your other uploads. Imports in bulk are low
    #[arg(long, value_name = "PRIORITY", value_parser = priority)]
    priority: Option<Priority>,
    /// A recipe other than the default one
    #[arg(long, value_name = "NAME")]
    recipe: Option<String>,
    /// Print one JSON array: each asset as the API shows it, with its `file`
    #[arg(long)]
    json: bool,
    /// Do not wait for the work to be done
    #[arg(long)]
    no_wait: bool,
    /// Uploads at the same time
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=64))]
    concurrency: u8,
}

/// How it went with one input.
#[derive(Debug)]
pub(super) struct Outcome {
    /// As the user named it.
    pub(super) name: String,
    /// The asset as the API shows it, or why there is none.
    pub(super) asset: Result<Value, Trouble>,
    /// From the first byte to the end.
    pub(super) took: Duration,
}

pub(super) fn priority(name: &str) -> Result<Priority, String> {
    Priority::parse(name).ok_or_else(|| "priorities are high, normal, low".to_owned())
}

pub(crate) async fn run(ingest: Ingest) -> Result<(), Fault> {
    if let Some(metadata) = &ingest.metadata
        && !serde_json::from_str::<Value>(metadata).is_ok_and(|v| v.is_object())
    {
        return Err(Fault::unusable(
            "--metadata must be a JSON object, for example '{\"album\": \"summer\"}'",
        ));
    }
    let client = ingest.server.client()?;
    // Hidden by itself where standard error is no terminal.
    let bars = MultiProgress::new();
    let mut report = Report::new(ingest.json, client.clone());
    let (parallel, waits) = (usize::from(ingest.concurrency), !ingest.no_wait);
    let options = Arc::new(upload::options(&ingest));
    let accepted = futures_util::stream::iter(Files::new(ingest.inputs))
        .map(|input| {
            let (client, bars, options) = (client.clone(), bars.clone(), Arc::clone(&options));
            async move { upload_one(&client, &bars, &options, input).await }
        })
        .buffer_unordered(parallel);
    let done = accepted
        .map(|(mut outcome, began, bar)| {
            let client = client.clone();
            async move {
                if let (true, Ok(asset)) = (waits, &outcome.asset) {
                    let id = asset["id"].as_str().unwrap_or_default();
                    outcome.asset = follow::follow(&client, id, &bar).await;
                }
                bar.finish_and_clear();
                outcome.took = began.elapsed();
                outcome
            }
        })
        .buffer_unordered(FOLLOWED_MAX);
    let mut done = std::pin::pin!(done);
    while let Some(outcome) = done.next().await {
        if let Err(Trouble::Unreachable(sentence)) = &outcome.asset {
            return Err(Fault::unusable(sentence));
        }
        bars.suspend(|| report.add(&outcome))?;
    }
    report.end()
}

async fn upload_one(
    client: &Client,
    bars: &MultiProgress,
    options: &[(&'static str, String)],
    input: Result<Input, files::Unreadable>,
) -> (Outcome, Instant, indicatif::ProgressBar) {
    let began = Instant::now();
    let bar = bars.add(upload::bar());
    let (name, asset) = match input {
        Ok(input) => {
            let name = input.name();
            bar.set_prefix(name.clone());
            (name, upload::upload(client, options, &input, &bar).await)
        }
        Err(unreadable) => (unreadable.name, Err(upload::unreadable(unreadable.reason))),
    };
    let took = began.elapsed();
    (Outcome { name, asset, took }, began, bar)
}
