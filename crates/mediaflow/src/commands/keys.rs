//! `mediaflow keys`: who may use the API. Works on the data folder, whether a server runs on it or not.

use crate::admin::{self, KeyAnswer, KeyRequest};
use crate::config::Config;
use crate::data::DataFolder;
use crate::fault::Fault;
use crate::output;
use crate::stores::open_store;
use clap::Subcommand;
use mediaflow_core::{KeyId, TenantId};
use mediaflow_engine::SystemEnvironment;
use mediaflow_store::{Scope, SqliteStore, StoreError};
use std::sync::Arc;

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Verb {
    /// Make a key. It is shown once
    Create {
        /// For people: who or what uses it
        #[arg(long)]
        name: String,
        /// What it may do: ingest, read, moderate, admin (all of these), or worker alone (`serve --role worker --via`)
        #[arg(long, alias = "scope", value_delimiter = ',', required = true, value_parser = scope)]
        scopes: Vec<Scope>,
        /// Whose it is, as `mediaflow tenants ls` shows it; the operator's own without it
        #[arg(long, value_name = "ID", default_value_t = TenantId::DEFAULT, hide_default_value = true)]
        tenant: TenantId,
        /// Print the key only, for scripts
        #[arg(long)]
        quiet: bool,
    },
    /// List all keys, revoked ones included; secrets are not kept
    Ls {
        /// One JSON document
        #[arg(long)]
        json: bool,
    },
    /// End a key at once
    Revoke {
        /// Its id, as `mediaflow keys ls` shows it
        id: KeyId,
    },
}

fn scope(name: &str) -> Result<Scope, String> {
    let names: Vec<_> = Scope::ALL.iter().map(|s| s.as_str()).collect();
    Scope::parse(name).ok_or_else(|| format!("scopes are {}", names.join(", ")))
}

pub(crate) async fn run(config: Config, verb: Verb) -> Result<(), Fault> {
    let data = DataFolder::open(&config.data)?;
    match verb {
        Verb::Create {
            name,
            mut scopes,
            tenant,
            quiet,
        } => {
            scopes.sort();
            scopes.dedup();
            if scopes.contains(&Scope::Worker) && scopes.len() > 1 {
                return Err(Fault::unusable(
                    "a worker's key does nothing else: give it the scope `worker` alone, and make another key for the rest",
                ));
            }
            let request = KeyRequest::Create {
                name,
                scopes,
                tenant,
            };
            match ask(&config, &data, request).await? {
                KeyAnswer::Created { token, .. } if quiet => output::print(&format!("{token}\n")),
                KeyAnswer::Created { id, token } => output::print(&format!(
                    "{token}\n\nThis is the only time that the key is shown. Use it as `Authorization: Bearer ...`, or\n  \
                     export MEDIAFLOW_API_KEY={token}\nIt ends with: mediaflow keys revoke {id}\n"
                )),
                other => Err(unexpected(other)),
            }
        }
        Verb::Ls { json } => match ask(&config, &data, KeyRequest::List).await? {
            KeyAnswer::Keys(keys) if json => {
                let text = serde_json::to_string_pretty(&keys).map_err(Fault::failed)?;
                output::print(&format!("{text}\n"))
            }
            KeyAnswer::Keys(keys) if keys.is_empty() => output::print(
                "There are no keys; make one with `mediaflow keys create --name me --scopes admin`.\n",
            ),
            KeyAnswer::Keys(keys) => {
                let head = ["ID", "NAME", "TENANT", "SCOPES", "CREATED", "REVOKED"];
                let mut rows = vec![head.map(str::to_owned).to_vec()];
                rows.extend(keys.into_iter().map(|key| {
                    let scopes: Vec<_> = key.scopes.iter().map(|s| s.as_str()).collect();
                    vec![
                        key.id.to_string(),
                        key.name,
                        match key.tenant == TenantId::DEFAULT {
                            true => "-".to_owned(),
                            false => key.tenant.to_string(),
                        },
                        scopes.join(","),
                        key.created_at,
                        key.revoked_at.unwrap_or_else(|| "-".to_owned()),
                    ]
                }));
                output::print(&output::table(&rows, ""))
            }
            other => Err(unexpected(other)),
        },
        Verb::Revoke { id } => match ask(&config, &data, KeyRequest::Revoke { id }).await? {
            KeyAnswer::Revoked(true) => output::print(&format!("{id} is revoked\n")),
            KeyAnswer::Revoked(false) => Err(Fault::failed(format!(
                "there is no live key {id}; see `mediaflow keys ls`"
            ))),
            other => Err(unexpected(other)),
        },
    }
}

/// By the store itself where it is free, else by the server that has it open.
async fn ask(config: &Config, data: &DataFolder, request: KeyRequest) -> Result<KeyAnswer, Fault> {
    if config.store.is_some() {
        let store = open_store(config, data, Arc::new(SystemEnvironment)).await?;
        return Ok(admin::perform(&*store, request).await);
    }
    let (path, environment) = (data.database(), Arc::new(SystemEnvironment));
    let opened = tokio::task::spawn_blocking(move || SqliteStore::open(&path, environment)).await;
    match opened.map_err(Fault::failed)? {
        Ok(store) => Ok(admin::perform(&store, request).await),
        Err(StoreError::Locked(_)) => admin::ask(data, &request).await.map_err(|e| {
            Fault::failed(format!(
                "a server uses {} and does not answer there: {e}",
                data.path().display()
            ))
        }),
        Err(e) => Err(Fault::failed(e)),
    }
}

fn unexpected(answer: KeyAnswer) -> Fault {
    match answer {
        KeyAnswer::Refused(reason) => Fault::failed(reason),
        _ => Fault::failed("the server is of another version; restart it"),
    }
}
