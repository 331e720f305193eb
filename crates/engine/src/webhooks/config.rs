//! `[webhooks]`: addresses that tenants have told of what happens.

use crate::imports::Network;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[webhooks]`: addresses that tenants have told of what happens to their assets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WebhooksConfig {
    /// Whether anybody is told. While it is off no webhook can be made or tried; what happens meanwhile is told when it is on again,
    /// as far as it is kept.
    pub enabled: bool,
    /// Networks that may be told although they are not public, for example `["10.1.0.0/16"]`. Without them only hosts on the internet
    /// are.
    pub allow: Vec<String>,
    /// Webhooks that a tenant may have, 1 to 1000 (`limit.webhooks`, 409).
    pub count_max: u32,
    /// Deliveries at the same time, 1 to 1024; others wait, in turns between webhooks: of each up to 8, and one of a webhook that
    /// fails. A webhook that has none under way gets a place beyond these, up to as many again.
    pub concurrent_max: usize,
    /// How long a receiver may take to answer, in milliseconds, 100 to 60000.
    pub timeout_ms: u64,
    /// How long deliveries are kept, failed ones too, in days, 1 to 365.
    pub deliveries_days: u64,
}

impl Default for WebhooksConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            allow: Vec::new(),
            count_max: 20,
            concurrent_max: 64,
            timeout_ms: 15_000,
            deliveries_days: 7,
        }
    }
}

impl WebhooksConfig {
    /// # Errors
    /// Names the setting and what it should be.
    pub fn check(&self) -> Result<(), String> {
        self.networks()?;
        if !(1..=1000).contains(&self.count_max) {
            return Err("webhooks.count_max must be 1 to 1000".into());
        }
        if !(1..=1024).contains(&self.concurrent_max) {
            return Err("webhooks.concurrent_max must be 1 to 1024".into());
        }
        if !(100..=60_000).contains(&self.timeout_ms) {
            return Err("webhooks.timeout_ms must be 100 to 60000".into());
        }
        if !(1..=365).contains(&self.deliveries_days) {
            return Err("webhooks.deliveries_days must be 1 to 365".into());
        }
        Ok(())
    }

    pub(super) fn networks(&self) -> Result<Vec<Network>, String> {
        let networks = self.allow.iter().map(|text| text.parse());
        let networks: Result<_, String> = networks.collect();
        networks.map_err(|e| format!("webhooks.allow: {e}"))
    }
}
