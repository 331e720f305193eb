//! One command, one file. The listing of this folder is what the binary can do.

pub(crate) mod assets;
pub(crate) mod capacity;
mod classifier;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod dead;
mod doctor;
pub(crate) mod events;
pub(crate) mod import;
pub(crate) mod ingest;
pub(crate) mod keys;
pub(crate) mod migrate;
pub(crate) mod migrations;
mod outpost;
pub(crate) mod plan;
pub(crate) mod queues;
pub(crate) mod recipes;
mod references;
mod said;
mod samples;
mod serve;
pub(crate) mod sign;
mod stopping;
pub(crate) mod switches;
pub(crate) mod synthetic;
pub(crate) mod tasks;
pub(crate) mod tenants;
pub(crate) mod top;
pub(crate) mod watches;
pub(crate) mod webhooks;
pub(crate) mod workers;

use crate::cli::{Cli, Command};
use crate::config::{load, read, settings};
use crate::fault::Fault;
use std::future::Future;
use std::process::ExitCode;

/// Runs the command that was asked for.
///
/// # Errors
/// What is to be said and with which exit code to end.
pub(crate) fn run(cli: Cli) -> Result<ExitCode, Fault> {
    let place = &cli.place;
    let done = match cli.command {
        Command::Serve {
            listen,
            roles,
            broker,
            events,
            queues,
            capabilities,
            cpu,
            memory,
            via,
        } => {
            let (read, file) = read(place)?;
            let mut config = read.clone();
            config.data = place.data.clone().unwrap_or(config.data);
            config.listen = listen.unwrap_or(config.listen);
            config.worker.cpu = cpu.unwrap_or(config.worker.cpu);
            config.worker.memory_bytes = memory.unwrap_or(config.worker.memory_bytes);
            config.broker = broker.or(config.broker);
            config.events.to = events.or(config.events.to);
            if !roles.is_empty() {
                config.roles = roles;
            }
            if !queues.is_empty() {
                config.worker.queues = queues;
            }
            if !capabilities.is_empty() {
                config.worker.capabilities = capabilities;
            }
            via.apply(&mut config);
            config.check().map_err(Fault::unusable)?;
            let settings = settings(&config, &read, &file);
            return serve::run(config, settings);
        }
        // Runs inside the sandbox: no configuration, no files, no threads.
        Command::DecodeHelper { args } => {
            return Ok(mediaflow_media::image::heif::helper_main(args));
        }
        Command::Ingest(ingest) => block_on(ingest::run(ingest))?,
        Command::Synthetic(synthetic) => return block_on(synthetic::run(synthetic))?,
        Command::Import(import) => block_on(import::run(import))?,
        Command::Keys { verb } => block_on(keys::run(load(place)?, verb))?,
        Command::Migrations { verb } => block_on(migrations::run(load(place)?, verb))?,
        Command::Migrate(migrate) => return block_on(migrate::run(migrate))?,
        Command::Sign(sign) => sign::run(&load(place)?, &sign),
        Command::Recipes { verb } => recipes::run(place, verb),
        Command::Plan(plan) => plan::run(place, &plan),
        Command::Capacity(capacity) => block_on(capacity::run(place, capacity))?,
        Command::Top(top) => block_on(top::run(top))?,
        Command::Assets(assets) => block_on(assets::run(assets))?,
        Command::Tasks(tasks) => block_on(tasks::run(tasks))?,
        Command::Dead(dead) => block_on(dead::run(dead))?,
        Command::Events(events) => block_on(events::run(events))?,
        Command::Workers(workers) => block_on(workers::run(workers))?,
        Command::Queues(queues) => block_on(queues::run(queues))?,
        Command::Switches(switches) => block_on(switches::run(switches))?,
        Command::Watches(watches) => block_on(watches::run(watches))?,
        Command::Webhooks(webhooks) => block_on(webhooks::run(webhooks))?,
        Command::Tenants(tenants) => block_on(tenants::run(tenants))?,
        Command::Doctor { via, fix, json } => {
            let mut config = load(place)?;
            via.apply(&mut config);
            doctor::run(&config, fix, json)
        }
        Command::Config { verb } => config::run(place, verb),
        Command::Errors => references::errors(),
        Command::Completions { shell } => completions::completions(shell),
        Command::Man(manual) => completions::manual(&manual),
        Command::Classifier { listen } => block_on(classifier::run(listen))?,
        Command::Samples { folder } => samples::run(&folder),
    };
    done.map(|()| ExitCode::SUCCESS)
}

/// Runs a command that waits for others, on a runtime of its own.
fn block_on<T>(command: impl Future<Output = T>) -> Result<T, Fault> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|e| Fault::failed(format!("no threads: {e}")))?;
    Ok(runtime.block_on(command))
}
