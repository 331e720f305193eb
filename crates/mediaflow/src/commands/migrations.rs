//! `mediaflow migrations`: which steps the database's schema has taken, and which it still has to.

use crate::config::Config;
use crate::data::{DATABASE, DataFolder};
use crate::fault::Fault;
use crate::output;
use crate::stores::shown;
use clap::Subcommand;
use mediaflow_engine::SystemEnvironment;
use mediaflow_store::{
    Environment as _, MigrationRecord, MigrationState, PostgresStore, SqliteStore, StoreError,
};

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Verb {
    /// List all steps, and when each was applied
    Ls,
    /// Apply what is pending, also what older programs cannot work with any more
    Apply,
}

pub(crate) async fn run(config: Config, verb: Option<Verb>) -> Result<(), Fault> {
    match verb.unwrap_or(Verb::Ls) {
        Verb::Ls => list(&config).await,
        Verb::Apply => {
            let applied = apply(&config).await?;
            output::print(&format!("{}\n", said(applied)))
        }
    }
}

async fn list(config: &Config) -> Result<(), Fault> {
    let records = records(config).await?;
    let head = ["STEP", "NAME", "STATE", "APPLIED"].map(str::to_owned);
    let rows = std::iter::once(head.to_vec()).chain(records.iter().map(line));
    output::print(&output::table(&rows.collect::<Vec<_>>(), ""))
}

/// Every step, whether it was applied or not.
pub(super) async fn records(config: &Config) -> Result<Vec<MigrationRecord>, Fault> {
    match &config.store {
        Some(url) => PostgresStore::migrations(url, &config.postgres.options(true))
            .await
            .map_err(named(shown(url))),
        None => {
            let path = config.data.join(DATABASE);
            SqliteStore::migrations(&path).map_err(named(path.display().to_string()))
        }
    }
}

fn line(record: &MigrationRecord) -> Vec<String> {
    let (state, unknown) = match record.state {
        MigrationState::Applied => ("applied", "by an older release"),
        MigrationState::Pending => ("pending", "-"),
        MigrationState::Newer => ("newer than this program", "-"),
    };
    let at = record.applied_at.map(|at| at.to_string());
    vec![
        record.number.to_string(),
        record.name.clone(),
        state.to_owned(),
        at.unwrap_or_else(|| unknown.to_owned()),
    ]
}

/// Applies what is pending; answers how many steps that were.
pub(super) async fn apply(config: &Config) -> Result<usize, Fault> {
    match &config.store {
        Some(url) => PostgresStore::migrate(url, &config.postgres.options(true))
            .await
            .map_err(named(shown(url))),
        None => {
            let path = DataFolder::open(&config.data)?.database();
            SqliteStore::migrate(&path, SystemEnvironment.now())
                .map_err(named(path.display().to_string()))
        }
    }
}

/// What [`apply`] did.
pub(super) fn said(applied: usize) -> String {
    match applied {
        0 => "nothing was pending".to_owned(),
        1 => "1 step was applied".to_owned(),
        n => format!("{n} steps were applied"),
    }
}

fn named(place: String) -> impl FnOnce(StoreError) -> Fault {
    move |error| Fault::failed(format!("{place}: {error}"))
}
