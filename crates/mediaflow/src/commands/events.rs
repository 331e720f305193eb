//! `mediaflow events`: what happened, and what happens; to one asset, or to all.

use super::references;
use crate::cells;
use crate::client::{Client, LiveEvent, Server, Trouble};
use crate::fault::Fault;
use crate::output;
use clap::Args;
use futures_util::StreamExt as _;
use mediaflow_core::AssetId;
use serde_json::{Value, json};
use std::time::Duration;

/// Before a stream is asked for again that has ended: as long as the server tells browsers to wait.
const PAUSE: Duration = Duration::from_secs(2);
/// An asset of a long film has one event for each of its tasks.
const STORY_MAX: usize = 100_000;
/// Events from the end on among which the newest of a type are looked for.
const SEARCHED_MAX: u64 = 20_000;
/// Columns that one value has in a story: digests are long, and the JSON has them whole.
const VALUE_COLUMNS: usize = 32;

#[derive(Debug, Clone, Args)]
pub(crate) struct Events {
    /// Only what happened to this one
    #[arg(value_name = "ASSET")]
    asset: Option<AssetId>,
    /// Go on with what happens, until you press ctrl-C; after a break where it was
    #[arg(long, short)]
    follow: bool,
    /// Begin after this place: an event's `position`, or its `sequence` of one asset; `latest` is the end
    #[arg(long, value_name = "PLACE")]
    after: Option<String>,
    /// How many at most, up to 10000; the newest, unless `--after` says where to begin
    #[arg(long, value_name = "NUMBER", default_value_t = 50, conflicts_with = "follow", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// Only those whose type begins so, for example asset. or task.dead; of all assets without `--after` the newest 20000 are looked through
    #[arg(
        long = "type",
        value_name = "TYPE",
        default_value = "",
        hide_default_value = true
    )]
    kind: String,
    #[command(flatten)]
    server: Server,
    /// One CloudEvent in each line
    #[arg(long)]
    json: bool,
    /// Print the reference of all event types (Markdown)
    #[arg(long, conflicts_with_all = ["asset", "follow", "after"])]
    types: bool,
}

pub(crate) async fn run(events: Events) -> Result<(), Fault> {
    if events.types {
        return references::events();
    }
    let client = events.server.client()?;
    let path = match events.asset {
        Some(asset) => format!("v1/assets/{asset}/events"),
        None => "v1/events".to_owned(),
    };
    if events.follow {
        let after = begin(&client, &events).await?;
        return follow(&client, &path, after, &events).await;
    }
    let most = events.limit as usize;
    let found = match (&events.after, events.asset) {
        (None, None) => {
            let Newest { found, is_all } = newest(&client, most, &events).await?;
            if !is_all {
                eprintln!(
                    "mediaflow: these are among the newest {SEARCHED_MAX} events; `--after 0` begins with the oldest"
                );
            }
            found
        }
        _ => {
            let after = begin(&client, &events).await?;
            pages(&client, &path, after, most, |event| events.wants(event)).await?
        }
    };
    if found.is_empty() && !events.json {
        return output::print(match events.kind.is_empty() && events.after.is_none() {
            true => "Nothing has happened yet; `mediaflow ingest FILE` uploads something.\n",
            false => "Nothing like that happened.\n",
        });
    }
    found.iter().try_for_each(|event| events.print(event))
}

impl Events {
    fn wants(&self, event: &Value) -> bool {
        let kind = event["type"].as_str().unwrap_or_default();
        kind.starts_with(&self.kind)
    }

    fn print(&self, event: &Value) -> Result<(), Fault> {
        if self.json {
            return output::print_line(event);
        }
        let mut cells = told(event);
        if self.asset.is_none() {
            cells.insert(1, cells::text(event, "subject"));
        }
        output::print(&format!("{}\n", cells.join("  ").trim_end()))
    }
}

/// The place to begin after. Of all events it is told as a number, so that a stream that breaks before it has said anything can be
/// taken up where it began.
async fn begin(client: &Client, events: &Events) -> Result<u64, Fault> {
    match (events.after.as_deref(), events.asset) {
        (Some("latest") | None, None) => Ok(end(client).await?),
        (Some("latest"), Some(asset)) => {
            let story = story(client, asset).await?;
            let last = story.last().map(|event| place(&event["sequence"]));
            Ok(last.flatten().unwrap_or_default())
        }
        (Some(text), _) => text.parse().map_err(|_| {
            Fault::unusable("--after is the `position` or `sequence` of an event, or latest")
        }),
        (None, Some(_)) => Ok(0),
    }
}

