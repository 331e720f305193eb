//! `[log]`: what the server says about its work, on standard error.

mod json;

use crate::fault::Fault;
use crate::telemetry::Traces;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::io::IsTerminal as _;
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Pretty,
    /// One JSON object per line, for programs.
    Json,
}

/// `[log]`: what the server says about its work, on standard error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LogConfig {
    /// How lines look.
    pub(crate) format: LogFormat,
    /// `error`, `warn`, `info`, `debug` or `trace`, also per part: `info,mediaflow_store=debug`.
    pub(crate) level: String,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            format: LogFormat::default(),
            level: "info".to_owned(),
        }
    }
}

impl LogConfig {
    /// # Errors
    /// Names the setting and what it should be.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.filter().map(drop)
    }

    fn filter(&self) -> Result<EnvFilter, String> {
        EnvFilter::try_new(&self.level).map_err(|e| {
            format!(
                "log.level: {e}; it must be error, warn, info, debug or trace, or a list like \"info,mediaflow_store=debug\""
            )
        })
    }

    /// Begins to log and to tell of spans, for the rest of the process' life.
    ///
    /// # Errors
    /// When the level cannot be understood.
    pub(crate) fn start(&self, traces: Option<Traces>) -> Result<(), Fault> {
        let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
        let lines = match self.format {
            LogFormat::Pretty => lines
                .with_ansi(std::io::stderr().is_terminal())
                .with_target(false)
                .boxed(),
            LogFormat::Json => lines
                .fmt_fields(JsonFields::new())
                .event_format(json::Flat)
                .boxed(),
        };
        let filter = self.filter().map_err(Fault::unusable)?;
        tracing_subscriber::registry()
            .with(lines.with_filter(filter))
            .with(traces.map(Traces::layer))
            .init();
        Ok(())
    }
}
