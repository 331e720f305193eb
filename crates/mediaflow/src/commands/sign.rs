//! `mediaflow sign`: a URL that shows a private asset for a while. Needs the keys, no server.

use crate::config::Config;
use crate::data::DataFolder;
use crate::fault::Fault;
use crate::output;
use clap::Args;
use mediaflow_core::AssetId;
use mediaflow_engine::SystemEnvironment;
use mediaflow_store::Environment as _;
use std::time::Duration;

#[derive(Debug, Clone, Args)]
pub(crate) struct Sign {
    /// The asset
    asset: AssetId,
    /// What below it, for example `large` or `large.avif`; without it the URL ends at the asset, and all
    /// renditions can be reached below it
    rendition: Option<String>,
    /// For how long: 90s, 15m, 1h, 7d
    #[arg(long, default_value = "1h", value_parser = duration)]
    expires: Duration,
    /// What the URL begins with
    #[arg(long, value_name = "URL", env = "MEDIAFLOW_SERVER", default_value = crate::client::DEFAULT_SERVER)]
    server: String,
}

fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "give a number and s, m, h or d, for example 90s, 15m, 1h, 7d".to_owned();
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86400,
        _ => return Err(wrong()),
    };
    let count: u64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    match count.checked_mul(seconds) {
        Some(total) if (1..=366 * 86400).contains(&total) => Ok(Duration::from_secs(total)),
        _ => Err("give between 1s and 366d".to_owned()),
    }
}

pub(crate) fn run(config: &Config, sign: &Sign) -> Result<(), Fault> {
    let data = DataFolder::open(&config.data)?;
    let signer = config.delivery.open(&data)?;
    let expires = SystemEnvironment.now().after(sign.expires);
    let path = signer.path(
        sign.asset,
        sign.rendition.as_deref().unwrap_or_default(),
        expires,
    );
    output::print(&format!("{}{path}\n", sign.server.trim_end_matches('/')))
}
