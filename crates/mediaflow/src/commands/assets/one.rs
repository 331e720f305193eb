//! One asset: what it is, what was made of it, how each step went, and its story.

use super::{size, state};
use crate::cells;
use crate::client::Client;
use crate::commands::events;
use crate::fault::Fault;
use crate::output;
use mediaflow_core::AssetId;
use mediaflow_engine::SystemEnvironment;
use mediaflow_store::Environment as _;
use serde_json::Value;

/// Columns that a failure's text has beside a step.
const MESSAGE_COLUMNS: usize = 60;

pub(super) async fn show(client: &Client, id: AssetId, json: bool) -> Result<(), Fault> {
    let mut asset = client.asset(&id.to_string()).await?;
    let story = events::story(client, id).await?;
    if json {
        asset["events"] = story.into();
        return output::print_json(&asset);
    }
    let mut text = about(&asset);
    text.push_str(&part("Renditions", &renditions(client, &asset)));
    text.push_str(&part("Steps", &steps(&asset["tasks"])));
    let story: Vec<_> = story.iter().map(events::told).collect();
    text.push_str(&part("Story", &output::table(&story, "")));
    output::print(&text)?;
    output::print(&next(&asset))
}

fn part(name: &str, table: &str) -> String {
    match table.is_empty() {
        true => String::new(),
        false => format!("\n{}\n{table}", console::style(name).bold()),
    }
}

fn about(asset: &Value) -> String {
    let now = SystemEnvironment.now();
    let original = &asset["original"];
    let mut rows = vec![
        ("asset", cells::text(asset, "id")),
        ("name", cells::text(original, "filename")),
        ("title", cells::text(asset, "title")),
        ("tags", cells::list(&asset["tags"])),
        ("state", state(asset)),
        ("file", file(asset)),
        (
            "accepted",
            format!(
                "{} ({} ago)",
                cells::text(asset, "created_at"),
                cells::ago(&asset["created_at"], now)
            ),
        ),
        (
            "recipe",
            format!(
                "{} version {}, run {}",
                cells::text(&asset["recipe"], "name"),
                asset["recipe"]["version"],
                asset["generation"]
            ),
        ),
        ("seen by", cells::text(asset, "visibility")),
        ("correlation", cells::text(asset, "correlation_id")),
    ];
    if asset["error"].is_object() {
        let error = &asset["error"];
        let text = format!(
            "{}: {}",
            cells::text(error, "code"),
            cells::text(error, "message")
        );
        rows.insert(5, ("because", console::style(text).red().to_string()));
    }
    let shown = rows.into_iter().filter(|(_, cell)| cell != "-");
    let rows: Vec<_> = shown.map(|(n, cell)| vec![n.to_owned(), cell]).collect();
    output::table(&rows, "")
}

fn file(asset: &Value) -> String {
    let original = &asset["original"];
    let bytes = original["bytes"].as_u64().unwrap_or_default();
    format!(
        "{}, {}, {}",
        cells::text(original, "media_type"),
        size(asset),
        cells::bytes(bytes)
    )
}

fn renditions(client: &Client, asset: &Value) -> String {
    let all = asset["renditions"].as_array().into_iter().flatten();
    let rows = all.map(|rendition| {
        vec![
            cells::text(rendition, "profile"),
            cells::text(rendition, "format"),
            cells::size(rendition).unwrap_or_default(),
            cells::bytes(rendition["bytes"].as_u64().unwrap_or_default()),
            client.url(&cells::text(rendition, "url")),
        ]
    });
    output::table(&rows.collect::<Vec<_>>(), "")
}

/// A line for each step: a film's has thousands of tasks.
fn steps(tasks: &Value) -> String {
    let mut steps: Vec<(&str, Vec<&Value>)> = Vec::new();
    for task in tasks.as_array().into_iter().flatten() {
        let name = task["step"].as_str().unwrap_or_default();
        match steps.iter_mut().find(|(step, _)| *step == name) {
            Some((_, of)) => of.push(task),
            None => steps.push((name, vec![task])),
        }
    }
    let rows = steps.iter().map(|(name, tasks)| {
        let tries: u64 = tasks.iter().filter_map(|t| t["attempts"].as_u64()).sum();
        vec![
            cells::plain(name),
            cells::text(tasks[0], "operation"),
            states(tasks),
            tries.to_string(),
            cells::span(taken(tasks)),
            trouble(tasks),
        ]
    });
    let rows: Vec<_> = rows.collect();
    match rows.is_empty() {
        true => String::new(),
        false => output::headed(["STEP", "OPERATION", "STATE", "TRIES", "TOOK", "WHY"], rows),
    }
}

fn states(tasks: &[&Value]) -> String {
    let mut counts: Vec<(&str, u64)> = Vec::new();
    for state in tasks.iter().filter_map(|t| t["state"].as_str()) {
        match counts.iter_mut().find(|(name, _)| *name == state) {
            Some((_, count)) => *count += 1,
            None => counts.push((state, 1)),
        }
    }
    let said = counts.iter().map(|(state, count)| match tasks.len() {
        1 => cells::state(state),
        _ => format!("{count} {}", cells::state(state)),
    });
    said.collect::<Vec<_>>().join(", ")
}

/// What the last tries of these tasks took together.
fn taken(tasks: &[&Value]) -> Option<f64> {
    let took = tasks.iter().filter_map(|task| {
        let seconds = cells::between(&task["started_at"], &task["finished_at"])?;
        Some(seconds)
    });
    took.reduce(|a, b| a + b)
}

/// What went wrong in the first of them that has something, or why nobody takes it.
fn trouble(tasks: &[&Value]) -> String {
    let wrong = tasks.iter().find_map(|task| {
        let code = task["error_code"].as_str()?;
        let message = cells::clipped(&cells::text(task, "error_message"), MESSAGE_COLUMNS);
        Some(format!("{code}: {message}"))
    });
    let blocked = tasks.iter().find_map(|task| task["blocked"].as_str());
    wrong
        .or(blocked.map(|why| format!("nobody takes it: {why}")))
        .unwrap_or_default()
}

/// What can be done about an asset that is not well.
fn next(asset: &Value) -> String {
    let id = cells::text(asset, "id");
    let dead = asset["tasks"].as_array().into_iter().flatten();
    let dead = dead.filter(|task| task["state"] == "dead").count();
    match asset["state"].as_str() {
        Some("failed") if dead > 0 => format!(
            "\nNext: `mediaflow tasks {id} --state dead` has each try; `mediaflow dead replay TASK` tries again.\n"
        ),
        Some("processing" | "uploaded") => {
            format!("\nNext: `mediaflow events {id} --follow` shows what happens.\n")
        }
        _ => String::new(),
    }
}
