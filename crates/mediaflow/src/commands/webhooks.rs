//! `mediaflow webhooks`: addresses that are told what happens, what became of each delivery, and having it delivered again.

use crate::cells;
use crate::client::{Client, Server};
use crate::fault::Fault;
use crate::output;
use clap::{Args, Subcommand, ValueEnum};
use mediaflow_core::{EventId, WebhookId};
use mediaflow_engine::SystemEnvironment;
use mediaflow_store::Environment as _;
use reqwest::Method;
use serde_json::{Map, Value, json};

/// Columns that an error has in a table; with `--json` it is whole.
const ERROR_COLUMNS: usize = 60;

#[derive(Debug, Clone, Args)]
pub(crate) struct Webhooks {
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
    /// List all webhooks; this is done without a verb too
    Ls,
    /// Tell an address what happens from now on. Its secret is shown once
    Add {
        /// An http or https address
        url: String,
        #[command(flatten)]
        said: Said,
    },
    /// Change one
    Set {
        /// Its id, as `mediaflow webhooks` shows it
        id: WebhookId,
        /// Another address; what waits goes there, too
        #[arg(long)]
        url: Option<String>,
        #[command(flatten)]
        said: Said,
    },
    /// Remove one, with all that waits for it
    Rm {
        /// Its id
        id: WebhookId,
    },
    /// Switch one on: it is told what happens from now on, and what waited
    On {
        /// Its id
        id: WebhookId,
    },
    /// Switch one off: what happens meanwhile it is never told
    Off {
        /// Its id
        id: WebhookId,
    },
    /// Send it an event that is none, now, and show what it answers
    Test {
        /// Its id
        id: WebhookId,
    },
    /// Give it another secret, which is shown once; for 24 hours the one before signs as well
    Secret {
        /// Its id
        id: WebhookId,
    },
    /// Show what it was told and what waits, newest first; of one event, each attempt
    Deliveries {
        /// Its id
        id: WebhookId,
        /// All of this one
        #[arg(conflicts_with_all = ["state", "limit", "cursor"])]
        event: Option<EventId>,
        /// Only these
        #[arg(long)]
        state: Option<State>,
        /// How many at most, up to 200
        #[arg(long, value_name = "NUMBER", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=200))]
        limit: u32,
        /// Go on where an earlier list ended
        #[arg(long)]
        cursor: Option<String>,
    },
    /// Deliver again: one event, or all that were given up
    Redeliver(Redeliver),
}

