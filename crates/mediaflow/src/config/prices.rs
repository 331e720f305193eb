//! `[prices]`: what your provider charges, for `mediaflow plan` and `mediaflow capacity`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[prices]`: what your provider charges. Only `mediaflow plan` and `mediaflow capacity` read it; without a price they name no
/// cost of that kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct PricesConfig {
    /// The currency of all prices, as it is to be printed.
    pub(crate) currency: String,
    /// One processor for an hour.
    pub(crate) cpu_hour: Option<f64>,
    /// 1,000,000,000 bytes kept for a month.
    pub(crate) storage_gb_month: Option<f64>,
    /// 1,000,000,000 bytes sent to readers.
    pub(crate) egress_gb: Option<f64>,
    /// A million requests.
    pub(crate) requests_million: Option<f64>,
}

impl Default for PricesConfig {
    fn default() -> Self {
        Self {
            currency: "USD".to_owned(),
            cpu_hour: None,
            storage_gb_month: None,
            egress_gb: None,
            requests_million: None,
        }
    }
}

impl PricesConfig {
    pub(super) fn check(&self) -> Result<(), String> {
        if !(1..=8).contains(&self.currency.chars().count()) {
            return Err("prices.currency must have 1 to 8 letters, for example \"EUR\"".into());
        }
        let prices = [
            ("cpu_hour", self.cpu_hour),
            ("storage_gb_month", self.storage_gb_month),
            ("egress_gb", self.egress_gb),
            ("requests_million", self.requests_million),
        ];
        for (name, price) in prices {
            if price.is_some_and(|price| !(0.0..=1e6).contains(&price)) {
                return Err(format!("prices.{name} must be 0 to 1000000"));
            }
        }
        Ok(())
    }

    /// An amount of the currency, with as many digits as it needs to say something.
    pub(crate) fn amount(&self, amount: f64) -> String {
        let digits = match amount {
            _ if amount >= 100.0 || amount == 0.0 => 0,
            _ if amount >= 0.01 => 2,
            _ => 6,
        };
        format!("{amount:.digits$} {}", self.currency)
    }
}
