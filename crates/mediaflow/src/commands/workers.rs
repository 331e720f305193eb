//! `mediaflow workers`: who works, on what since when; drains and stops them.

use crate::cells;
use crate::client::{Client, Server};
use crate::fault::Fault;
use crate::output;
use clap::{Args, Subcommand};
use mediaflow_core::{Timestamp, WorkerId};
use mediaflow_engine::SystemEnvironment;
use mediaflow_store::Environment as _;
use serde_json::Value;

#[derive(Debug, Clone, Args)]
pub(crate) struct Workers {
    #[command(flatten)]
    server: Server,
    /// One JSON document
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Clone, Subcommand)]
enum Verb {
    /// List all workers and what each does; this is done without a verb too
    Ls,
    /// Let one end what it has and claim nothing more
    Drain {
        /// Its id, as `mediaflow workers` shows it
        id: WorkerId,
    },
    /// Let a drained one claim again
    Resume {
        /// Its id
        id: WorkerId,
    },
    /// Let its process end: what does not end soon is handed back
    Stop {
        /// Its id
        id: WorkerId,
    },
}

pub(crate) async fn run(workers: Workers) -> Result<(), Fault> {
    let client = workers.server.client()?;
    let json = workers.json;
    match workers.verb {
        None | Some(Verb::Ls) => list(&client, json).await,
        Some(Verb::Drain { id }) => tell(&client, id, json, "drain", "drains").await,
        Some(Verb::Resume { id }) => tell(&client, id, json, "resume", "works again").await,
        Some(Verb::Stop { id }) => tell(&client, id, json, "stop", "stops").await,
    }
}

async fn tell(
    client: &Client,
    id: WorkerId,
    json: bool,
    verb: &str,
    said: &str,
) -> Result<(), Fault> {
    let answer = client.post(&format!("v1/workers/{id}/{verb}")).await?;
    if json {
        return output::print_json(&answer);
    }
    output::print(&format!(
        "{id} {said}; it hears of it within five seconds\n"
    ))
}

async fn list(client: &Client, json: bool) -> Result<(), Fault> {
    let found = client.get("v1/workers").await?;
    if json {
        return output::print_json(&found);
    }
    let workers = found["workers"].as_array().map_or(&[][..], Vec::as_slice);
    if workers.is_empty() {
        return output::print(
            "No worker was heard of in the last hour; `mediaflow serve` starts one.\n",
        );
    }
    let head = [
        "ID", "NAME", "STATE", "SLOTS", "QUEUES", "SINCE", "WORKS ON",
    ];
    let now = SystemEnvironment.now();
    let mut rows = Vec::new();
    for worker in workers {
        let tasks = worker["tasks"].as_array().map_or(&[][..], Vec::as_slice);
        let mut lines = tasks.iter().map(|held| task(held, now));
        rows.push(vec![
            cells::text(worker, "id"),
            cells::text(worker, "name"),
            cells::state(worker["state"].as_str().unwrap_or_default()),
            cells::text(worker, "cpu"),
            cells::list(&worker["queues"]),
            cells::text(worker, "started_at"),
            lines.next().unwrap_or_else(|| "-".to_owned()),
        ]);
        rows.extend(lines.map(|line| {
            let mut row = vec![String::new(); head.len() - 1];
            row.push(line);
            row
        }));
    }
    output::print(&output::headed(head, rows))
}

fn task(task: &Value, now: Timestamp) -> String {
    let [operation, asset] = ["operation", "asset"].map(|name| cells::text(task, name));
    let since = cells::ago(&task["started_at"], now);
    format!("{operation} of {asset} for {since}")
}
