//! `mediaflow ingest`: uploads files, follows the work live, prints every rendition.
//!
//! Files are found, uploaded, followed and printed as a stream: a folder of a million pictures needs no
//! more memory than one of ten.

mod files;
pub(super) mod follow;
mod journal;
pub(super) mod progress;
mod resumable;
pub(super) mod show;
mod upload;

use super::said::Said;
use crate::client::{Client, Server, Trouble};
use crate::fault::Fault;
use clap::Args;
use files::{Files, Input};
use futures_util::StreamExt as _;
use progress::Overall;
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
    #[command(flatten)]
    said: Said,
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

pub(crate) async fn run(ingest: Ingest) -> Result<(), Fault> {
    let options = Arc::new(ingest.said.query()?);
    let client = ingest.server.client()?;
    let overall = Overall::begin(&ingest.inputs);
    let mut report = Report::new(ingest.json, client.clone());
    let (parallel, waits) = (usize::from(ingest.concurrency), !ingest.no_wait);
    let accepted = futures_util::stream::iter(Files::new(ingest.inputs))
        .map(|input| {
            let (client, overall, options) =
                (client.clone(), overall.clone(), Arc::clone(&options));
            async move { upload_one(&client, &overall, &options, input).await }
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
        overall.ended();
        overall.suspend(|| report.add(&outcome))?;
    }
    overall.clear();
    report.end()
}

async fn upload_one(
    client: &Client,
    overall: &Overall,
    options: &[(&'static str, String)],
    input: Result<Input, files::Unreadable>,
) -> (Outcome, Instant, indicatif::ProgressBar) {
    let began = Instant::now();
    let progress = overall.file();
    let (name, asset) = match input {
        Ok(input) => {
            let name = input.name();
            progress.bar.set_prefix(name.clone());
            (
                name,
                upload::upload(client, options, &input, &progress).await,
            )
        }
        Err(unreadable) => (unreadable.name, Err(upload::unreadable(unreadable.reason))),
    };
    let took = began.elapsed();
    (Outcome { name, asset, took }, began, progress.bar)
}
