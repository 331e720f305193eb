//! The text formats that scrapers read.

use prometheus_client::metrics::MetricType;

/// A format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposition {
    /// `text/plain; version=0.0.4`
    Prometheus,
    /// `application/openmetrics-text; version=1.0.0`
    OpenMetrics,
}

impl Exposition {
    /// This format of a text that is OpenMetrics.
    pub(super) fn written(self, text: String) -> String {
        match self {
            Self::OpenMetrics => text,
            Self::Prometheus => classic(&text),
        }
    }
}

/// The older format names a counter with its `_total` also where it describes it, and has neither units nor an end mark.
fn classic(text: &str) -> String {
    let counter = MetricType::Counter.as_str();
    let counters: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(counter))
        .collect();
    let mut classic = String::with_capacity(text.len());
    for line in text.lines() {
        if line == "# EOF" || line.starts_with("# UNIT ") {
            continue;
        }
        let described = line
            .strip_prefix("# HELP ")
            .or_else(|| line.strip_prefix("# TYPE "));
        let name = described.and_then(|d| counters.iter().find(|name| d.starts_with(**name)));
        match name {
            Some(name) => {
                let (before, after) = line.split_at(7 + name.len() - 1);
                classic.extend([before, "_total", after]);
            }
            None => classic.push_str(line),
        }
        classic.push('\n');
    }
    classic
}
