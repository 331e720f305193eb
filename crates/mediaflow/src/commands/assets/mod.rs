//! `mediaflow assets`: search, and everything that is known of one.

mod one;

use crate::cells;
use crate::client::{Client, Server};
use crate::fault::Fault;
use crate::output;
use clap::Args;
use clap::builder::PossibleValuesParser;
use mediaflow_core::{AssetId, AssetState, Kind, Timestamp};
use mediaflow_engine::SystemEnvironment;
use mediaflow_store::Environment as _;
use serde_json::Value;

/// Columns that a name has in a list.
const NAME_COLUMNS: usize = 32;

#[derive(Debug, Clone, Args)]
pub(crate) struct Assets {
    /// The id of one to show with its renditions, its tasks and its story; without, all are searched
    #[arg(value_name = "ASSET", conflicts_with = "Search")]
    id: Option<AssetId>,
    #[command(flatten)]
    search: Search,
    #[command(flatten)]
    server: Server,
    /// One JSON document: as the API shows it; of one asset with its `events`
    #[arg(long)]
    json: bool,
}

/// What is asked of the API, under the names that it has there.
#[derive(Debug, Clone, Args)]
struct Search {
    /// Words in title, filename, tags, camera, the file's own tags
    #[arg(long, value_name = "WORDS")]
    text: Option<String>,
    /// uploaded, processing, in_review, ready, failed, rejected or deleted
    #[arg(long, hide_possible_values = true, value_parser = PossibleValuesParser::new(AssetState::ALL.iter().map(|s| s.as_str())))]
    state: Option<String>,
    /// image, video or audio
    #[arg(long, hide_possible_values = true, value_parser = PossibleValuesParser::new(Kind::ALL.iter().map(|k| k.as_str())))]
    kind: Option<String>,
    /// A tag that it has
    #[arg(long)]
    tag: Option<String>,
    /// The original's real type, for example image/png
    #[arg(long, value_name = "TYPE")]
    media_type: Option<String>,
    /// Of the pictures, or of the sound where there are none: h264, hevc, aac, ...
    #[arg(long)]
    codec: Option<String>,
    /// In whose newest run a task failed for good with this error code
    #[arg(long)]
    code: Option<String>,
    /// Accepted at or after; RFC 3339, for example 2026-11-01T00:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Accepted before; likewise
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// How many at most, up to 10000 [default: 50]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: Option<u32>,
    /// Go on where an earlier list ended
    #[arg(long)]
    cursor: Option<String>,
}

impl Search {
    fn query(&self) -> Vec<(&'static str, String)> {
        let asked = [
            ("text", &self.text),
            ("state", &self.state),
            ("kind", &self.kind),
            ("tag", &self.tag),
            ("media_type", &self.media_type),
            ("codec", &self.codec),
            ("code", &self.code),
            ("since", &self.since),
            ("until", &self.until),
            ("cursor", &self.cursor),
        ];
        let asked = asked.into_iter();
        asked
            .filter_map(|(name, value)| Some((name, value.clone()?)))
            .collect()
    }
}

pub(crate) async fn run(assets: Assets) -> Result<(), Fault> {
    let client = assets.server.client()?;
    match assets.id {
        Some(id) => one::show(&client, id, assets.json).await,
        None => list(&client, &assets.search, assets.json).await,
    }
}

async fn list(client: &Client, search: &Search, json: bool) -> Result<(), Fault> {
    let query = search.query();
    let is_narrowed = !query.is_empty();
    let most = search.limit.unwrap_or(50) as usize;
    let page = client.items("v1/assets", query, most).await?;
    if json {
        return output::print_json(&page);
    }
    let now = SystemEnvironment.now();
    let rows = page["items"].as_array().into_iter().flatten();
    let rows: Vec<_> = rows.map(|asset| row(asset, now)).collect();
    if rows.is_empty() {
        return output::print(match is_narrowed {
            true => "No asset is like that; `mediaflow assets` lists the newest of all.\n",
            false => "There are no assets yet; `mediaflow ingest FILE` uploads one.\n",
        });
    }
    let head = ["ASSET", "STATE", "KIND", "SIZE", "BYTES", "AGE", "NAME"];
    output::print(&output::headed(head, rows))?;
    output::print_more(&page)
}

fn row(asset: &Value, now: Timestamp) -> Vec<String> {
    let original = &asset["original"];
    let name = match asset["title"].is_string() {
        true => cells::text(asset, "title"),
        false => cells::text(original, "filename"),
    };
    let mut about = cells::clipped(&name, NAME_COLUMNS);
    if let Some(code) = asset["error"]["code"].as_str() {
        about.push_str(&format!("  {code}"));
    }
    vec![
        cells::text(asset, "id"),
        state(asset),
        cells::text(asset, "kind"),
        size(asset),
        cells::bytes(original["bytes"].as_u64().unwrap_or_default()),
        cells::ago(&asset["created_at"], now),
        about,
    ]
}

/// The state, and how far it is while that says something.
fn state(asset: &Value) -> String {
    let name = asset["state"].as_str().unwrap_or_default();
    let state = cells::state(name);
    match asset["progress"].as_f64() {
        Some(done) if name == "processing" => format!("{state} {:.0} %", done * 100.0),
        _ => state,
    }
}

/// Of pictures their sides, of what lasts its time.
fn size(asset: &Value) -> String {
    let sides = cells::size(&asset["original"]);
    let lasts = asset["media"]["duration"].as_f64();
    let lasts = lasts.map(|seconds| cells::span(Some(seconds)));
    let parts: Vec<String> = sides.into_iter().chain(lasts).collect();
    match parts.is_empty() {
        true => "-".to_owned(),
        false => parts.join(", "),
    }
}