#[derive(Debug, Clone, Args)]
struct Said {
    /// Types of events, and patterns of them, such as asset.ready,task.*; all without it
    #[arg(long, value_name = "TYPES", value_delimiter = ',')]
    types: Option<Vec<String>>,
    /// For people
    #[arg(long)]
    description: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum State {
    Waiting,
    Delivered,
    Failed,
}

#[derive(Debug, Clone, Args)]
struct Redeliver {
    /// Its id
    id: WebhookId,
    /// This one, whatever became of it
    #[arg(required_unless_present = "failed", conflicts_with_all = ["failed", "since"])]
    event: Option<EventId>,
    /// All that were given up
    #[arg(long)]
    failed: bool,
    /// Only what happened at or after; RFC 3339, for example 2026-11-01T00:00:00Z
    #[arg(long, value_name = "TIME", requires = "failed")]
    since: Option<String>,
}

impl Said {
    fn body(self, url: Option<String>) -> Value {
        let types = self.types.map(|types| {
            let types = types.into_iter().filter(|of| !of.is_empty());
            Value::from(types.collect::<Vec<_>>())
        });
        let all = [
            ("url", url.map(Value::from)),
            ("types", types),
            ("description", self.description.map(Value::from)),
        ];
        let all = all.into_iter();
        all.filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect::<Map<_, _>>()
            .into()
    }
}

pub(crate) async fn run(webhooks: Webhooks) -> Result<(), Fault> {
    let (client, json) = (webhooks.server.client()?, webhooks.json);
    match webhooks.verb.unwrap_or(Verb::Ls) {
        Verb::Ls => list(&client, json).await,
        Verb::Add { url, said } => {
            let body = said.body(Some(url));
            let made = client.send_json(Method::POST, "v1/webhooks", &body).await?;
            shown_once(&made, json)
        }
        Verb::Set { id, url, said } => change(&client, id, said.body(url), json).await,
        Verb::On { id } => change(&client, id, json!({ "state": "on" }), json).await,
        Verb::Off { id } => change(&client, id, json!({ "state": "off" }), json).await,
        Verb::Rm { id } => {
            client.delete(&format!("v1/webhooks/{id}")).await?;
            output::print(&format!("{id} is removed\n"))
        }
        Verb::Test { id } => test(&client, id, json).await,
        Verb::Secret { id } => {
            let made = client.post(&format!("v1/webhooks/{id}/secret")).await?;
            shown_once(&made, json)
        }
        Verb::Deliveries {
            id,
            event: Some(event),
            ..
        } => one(&client, id, event, json).await,
        Verb::Deliveries {
            id,
            state,
            limit,
            cursor,
            ..
        } => deliveries(&client, id, (state, limit, cursor), json).await,
        Verb::Redeliver(again) => redeliver(&client, again, json).await,
    }
}

async fn list(client: &Client, json: bool) -> Result<(), Fault> {
    let found = client.get("v1/webhooks").await?;
    if json {
        return output::print_json(&found);
    }
    let all = found["webhooks"].as_array().map_or(&[][..], Vec::as_slice);
    match all.is_empty() {
        true => output::print("There are no webhooks; `mediaflow webhooks add URL` makes one.\n"),
        false => output::print(&table(all)),
    }
}

fn table(webhooks: &[Value]) -> String {
    let now = SystemEnvironment.now();
    let head = [
        "ID",
        "STATE",
        "URL",
        "TYPES",
        "WAITING",
        "DELIVERED",
        "FAILED",
        "LAST",
        "FAILING FOR",
        "LAST ERROR",
    ];
    let rows = webhooks.iter().map(|webhook| {
        let why = webhook["off_because"].as_str();
        let types = match cells::list(&webhook["types"]).as_str() {
            "-" => "all".to_owned(),
            some => some.to_owned(),
        };
        let state = cells::state(webhook["state"].as_str().unwrap_or_default());
        vec![
            cells::text(webhook, "id"),
            why.map_or(state.clone(), |why| format!("{state} ({why})")),
            cells::text(webhook, "url"),
            types,
            cells::text(webhook, "waiting"),
            cells::text(webhook, "delivered"),
            cells::bad(webhook["failed"].as_u64().unwrap_or_default()),
            cells::ago(&webhook["last_delivered_at"], now),
            cells::ago(&webhook["failing_since"], now),
            cells::clipped(&cells::text(webhook, "last_error"), ERROR_COLUMNS),
        ]
    });
    output::headed(head, rows.collect())
}

async fn change(client: &Client, id: WebhookId, body: Value, json: bool) -> Result<(), Fault> {
    let path = format!("v1/webhooks/{id}");
    let changed = client.send_json(Method::PATCH, &path, &body).await?;
    match json {
        true => output::print_json(&changed),
        false => output::print(&table(&[changed])),
    }
}

/// What has a secret in it.
fn shown_once(made: &Value, json: bool) -> Result<(), Fault> {
    if json {
        return output::print_json(made);
    }
    let secret = made["secret"].as_str().unwrap_or_default();
    let made = match made["id"].as_str() {
        Some(id) => format!("Made {id}. Try it: mediaflow webhooks test {id}\n"),
        None => "For 24 hours the secret before signs as well.\n".to_owned(),
    };
    output::print(&format!(
        "{secret}\n\nThis is the only time that the secret is shown; receivers verify signatures with it.\n{made}"
    ))
}

async fn test(client: &Client, id: WebhookId, json: bool) -> Result<(), Fault> {
    let tried = client.post(&format!("v1/webhooks/{id}/test")).await?;
    if json {
        return output::print_json(&tried);
    }
    let ms = cells::text(&tried, "ms");
    if tried["delivered"] == true {
        let status = cells::text(&tried, "status");
        return output::print(&format!("Delivered: it answers {status} after {ms} ms\n"));
    }
    let error = tried["error"].as_str().unwrap_or_default();
    let answer = match tried["answer"].as_str() {
        None | Some("") => String::new(),
        Some(answer) => format!(": {}", cells::plain(answer)),
    };
    Err(Fault::failed(format!(
        "not delivered: {} after {ms} ms{answer}",
        cells::plain(error)
    )))
}

async fn deliveries(
    client: &Client,
    id: WebhookId,
    (state, limit, cursor): (Option<State>, u32, Option<String>),
    json: bool,
) -> Result<(), Fault> {
    let state = state.and_then(|state| state.to_possible_value());
    let state = state.map(|state| state.get_name().to_owned());
    let mut query = vec![("limit", limit.to_string())];
    query.extend(state.map(|state| ("state", state)));
    query.extend(cursor.map(|cursor| ("cursor", cursor)));
    let path = format!("v1/webhooks/{id}/deliveries");
    let page = client.ask(&path, &query).await?;
    if json {
        return output::print_json(&page);
    }
    let found = page["deliveries"].as_array();
    let found = found.map_or(&[][..], Vec::as_slice);
    if found.is_empty() {
        return output::print("No delivery is like that.\n");
    }
    output::print(&delivered(found))?;
    match page["next"].as_str() {
        Some(next) => output::print(&format!("There are more: --cursor {next}\n")),
        None => Ok(()),
    }
}

fn delivered(deliveries: &[Value]) -> String {
    let head = [
        "EVENT", "TYPE", "ASSET", "STATE", "ATTEMPTS", "PLANNED", "LAST", "NEXT", "STATUS", "ERROR",
    ];
    let rows = deliveries.iter().map(|delivery| {
        vec![
            cells::text(delivery, "event"),
            cells::text(delivery, "type"),
            cells::text(delivery, "asset"),
            cells::state(delivery["state"].as_str().unwrap_or_default()),
            cells::text(delivery, "attempts"),
            cells::text(delivery, "created_at"),
            cells::text(delivery, "last_at"),
            cells::text(delivery, "next_at"),
            cells::text(delivery, "status"),
            cells::clipped(&cells::text(delivery, "error"), ERROR_COLUMNS),
        ]
    });
    output::headed(head, rows.collect())
}

/// Each attempt at one delivery, and what is sent.
async fn one(client: &Client, id: WebhookId, event: EventId, json: bool) -> Result<(), Fault> {
    let path = format!("v1/webhooks/{id}/deliveries/{event}");
    let found = client.get(&path).await?;
    if json {
        return output::print_json(&found);
    }
    let head = ["WHEN", "STATUS", "TOOK", "ERROR", "ANSWER"];
    let tries = found["tries"].as_array().into_iter().flatten();
    let rows = tries.map(|tried| {
        let took = tried["ms"].as_f64().map(|ms| ms / 1000.0);
        vec![
            cells::text(tried, "at"),
            cells::text(tried, "status"),
            cells::span(took),
            cells::text(tried, "error"),
            cells::text(tried, "answer"),
        ]
    });
    let body = serde_json::to_string_pretty(&found["body"]).map_err(Fault::failed)?;
    output::print(&format!(
        "{}\n{}\n{body}\n",
        delivered(std::slice::from_ref(&found)),
        output::headed(head, rows.collect()),
    ))
}

async fn redeliver(client: &Client, again: Redeliver, json: bool) -> Result<(), Fault> {
    let Redeliver {
        id, event, since, ..
    } = again;
    if let Some(event) = event {
        let path = format!("v1/webhooks/{id}/deliveries/{event}/redeliver");
        let delivery = client.post(&path).await?;
        return match json {
            true => output::print_json(&delivery),
            false => output::print(&delivered(&[delivery])),
        };
    }
    let path = format!("v1/webhooks/{id}/redeliver");
    let mut body = Map::from_iter([("state".to_owned(), Value::from("failed"))]);
    body.extend(since.map(|since| ("since".to_owned(), Value::from(since))));
    let body = Value::from(body);
    let mut count = 0;
    loop {
        let step = client.send_json(Method::POST, &path, &body).await?;
        count += step["count"].as_u64().unwrap_or_default();
        if step["more"] != true {
            break;
        }
    }
    match json {
        true => output::print_json(&json!({ "count": count })),
        false => output::print(&format!(
            "{} to be delivered again\n",
            cells::many(count, "event")
        )),
    }
}
