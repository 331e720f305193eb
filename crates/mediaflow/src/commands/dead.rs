//! `mediaflow dead`: what failed for good, grouped by what went wrong, and trying it again.

use super::tasks;
use crate::cells;
use crate::client::{Client, Server};
use crate::fault::Fault;
use crate::output;
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use mediaflow_core::TaskId;
use mediaflow_engine::SystemEnvironment;
use mediaflow_store::Environment as _;
use reqwest::Method;
use serde_json::{Map, Value, json};

/// Tasks of one request: few enough to see progress, many enough to be quick.
const STEP: u64 = 100;

#[derive(Debug, Clone, Args)]
pub(crate) struct Dead {
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
    /// List the tasks, the newest first
    Ls {
        /// Whose last error has this code
        #[arg(long)]
        code: Option<String>,
        /// Of this operation, for example image.resize
        #[arg(long)]
        operation: Option<String>,
        /// How many at most, up to 10000
        #[arg(long, value_name = "NUMBER", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
        /// Go on where an earlier list ended
        #[arg(long)]
        cursor: Option<String>,
    },
    /// Try again: one task, those that failed alike, or all
    Replay(Replay),
}

#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = true)]
struct Replay {
    /// This one
    #[arg(value_name = "TASK", conflicts_with_all = ["code", "operation", "since", "all"])]
    task: Option<TaskId>,
    /// Those whose last error has this code
    #[arg(long)]
    code: Option<String>,
    /// Those of this operation
    #[arg(long)]
    operation: Option<String>,
    /// Those that died at or after; RFC 3339, for example 2026-11-01T00:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// All
    #[arg(long, conflicts_with_all = ["code", "operation", "since"])]
    all: bool,
}

pub(crate) async fn run(dead: Dead) -> Result<(), Fault> {
    let client = dead.server.client()?;
    match dead.verb {
        None => groups(&client, dead.json).await,
        Some(Verb::Ls {
            code,
            operation,
            limit,
            cursor,
        }) => {
            let asked = [("code", code), ("operation", operation), ("cursor", cursor)];
            let mut query = vec![("state", "dead".to_owned())];
            query.extend(asked.into_iter().filter_map(|(n, v)| Some((n, v?))));
            let page = client.items("v1/tasks", query, limit as usize).await?;
            if dead.json {
                return output::print_json(&page);
            }
            let found = page["items"].as_array().map_or(&[][..], Vec::as_slice);
            if found.is_empty() {
                return output::print("No dead task is like that.\n");
            }
            output::print(&tasks::table(found, false))?;
            output::print_more(&page)
        }
        Some(Verb::Replay(replay)) => again(&client, replay, dead.json).await,
    }
}

async fn groups(client: &Client, json: bool) -> Result<(), Fault> {
    let found = client.get("v1/failures").await?;
    if json {
        return output::print_json(&found);
    }
    let all = found["items"].as_array().map_or(&[][..], Vec::as_slice);
    let (dead, waiting): (Vec<_>, Vec<_>) = all.iter().partition(|g| g["state"] == "dead");
    let now = SystemEnvironment.now();
    let rows: Vec<_> = dead
        .iter()
        .map(|group| {
            let hours = group["by_hour"].as_array().into_iter().flatten();
            let hours: Vec<f64> = hours.filter_map(Value::as_f64).collect();
            vec![
                cells::text(group, "code"),
                cells::text(group, "operation"),
                cells::bad(group["tasks"].as_u64().unwrap_or_default()),
                cells::ago(&group["oldest_at"], now),
                cells::ago(&group["newest_at"], now),
                cells::bars(&hours),
                cells::text(group, "example"),
            ]
        })
        .collect();
    let mut text = match rows.is_empty() {
        true => "Nothing is dead.\n".to_owned(),
        false => {
            let head = [
                "CODE",
                "OPERATION",
                "TASKS",
                "FIRST",
                "LAST",
                "24 HOURS",
                "EXAMPLE",
            ];
            output::headed(head, rows)
        }
    };
    let waiting: u64 = waiting.iter().filter_map(|g| g["tasks"].as_u64()).sum();
    if waiting > 0 {
        let tasks = cells::many(waiting, "task");
        text.push_str(&format!(
            "{tasks} failed and will be tried again without you.\n"
        ));
    }
    if let Some(first) = dead.first() {
        text.push_str(&format!(
            "Next: `mediaflow dead ls --code {code}` has each task with its error; `mediaflow dead replay --code {code}` tries again.\n",
            code = cells::text(first, "code")
        ));
    }
    output::print(&text)
}

async fn again(client: &Client, replay: Replay, json: bool) -> Result<(), Fault> {
    let replayed = match replay.task {
        Some(task) => {
            let answer = client.post(&format!("v1/tasks/{task}/replay")).await?;
            u64::from(answer["replayed"] == true)
        }
        None => many(client, &replay).await?,
    };
    if json {
        return output::print_json(&json!({ "replayed": replayed }));
    }
    match (replayed, replay.task) {
        (0, Some(task)) => output::print(&format!("{task} is not dead.\n")),
        (0, None) => output::print("No dead task is like that; `mediaflow dead` lists what is.\n"),
        (n, _) => output::print(&format!(
            "{} replayed; `mediaflow top` shows how they go.\n",
            cells::many(n, "task")
        )),
    }
}

/// Replays what matches, some at a time, until no more is found or as many were as there were at the beginning: what dies at once
/// again is not replayed for ever.
async fn many(client: &Client, replay: &Replay) -> Result<u64, Fault> {
    let total = counted(client, replay).await?;
    let style = ProgressStyle::with_template("{bar:32} {pos} of {len} tasks, {eta} left");
    let bar = ProgressBar::new(total);
    bar.set_style(style.expect("the template is tested by every run"));
    let filter = [
        ("code", &replay.code),
        ("operation", &replay.operation),
        ("since", &replay.since),
    ];
    let filter = filter.into_iter();
    let mut body: Map<String, Value> = filter
        .filter_map(|(name, value)| Some((name.to_owned(), value.clone()?.into())))
        .collect();
    body.insert("limit".to_owned(), STEP.into());
    let body = Value::from(body);
    let mut done = 0;
    loop {
        let answer = client.send_json(Method::POST, "v1/tasks/replay", &body);
        let answer = answer.await.map_err(|trouble| match done {
            0 => Fault::from(trouble),
            _ => Fault::from(trouble).and(format!("{done} were replayed before")),
        })?;
        let replayed = answer["replayed"].as_u64().unwrap_or_default();
        done += replayed;
        bar.set_length(total.max(done));
        bar.set_position(done);
        if replayed < STEP || done >= total.max(STEP) {
            bar.finish_and_clear();
            return Ok(done);
        }
    }
}

/// How many there are at this moment. Of very many the server counts the newest.
async fn counted(client: &Client, replay: &Replay) -> Result<u64, Fault> {
    let found = client.get("v1/failures").await?;
    let is = |wanted: &Option<String>, has: &Value| match wanted {
        Some(wanted) => has.as_str() == Some(wanted),
        None => true,
    };
    let groups = found["items"].as_array().into_iter().flatten();
    let groups = groups.filter(|group| {
        group["state"] == "dead"
            && is(&replay.code, &group["code"])
            && is(&replay.operation, &group["operation"])
    });
    let counted = groups.filter_map(|g| g["tasks"].as_u64()).sum();
    match counted < found["counted_max"].as_u64().unwrap_or(u64::MAX) {
        true => Ok(counted),
        // There may be more than were counted.
        false => Ok(u64::MAX),
    }
}
