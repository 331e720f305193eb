//! One end of a move: a configuration, and what it names.

use crate::cli::Place;
use crate::config::{Config, load};
use crate::data::{DATABASE, DataFolder};
use crate::fault::Fault;
use crate::stores::{open_blobs, shown};
use mediaflow_blob::Blobs;
use mediaflow_engine::SystemEnvironment;
use mediaflow_store::moving::{Installation, Premises};
use mediaflow_store::{Environment as _, StoreError};
use std::path::Path;
use std::time::Duration;

/// An installation, or a place for one.
pub(super) struct End {
    /// For people.
    pub(super) name: String,
    pub(super) config: Config,
    pub(super) data: DataFolder,
    pub(super) premises: Premises,
    pub(super) blobs: Blobs,
}

impl End {
    /// What is there, while others may work with it.
    pub(super) async fn source(place: &Path) -> Result<Self, Fault> {
        Self::open(place, false).await
    }

    /// Where something goes.
    pub(super) async fn target(place: &Path) -> Result<Self, Fault> {
        Self::open(place, true).await
    }

    async fn open(place: &Path, arrives: bool) -> Result<Self, Fault> {
        let config = config(place, arrives)?;
        let database = config.data.join(DATABASE);
        if !arrives && config.store.is_none() && !database.exists() {
            return Err(Fault::unusable(format!(
                "{} has no database: give the configuration file or the data folder of an installation",
                config.data.display()
            )));
        }
        let data = DataFolder::open(&config.data)?;
        let name = match &config.store {
            Some(url) => shown(url),
            None => data.path().display().to_string(),
        };
        let premises = match &config.store {
            Some(url) => Premises::postgres(url, &config.postgres.options(true)).await,
            None => Premises::sqlite(&data.database(), arrives, SystemEnvironment.now()),
        };
        let premises = premises.map_err(|e| Fault::unusable(format!("{name}: {e}")))?;
        let blobs = open_blobs(&config, &data).await?;
        Ok(Self {
            name,
            config,
            data,
            premises,
            blobs,
        })
    }

    /// Whether the bytes of both are at the same place.
    pub(super) fn shares_bytes(&self, other: &Self) -> bool {
        match (&self.config.blobs, &other.config.blobs) {
            (None, None) => self.data.path() == other.data.path(),
            (here, there) => {
                here == there
                    && self.config.object_store.endpoint == other.config.object_store.endpoint
            }
        }
    }

    /// A failure of its database.
    pub(super) fn failed(&self, error: StoreError) -> Fault {
        Fault::failed(format!("{}: {error}", self.name))
    }

    pub(super) async fn installation(&self) -> Result<Installation, Fault> {
        let found = self.premises.installation().await;
        found.map_err(|e| self.failed(e))
    }

    pub(super) async fn enter(&self, installation: &Installation) -> Result<(), Fault> {
        let entered = self.premises.enter(installation).await;
        entered.map_err(|e| self.failed(e))
    }

    pub(super) async fn settle(&self, patience: Duration) -> Result<(), Fault> {
        let settled = self.premises.settle(patience).await;
        settled.map_err(|e| self.failed(e))
    }

    pub(super) async fn is_empty(&self) -> Result<bool, Fault> {
        self.premises.is_empty().await.map_err(|e| self.failed(e))
    }

    pub(super) async fn running(&self) -> Result<u64, Fault> {
        self.premises.running().await.map_err(|e| self.failed(e))
    }

    pub(super) async fn under_way(&self) -> Result<(u64, u64), Fault> {
        self.premises.under_way().await.map_err(|e| self.failed(e))
    }

    pub(super) async fn forget_arrivals(&self) -> Result<(), Fault> {
        let forgotten = self.premises.forget_arrivals().await;
        forgotten.map_err(|e| self.failed(e))
    }
}

/// That of a file, or the default one around a data folder.
fn config(place: &Path, arrives: bool) -> Result<Config, Fault> {
    if place.is_file() {
        return load(&Place {
            config: Some(place.to_path_buf()),
            data: None,
        });
    }
    let is_file = place.extension().is_some_and(|e| e == "toml");
    if is_file || (!arrives && !place.is_dir()) {
        let text = format!("{}: there is no such file or folder", place.display());
        return Err(Fault::unusable(text));
    }
    Ok(Config {
        data: place.to_path_buf(),
        ..Config::default()
    })
}
