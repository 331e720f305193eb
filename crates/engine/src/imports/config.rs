//! `[ingest]`: files that MediaFlow fetches itself.

use super::Network;
use crate::{HookConfig, StorageEventsConfig, WatchConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[ingest]`: ways in beside uploads.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct IngestConfig {
    /// Imports by address.
    pub import: ImportConfig,
    /// Folders whose files become assets.
    pub watch: Vec<WatchConfig>,
    /// Buckets of others whose new objects become assets.
    pub events: Vec<StorageEventsConfig>,
    /// Who is asked before a file becomes an asset.
    pub hook: HookConfig,
}

/// `[ingest.import]`: what `POST /v1/assets/import` may fetch, and how patiently.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ImportConfig {
    /// Networks that may be fetched from although they are not public, for example `["10.1.0.0/16"]`. Without them only hosts on
    /// the internet are.
    pub allow: Vec<String>,
    /// Ports that may be connected to.
    pub ports: Vec<u16>,
    /// Whether a redirect from an https to an http address is followed, so that the file comes over a connection that anybody on the
    /// way can read and change.
    pub downgrade: bool,
    /// Imports at the same time, 1 to 256; others wait, in turns between tenants. A tenant that has none at work gets a place beyond
    /// these, up to as many again.
    pub concurrent_max: usize,
    /// Tries in a row that bring nothing, after which an import is given up, 1 to 100. The pauses between them grow from a second to
    /// five minutes.
    pub tries_max: u32,
    /// How long an import may take with all of its tries, in hours, 1 to 720.
    pub hours_max: u64,
}

impl Default for ImportConfig {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            ports: vec![80, 443],
            downgrade: false,
            concurrent_max: 8,
            tries_max: 20,
            hours_max: 24,
        }
    }
}

impl ImportConfig {
    /// # Errors
    /// Names the setting and what it should be.
    pub fn check(&self) -> Result<(), String> {
        self.networks()?;
        if self.ports.contains(&0) {
            return Err("ingest.import.ports must be 1 to 65535".into());
        }
        if !(1..=256).contains(&self.concurrent_max) {
            return Err("ingest.import.concurrent_max must be 1 to 256".into());
        }
        if !(1..=100).contains(&self.tries_max) {
            return Err("ingest.import.tries_max must be 1 to 100".into());
        }
        if !(1..=720).contains(&self.hours_max) {
            return Err("ingest.import.hours_max must be 1 to 720".into());
        }
        Ok(())
    }

    pub(super) fn networks(&self) -> Result<Vec<Network>, String> {
        let networks = self.allow.iter().map(|text| text.parse());
        let networks: Result<_, String> = networks.collect();
        networks.map_err(|e| format!("ingest.import.allow: {e}"))
    }
}

impl IngestConfig {
    /// # Errors
    /// Names the setting and what it should be.
    pub fn check(&self) -> Result<(), String> {
        self.import.check()?;
        self.hook.check()?;
        for (index, watch) in self.watch.iter().enumerate() {
            watch.check()?;
            if self.watch[..index]
                .iter()
                .any(|other| other.name == watch.name)
            {
                return Err(format!("ingest.watch.name `{}` is there twice", watch.name));
            }
        }
        for (index, events) in self.events.iter().enumerate() {
            events.check()?;
            let others = &self.events[..index];
            if others.iter().any(|other| other.name == events.name) {
                return Err(format!(
                    "ingest.events.name `{}` is there twice",
                    events.name
                ));
            }
            if others
                .iter()
                .any(|other| other.token.is_some() && other.token == events.token)
            {
                return Err(format!(
                    "ingest.events.token of `{}` is another one's too",
                    events.name
                ));
            }
        }
        Ok(())
    }
}