/// Behind the last of all events.
async fn end(client: &Client) -> Result<u64, Trouble> {
    let query = [("after", "latest".to_owned()), ("limit", "1".to_owned())];
    let page = client.ask("v1/events", &query).await?;
    Ok(place(&page["next_cursor"]).unwrap_or_default())
}

/// What was found from the end of all events on.
struct Newest {
    found: Vec<Value>,
    /// Whether that is as much as was wanted, or as there is.
    is_all: bool,
}

/// The newest of all events that are wanted, the oldest of them first. The API reads forwards only, so it is begun further and
/// further back: between two of them there may be other tenants' and other types.
async fn newest(client: &Client, most: usize, events: &Events) -> Result<Newest, Trouble> {
    let end = end(client).await?;
    let mut back = most as u64;
    loop {
        let mut from = end.saturating_sub(back);
        let after = async |from| {
            let wants = |event: &Value| events.wants(event);
            pages(client, "v1/events", from, usize::MAX, wants).await
        };
        let mut found = match after(from).await {
            // So far back nothing is kept: all that is kept is less.
            Err(Trouble::Refused { code, .. }) if code == "events.pruned" => {
                from = 0;
                after(from).await?
            }
            found => found?,
        };
        let is_all = found.len() >= most || from == 0;
        if is_all || back >= SEARCHED_MAX {
            let found = found.split_off(found.len().saturating_sub(most));
            return Ok(Newest { found, is_all });
        }
        back = (back * 8).min(SEARCHED_MAX);
    }
}

fn place(value: &Value) -> Option<u64> {
    value.as_str().and_then(|text| text.parse().ok())
}

/// Everything that happened to an asset.
pub(super) async fn story(client: &Client, asset: AssetId) -> Result<Vec<Value>, Trouble> {
    let path = format!("v1/assets/{asset}/events");
    pages(client, &path, 0, STORY_MAX, |_| true).await
}

async fn pages(
    client: &Client,
    path: &str,
    mut after: u64,
    most: usize,
    wanted: impl Fn(&Value) -> bool,
) -> Result<Vec<Value>, Trouble> {
    let mut found = Vec::new();
    while found.len() < most {
        let query = [("after", after.to_string()), ("limit", "200".to_owned())];
        let mut page = client.ask(path, &query).await?;
        let Value::Array(items) = page["items"].take() else {
            break;
        };
        match (items.is_empty(), place(&page["next_cursor"])) {
            (false, Some(next)) => after = next,
            _ => break,
        }
        found.extend(items.into_iter().filter(|event| wanted(event)));
    }
    found.truncate(most);
    Ok(found)
}

/// Prints what happens for as long as somebody listens.
async fn follow(client: &Client, path: &str, after: u64, events: &Events) -> Result<(), Fault> {
    let mut last = after.to_string();
    let mut is_away = false;
    let mut has_been_there = false;
    loop {
        match client.live(path, &last).await {
            Ok(stream) => {
                if is_away {
                    eprintln!("mediaflow: the server is there again");
                    is_away = false;
                }
                has_been_there = true;
                let mut stream = std::pin::pin!(stream);
                while let Some(LiveEvent { id, body }) = stream.next().await {
                    if !id.is_empty() {
                        last = id;
                    }
                    if events.wants(&body) {
                        events.print(&body)?;
                    }
                }
            }
            Err(trouble @ Trouble::Refused { again: None, .. }) => return Err(trouble.into()),
            Err(trouble) if !has_been_there => return Err(trouble.into()),
            Err(trouble) => {
                if !is_away {
                    eprintln!("mediaflow: {trouble}; it is asked again until it is there");
                    is_away = true;
                }
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Its time, its type, and what else it says.
pub(super) fn told(event: &Value) -> Vec<String> {
    let kind = event["type"].as_str().unwrap_or_default();
    let shown = console::style(kind);
    let shown = match kind {
        "asset.failed" | "asset.rejected" | "task.dead" => shown.red(),
        "asset.ready" => shown.green(),
        "task.retrying" | "asset.in_review" => shown.yellow(),
        _ => shown,
    };
    let data = event["data"].as_object();
    let said = data.into_iter().flatten().filter_map(|(name, value)| {
        let value = match value {
            Value::Null | Value::Object(_) => return None,
            Value::Array(_) if cells::list(value) == "-" => return None,
            Value::Array(_) => cells::list(value),
            _ => cells::text(&json!({ "it": value }), "it"),
        };
        let value = cells::clipped(&value, VALUE_COLUMNS);
        Some(format!("{name}={value}"))
    });
    vec![
        cells::text(event, "time"),
        shown.to_string(),
        said.collect::<Vec<_>>().join(" "),
    ]
}
