//! `mediaflow tasks`: what is to be done, is done and was done; of one asset, or of all.

use crate::cells;
use crate::client::Server;
use crate::fault::Fault;
use crate::output;
use clap::Args;
use clap::builder::PossibleValuesParser;
use mediaflow_core::{AssetId, TaskState, Timestamp};
use mediaflow_engine::SystemEnvironment;
use mediaflow_store::Environment as _;
use serde_json::Value;

/// Columns that a failure's text has in a list.
const MESSAGE_COLUMNS: usize = 48;

#[derive(Debug, Clone, Args)]
pub(crate) struct Tasks {
    /// Only this one's, in the recipe's order; otherwise all, the newest first
    #[arg(value_name = "ASSET")]
    asset: Option<AssetId>,
    /// pending, ready, running, waiting, succeeded, skipped, dead or cancelled
    #[arg(long, hide_possible_values = true, value_parser = PossibleValuesParser::new(TaskState::ALL.iter().map(|s| s.as_str())))]
    state: Option<String>,
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
    #[command(flatten)]
    server: Server,
    /// One JSON document: as the API shows it, with every try
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(tasks: Tasks) -> Result<(), Fault> {
    let client = tasks.server.client()?;
    let path = match tasks.asset {
        Some(asset) => format!("v1/assets/{asset}/tasks"),
        None => "v1/tasks".to_owned(),
    };
    let asked = [
        ("state", tasks.state),
        ("code", tasks.code),
        ("operation", tasks.operation),
        ("cursor", tasks.cursor),
    ];
    let query: Vec<_> = asked
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
    let page = client.items(&path, query, tasks.limit as usize).await?;
    if tasks.json {
        return output::print_json(&page);
    }
    let found = page["items"].as_array().map_or(&[][..], Vec::as_slice);
    if found.is_empty() {
        return output::print("No task is like that.\n");
    }
    output::print(&table(found, tasks.asset.is_some()))?;
    output::print_more(&page)
}

/// Tasks as rows, also of those that are dead; each with its asset, unless that is known.
pub(super) fn table(tasks: &[Value], is_asset_known: bool) -> String {
    let now = SystemEnvironment.now();
    let rows = tasks.iter().map(|task| row(task, now));
    if is_asset_known {
        let head = [
            "TASK",
            "OPERATION",
            "STATE",
            "TRIES",
            "SINCE",
            "TOOK",
            "WHY",
        ];
        return output::headed(head, rows.collect());
    }
    let rows = rows.zip(tasks).map(|(mut row, task)| {
        row.insert(row.len() - 1, cells::text(task, "asset"));
        row
    });
    let head = [
        "TASK",
        "OPERATION",
        "STATE",
        "TRIES",
        "SINCE",
        "TOOK",
        "ASSET",
        "WHY",
    ];
    output::headed(head, rows.collect())
}

fn row(task: &Value, now: Timestamp) -> Vec<String> {
    let moments = ["finished_at", "started_at", "queued_at", "created_at"];
    let since = moments.iter().find(|at| task[**at].is_string());
    vec![
        cells::text(task, "id"),
        cells::text(task, "operation"),
        cells::state(task["state"].as_str().unwrap_or_default()),
        cells::text(task, "attempts"),
        cells::ago(&task[*since.unwrap_or(&"created_at")], now),
        cells::span(cells::between(&task["started_at"], &task["finished_at"])),
        why(task),
    ]
}

fn why(task: &Value) -> String {
    if let Some(why) = task["blocked"].as_str() {
        return why.to_owned();
    }
    match task["error_code"].as_str() {
        Some(code) => {
            let message = cells::text(task, "error_message");
            format!("{code}: {}", cells::clipped(&message, MESSAGE_COLUMNS))
        }
        None => String::new(),
    }
}
