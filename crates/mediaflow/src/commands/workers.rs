//! `mediaflow workers`: who works, on what since when; drains and stops them.

use crate::client::{Client, Server};
use crate::fault::Fault;
use crate::output;
use clap::{Args, Subcommand};
use mediaflow_core::WorkerId;
use serde_json::Value;

#[derive(Debug, Clone, Args)]
pub(crate) struct Workers {
    #[command(flatten)]
    server: Server,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Clone, Subcommand)]
enum Verb {
    /// List all workers and what each does
    Ls {
        /// One JSON document
        #[arg(long)]
        json: bool,
    },
    /// Let one end what it has and claim nothing more
    Drain {
        /// Its id, as `mediaflow workers ls` shows it
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
    match workers.verb {
        Verb::Ls { json } => list(&client, json).await,
        Verb::Drain { id } => tell(&client, id, "drain", "drains").await,
        Verb::Resume { id } => tell(&client, id, "resume", "works again").await,
        Verb::Stop { id } => tell(&client, id, "stop", "stops").await,
    }
}

async fn tell(client: &Client, id: WorkerId, verb: &str, said: &str) -> Result<(), Fault> {
    let path = format!("v1/workers/{id}/{verb}");
    client.post(&path).await.map_err(Fault::failed)?;
    output::print(&format!(
        "{id} {said}; it hears of it within five seconds\n"
    ))
}

async fn list(client: &Client, json: bool) -> Result<(), Fault> {
    let found = client.get("v1/workers").await.map_err(Fault::failed)?;
    if json {
        return output::print_json(&found);
    }
    let workers = found["workers"].as_array().map_or(&[][..], Vec::as_slice);
    if workers.is_empty() {
        return output::print("No worker was heard of in the last hour.\n");
    }
    let head = [
        "ID", "NAME", "STATE", "SLOTS", "QUEUES", "SINCE", "WORKS ON",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for worker in workers {
        let tasks = worker["tasks"].as_array().map_or(&[][..], Vec::as_slice);
        let mut lines = tasks.iter().map(task);
        let queues = worker["queues"].as_array().into_iter().flatten();
        let queues: Vec<&str> = queues.filter_map(Value::as_str).collect();
        rows.push(vec![
            text(worker, "id"),
            text(worker, "name"),
            text(worker, "state"),
            worker["cpu"].to_string(),
            queues.join(","),
            text(worker, "started_at"),
            lines.next().unwrap_or_else(|| "-".to_owned()),
        ]);
        rows.extend(lines.map(|line| {
            let mut row = vec![String::new(); head.len() - 1];
            row.push(line);
            row
        }));
    }
    output::print(&output::table(&rows, ""))
}

fn task(task: &Value) -> String {
    let [operation, asset, since] = ["operation", "asset", "started_at"].map(|n| text(task, n));
    format!("{operation} of {asset} since {since}")
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or("-").to_owned()
}
