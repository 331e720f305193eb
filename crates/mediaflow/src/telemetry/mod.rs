//! `[telemetry]`: traces, told to an OpenTelemetry collector over OTLP.
//!
//! The crates open spans with `tracing` and know nothing of OpenTelemetry. `layer.rs` makes its spans of them, `keeping.rs` decides
//! which are sent, `sending.rs` sends them.

mod keeping;
mod layer;
mod sending;

use crate::fault::Fault;
use keeping::Keeper;
use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchSpanProcessor, SpanProcessor as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// How long the last spans of a process that ends may take.
const FLUSH_MAX: Duration = Duration::from_secs(5);

/// `[telemetry]`: traces over OTLP (HTTP with protobuf). What is not set here is taken from the standard's variables: `OTEL_EXPORTER_OTLP_ENDPOINT`,
/// `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_TRACES_SAMPLER_ARG`, `OTEL_BSP_*` and the like.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TelemetryConfig {
    /// The collector, for example `http://127.0.0.1:4318`; `/v1/traces` is added where it has no path. Without it, and without
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`, there are no traces.
    pub(crate) otlp_endpoint: Option<String>,
    /// Of all traces, the share that is kept, 0 to 1; all without it. It is decided by the trace's id, so that all processes keep the
    /// same ones, if they have the same share. What failed is kept always, with what its process still knows of that trace.
    pub(crate) sample_ratio: Option<f64>,
}

impl TelemetryConfig {
    /// # Errors
    /// Names the setting and what it should be.
    pub(crate) fn check(&self) -> Result<(), String> {
        if let Some(endpoint) = &self.otlp_endpoint {
            address(endpoint)?;
        }
        match self.sample_ratio {
            Some(ratio) if !(0.0..=1.0).contains(&ratio) => {
                Err("telemetry.sample_ratio must be 0 to 1".into())
            }
            _ => Ok(()),
        }
    }

    /// Where spans are sent from now on; nowhere without a collector. Must be called inside of the runtime that sends.
    ///
    /// # Errors
    /// When the collector's address or a variable cannot be used.
    pub(crate) fn start(&self, instance: &str) -> Result<Option<Traces>, Fault> {
        let is_wanted = self.otlp_endpoint.is_some()
            || variable("OTEL_EXPORTER_OTLP_ENDPOINT").is_some()
            || variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").is_some();
        let is_off = variable("OTEL_SDK_DISABLED").is_some_and(|v| v.eq_ignore_ascii_case("true"));
        if !is_wanted || is_off {
            return Ok(None);
        }
        let endpoint = self.otlp_endpoint.as_deref().map(address).transpose();
        let exporter = sending::exporter(endpoint.map_err(Fault::unusable)?)?;
        let mut processor = BatchSpanProcessor::builder(exporter).build();
        processor.set_resource(&resource(instance));
        let keeper = Keeper::new(processor, self.ratio()?);
        Ok(Some(Traces(Arc::new(keeper))))
    }

    fn ratio(&self) -> Result<f64, Fault> {
        if let Some(ratio) = self.sample_ratio {
            return Ok(ratio);
        }
        let sampler = variable("OTEL_TRACES_SAMPLER").unwrap_or_default();
        match sampler.trim_start_matches("parentbased_") {
            "always_off" => Ok(0.0),
            "traceidratio" => {
                let text = variable("OTEL_TRACES_SAMPLER_ARG").unwrap_or_else(|| "1".into());
                let ratio = text.parse().ok().filter(|r| (0.0..=1.0).contains(r));
                ratio.ok_or_else(|| Fault::unusable("OTEL_TRACES_SAMPLER_ARG must be 0 to 1"))
            }
            _ => Ok(1.0),
        }
    }
}

/// Where spans go.
#[derive(Debug, Clone)]
pub(crate) struct Traces(Arc<Keeper>);

impl Traces {
    /// What listens to spans.
    pub(crate) fn layer<S>(self) -> impl tracing_subscriber::Layer<S>
    where
        S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
    {
        layer::SpanLayer::filtered(self.0)
    }

    /// Sends what is left. Blocks, and needs the runtime.
    pub(crate) fn flush(&self) {
        if let Err(error) = self.0.processor().shutdown_with_timeout(FLUSH_MAX) {
            tracing::warn!(%error, "the last spans were not taken by the collector");
        }
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The whole address that spans are sent to.
fn address(endpoint: &str) -> Result<String, String> {
    let wrong = || {
        format!(
            "telemetry.otlp_endpoint: `{endpoint}` must be an address like http://127.0.0.1:4318"
        )
    };
    let mut url = reqwest::Url::parse(endpoint).map_err(|_| wrong())?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(wrong());
    }
    if url.path() == "/" {
        url.set_path("/v1/traces");
    }
    Ok(url.into())
}

/// What tells this process from others.
fn resource(instance: &str) -> Resource {
    let mut resource = Resource::builder()
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attribute(KeyValue::new("service.instance.id", instance.to_owned()));
    if variable("OTEL_SERVICE_NAME").is_none() {
        resource = resource.with_service_name("mediaflow");
    }
    resource.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_is_named_with_and_without_a_path() {
        let whole = "http://collector:4318/v1/traces";
        assert_eq!(address("http://collector:4318").as_deref(), Ok(whole));
        assert_eq!(address(whole).as_deref(), Ok(whole));
        let own = "https://o.example/api/otel?x=1";
        assert_eq!(address(own).as_deref(), Ok(own));
        for bad in ["collector:4318", "ftp://x", "", "http://"] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_share_is_between_nothing_and_all() {
        for (ratio, is_ok) in [
            (0.0, true),
            (1.0, true),
            (1.1, false),
            (-0.1, false),
            (f64::NAN, false),
        ] {
            let config = TelemetryConfig {
                sample_ratio: Some(ratio),
                ..TelemetryConfig::default()
            };
            assert_eq!(config.check().is_ok(), is_ok, "{ratio}");
        }
    }
}
