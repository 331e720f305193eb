//! `mediaflow queues`: how much there is to do, how fast it goes, and what nobody can do.

use crate::cells;
use crate::client::Server;
use crate::fault::Fault;
use crate::output;
use clap::Args;
use serde_json::Value;

#[derive(Debug, Clone, Args)]
pub(crate) struct Queues {
    #[command(flatten)]
    server: Server,
    /// One JSON document
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(queues: Queues) -> Result<(), Fault> {
    let client = queues.server.client()?;
    let found = client.get("v1/queues").await?;
    if queues.json {
        return output::print_json(&found);
    }
    let all = found["queues"].as_array().map_or(&[][..], Vec::as_slice);
    let rows = all.iter().map(row).collect();
    let [queue, ready, running, waiting, dead, oldest, taken, ended] = LOAD;
    let head = [
        queue,
        ready,
        running,
        waiting,
        dead,
        oldest,
        taken,
        ended,
        "WORKERS",
        "SLOTS",
        "DRAINED IN",
    ];
    let notes: String = all.iter().flat_map(stuck).map(|n| n + "\n").collect();
    output::print(&format!("{}{notes}", output::headed(head, rows)))
}

fn row(queue: &Value) -> Vec<String> {
    let mut row = load(queue).to_vec();
    row.push(cells::text(queue, "workers"));
    row.push(cells::text(queue, "slots"));
    row.push(drained(queue));
    row
}

/// What [`load`] tells.
pub(super) const LOAD: [&str; 8] = [
    "QUEUE", "READY", "RUNNING", "WAITING", "DEAD", "OLDEST", "IN/MIN", "OUT/MIN",
];

/// A queue, how much there is to do in it and how fast it goes.
pub(super) fn load(queue: &Value) -> [String; LOAD.len()] {
    [
        cells::text(queue, "queue"),
        cells::text(queue, "ready"),
        cells::text(queue, "running"),
        cells::text(queue, "waiting"),
        cells::bad(queue["dead"].as_u64().unwrap_or_default()),
        cells::span(queue["oldest_ready_seconds"].as_f64()),
        per_minute(&queue["arrivals_per_second"]),
        per_minute(&queue["completions_per_second"]),
    ]
}

/// How long the workers that there are need for it.
pub(super) fn drained(queue: &Value) -> String {
    match queue["paused"] == true {
        true => cells::state("paused"),
        false => cells::span(queue["drain_seconds"].as_f64()),
    }
}

/// What nobody can do: the next command would be one on another machine, so it says what is missing.
pub(super) fn stuck(queue: &Value) -> Vec<String> {
    let name = queue["queue"].as_str().unwrap_or_default();
    let all = queue["unplaceable"].as_array().into_iter().flatten();
    let said = all.map(|stuck| {
        let missing = match cells::list(&stuck["needs"]).as_str() {
            "-" => "serves this queue".to_owned(),
            needs => format!("has {}", needs.replace(',', ", ")),
        };
        let tasks = &stuck["tasks"];
        format!("{name}: {tasks} ready, and no living worker {missing}")
    });
    said.collect()
}

fn per_minute(rate: &Value) -> String {
    format!("{:.1}", rate.as_f64().unwrap_or_default() * 60.0)
}
