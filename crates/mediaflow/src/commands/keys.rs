//! `mediaflow keys`: who may use the API. Works on the data folder, whether a server runs on it or not.

use crate::admin::{self, KeyAnswer, KeyRequest};
use crate::config::Config;
use crate::data::DataFolder;
use crate::fault::Fault;
use crate::output;
use crate::stores::open_store;
use clap::{Args, Subcommand};
use mediaflow_core::{KeyId, TenantId};
use mediaflow_engine::{SystemEnvironment, is_type};
use mediaflow_store::{KeyLimits, Scope, SqliteStore, StoreError};
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
        #[command(flatten)]
        limits: LimitArgs,
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
    /// Say anew what uploads with a key may be; without any option they are limited like all
    Limit {
        /// Its id, as `mediaflow keys ls` shows it
        id: KeyId,
        #[command(flatten)]
        limits: LimitArgs,
    },
    /// End a key at once
    Revoke {
        /// Its id, as `mediaflow keys ls` shows it
        id: KeyId,
    },
}

/// What uploads with a key may be, beside `[limits.upload]`
#[derive(Debug, Clone, Args)]
pub(crate) struct LimitArgs {
    /// Most bytes of one file (413)
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(1..))]
    file_bytes: Option<u64>,
    /// What files may be, such as image/jpeg or video/*, separated by commas (415)
    #[arg(long, value_name = "TYPES", value_delimiter = ',', value_parser = media_type)]
    types: Vec<String>,
    /// Most uploads over several requests that are open (429)
    #[arg(long, value_name = "NUMBER")]
    open: Option<u32>,
    /// Most bytes in a day, from midnight to midnight in UTC (429)
    #[arg(long, value_name = "BYTES")]
    day_bytes: Option<u64>,
    /// Most files in a day (429)
    #[arg(long, value_name = "NUMBER")]
    day_files: Option<u64>,
}

impl From<LimitArgs> for KeyLimits {
    fn from(args: LimitArgs) -> Self {
        Self {
            file_bytes_max: args.file_bytes,
            types: args.types,
            open_max: args.open,
            day_bytes_max: args.day_bytes,
            day_files_max: args.day_files,
        }
    }
}

fn media_type(text: &str) -> Result<String, String> {
    match is_type(text) {
        true => Ok(text.to_owned()),
        false => Err("types are like image/jpeg or video/*".into()),
    }
}

/// As the options that say them.
fn shown(limits: &KeyLimits) -> String {
    let number = |name: &str, value: Option<u64>| value.map(|value| format!("{name} {value}"));
    let types = (!limits.types.is_empty()).then(|| format!("types {}", limits.types.join(",")));
    let all = [
        number("file-bytes", limits.file_bytes_max),
        types,
        number("open", limits.open_max.map(u64::from)),
        number("day-bytes", limits.day_bytes_max),
        number("day-files", limits.day_files_max),
    ];
    let all: Vec<String> = all.into_iter().flatten().collect();
    match all.is_empty() {
        true => "-".into(),
        false => all.join("; "),
    }
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
            limits,
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
                limits: limits.into(),
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
                let head = [
                    "ID", "NAME", "TENANT", "SCOPES", "LIMITS", "CREATED", "REVOKED",
                ];
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
                        shown(&key.limits),
                        key.created_at,
                        key.revoked_at.unwrap_or_else(|| "-".to_owned()),
                    ]
                }));
                output::print(&output::table(&rows, ""))
            }
            other => Err(unexpected(other)),
        },
        Verb::Limit { id, limits } => {
            let limits: KeyLimits = limits.into();
            let text = shown(&limits);
            match ask(&config, &data, KeyRequest::Limit { id, limits }).await? {
                KeyAnswer::Limited(true) if text == "-" => {
                    output::print(&format!("{id} has no limits of its own\n"))
                }
                KeyAnswer::Limited(true) => output::print(&format!("{id} has {text}\n")),
                KeyAnswer::Limited(false) => Err(Fault::failed(format!(
                    "there is no key {id}; see `mediaflow keys ls`"
                ))),
                other => Err(unexpected(other)),
            }
        }
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
