//! `mediaflow switches`: what operators turn on and off while everything runs, and who did.

use crate::cells;
use crate::client::{Client, Server};
use crate::fault::Fault;
use crate::output;
use clap::{Args, Subcommand, ValueEnum};
use mediaflow_store::Switch;
use reqwest::Method;
use serde_json::json;

#[derive(Debug, Clone, Args)]
pub(crate) struct Switches {
    #[command(flatten)]
    server: Server,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Clone, Subcommand)]
enum Verb {
    /// List all switches
    Ls {
        /// One JSON document
        #[arg(long)]
        json: bool,
    },
    /// Turn one on or off, for all processes at once
    Set {
        /// uploads, claims.image, claims.video or claims.network
        #[arg(value_parser = switch)]
        name: Switch,
        /// How it shall stand
        value: OnOff,
    },
    /// Show who changed switches and tenants' settings, and when
    History {
        /// Of one switch, or `tenant.<id>.<setting>`
        name: Option<String>,
        /// One JSON document
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OnOff {
    On,
    Off,
}

fn switch(name: &str) -> Result<Switch, String> {
    let names: Vec<_> = Switch::ALL.iter().map(|s| s.as_str()).collect();
    Switch::parse(name).ok_or_else(|| format!("switches are {}", names.join(", ")))
}

pub(crate) async fn run(switches: Switches) -> Result<(), Fault> {
    let client = switches.server.client()?;
    match switches.verb {
        Verb::Ls { json } => {
            let found = client.get("v1/switches").await?;
            if json {
                return output::print_json(&found);
            }
            let mut rows = Vec::new();
            for switch in found["switches"].as_array().into_iter().flatten() {
                let stands = if switch["on"] == true { "on" } else { "off" };
                rows.push(vec![
                    cells::text(switch, "name"),
                    cells::state(stands),
                    cells::text(switch, "meaning"),
                ]);
            }
            output::print(&output::headed(["NAME", "STANDS", "MEANING"], rows))
        }
        Verb::Set { name, value } => {
            let path = format!("v1/switches/{}", name.as_str());
            let body = json!({ "on": value == OnOff::On });
            let set = client.send_json(Method::PUT, &path, &body).await;
            set?;
            let stands = if value == OnOff::On { "on" } else { "off" };
            output::print(&format!("{} is {stands}\n", name.as_str()))
        }
        Verb::History { name, json } => history(&client, name, json).await,
    }
}

async fn history(client: &Client, name: Option<String>, json: bool) -> Result<(), Fault> {
    let query = name.map_or_else(String::new, |name| format!("?name={name}"));
    let path = format!("v1/switches/history{query}");
    let found = client.get(&path).await?;
    if json {
        return output::print_json(&found);
    }
    let mut rows = Vec::new();
    for change in found["changes"].as_array().into_iter().flatten() {
        let names = ["at", "who", "name", "from", "to"];
        rows.push(names.map(|name| cells::text(change, name)).to_vec());
    }
    output::print(&output::headed(["WHEN", "WHO", "WHAT", "FROM", "TO"], rows))
}
