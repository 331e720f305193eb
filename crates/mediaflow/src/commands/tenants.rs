//! `mediaflow tenants`: who shares this installation, their shares and limits.

use crate::cells;
use crate::client::Server;
use crate::fault::Fault;
use crate::output;
use clap::{Args, Subcommand};
use mediaflow_core::TenantId;
use reqwest::Method;
use serde_json::{Map, Value, json};

#[derive(Debug, Clone, Args)]
pub(crate) struct Tenants {
    #[command(flatten)]
    server: Server,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Clone, Subcommand)]
enum Verb {
    /// List all tenants
    Ls {
        /// One JSON document
        #[arg(long)]
        json: bool,
    },
    /// Make one; it uploads with a key of `mediaflow keys create --tenant`
    Create(Settings),
    /// Change one, for all processes at once
    Set {
        /// Its id, as `mediaflow tenants ls` shows it
        id: TenantId,
        #[command(flatten)]
        settings: Settings,
    },
}

#[derive(Debug, Clone, Args)]
struct Settings {
    /// For people
    #[arg(long)]
    name: Option<String>,
    /// Its share of processors beside other tenants', 1 to 1000
    #[arg(long)]
    weight: Option<u32>,
    /// Most tasks of it that run at once; `none` removes the limit
    #[arg(long, value_name = "NUMBER", value_parser = limit)]
    running_max: Option<Most>,
    /// Most of its assets that are not done; more uploads answer 429. `none` removes the limit
    #[arg(long, value_name = "NUMBER", value_parser = limit)]
    waiting_max: Option<Most>,
}

#[derive(Debug, Clone, Copy)]
struct Most(Option<u32>);

fn limit(text: &str) -> Result<Most, String> {
    match text {
        "none" => Ok(Most(None)),
        text => text
            .parse()
            .map(|most| Most(Some(most)))
            .map_err(|_| "give a number or `none`".to_owned()),
    }
}

impl Settings {
    fn body(self) -> Value {
        let mut body = Map::new();
        let mut say = |name: &str, value: Option<Value>| {
            body.extend(value.map(|value| (name.to_owned(), value)));
        };
        say("name", self.name.map(Value::from));
        say("weight", self.weight.map(Value::from));
        say("running_max", self.running_max.map(|most| json!(most.0)));
        say("waiting_max", self.waiting_max.map(|most| json!(most.0)));
        body.into()
    }
}

pub(crate) async fn run(tenants: Tenants) -> Result<(), Fault> {
    let client = tenants.server.client()?;
    let found = match tenants.verb {
        Verb::Ls { json } => {
            let found = client.get("v1/tenants").await?;
            if json {
                return output::print_json(&found);
            }
            found["tenants"].as_array().cloned().unwrap_or_default()
        }
        Verb::Create(settings) => {
            let body = settings.body();
            let made = client.send_json(Method::POST, "v1/tenants", &body);
            vec![made.await?]
        }
        Verb::Set { id, settings } => {
            let path = format!("v1/tenants/{id}");
            let body = settings.body();
            let set = client.send_json(Method::PATCH, &path, &body);
            vec![set.await?]
        }
    };
    let head = [
        "ID", "NAME", "WEIGHT", "RUNNING", "AT MOST", "WAITING", "AT MOST",
    ];
    let rows = found.iter().map(|tenant| {
        let names = [
            "id",
            "name",
            "weight",
            "running",
            "running_max",
            "waiting",
            "waiting_max",
        ];
        names.map(|name| cells::text(tenant, name)).to_vec()
    });
    output::print(&output::headed(head, rows.collect()))
}
