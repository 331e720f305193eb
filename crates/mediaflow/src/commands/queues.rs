//! `mediaflow queues`: how much there is to do, how fast it goes, and what nobody can do.

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
    let found = client.get("v1/queues").await.map_err(Fault::failed)?;
    if queues.json {
        return output::print_json(&found);
    }
    let head = [
        "QUEUE",
        "READY",
        "RUNNING",
        "WAITING",
        "DEAD",
        "OLDEST",
        "IN/MIN",
        "OUT/MIN",
        "WORKERS",
        "SLOTS",
        "DRAINED IN",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let mut notes = String::new();
    for queue in found["queues"].as_array().into_iter().flatten() {
        let number = |name: &str| queue[name].to_string();
        let name = queue["queue"].as_str().unwrap_or_default();
        let paused = queue["paused"] == true;
        rows.push(vec![
            name.to_owned(),
            number("ready"),
            number("running"),
            number("waiting"),
            number("dead"),
            span(&queue["oldest_ready_seconds"]),
            per_minute(&queue["arrivals_per_second"]),
            per_minute(&queue["completions_per_second"]),
            number("workers"),
            number("slots"),
            if paused {
                "paused".to_owned()
            } else {
                span(&queue["drain_seconds"])
            },
        ]);
        for stuck in queue["unplaceable"].as_array().into_iter().flatten() {
            let needs = stuck["needs"].as_array().into_iter().flatten();
            let needs: Vec<&str> = needs.filter_map(Value::as_str).collect();
            let missing = match &needs[..] {
                [] => "serves this queue".to_owned(),
                needs => format!("has {}", needs.join(", ")),
            };
            let tasks = &stuck["tasks"];
            notes.push_str(&format!(
                "{name}: {tasks} ready, and no living worker {missing}\n"
            ));
        }
    }
    output::print(&format!("{}{notes}", output::table(&rows, "")))
}

fn per_minute(rate: &Value) -> String {
    format!("{:.1}", rate.as_f64().unwrap_or_default() * 60.0)
}

/// Seconds for people; a dash for never.
fn span(seconds: &Value) -> String {
    match seconds.as_f64() {
        None => "-".to_owned(),
        Some(s) if s < 120.0 => format!("{s:.0} s"),
        Some(s) if s < 7200.0 => format!("{:.0} min", s / 60.0),
        Some(s) => format!("{:.1} h", s / 3600.0),
    }
}
