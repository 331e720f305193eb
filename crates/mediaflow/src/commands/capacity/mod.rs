//! `mediaflow capacity`: what so many uploads a day need, the estimate that people otherwise do on paper.

mod need;
mod typical;

use crate::cells;
use crate::cli::Place;
use crate::client::Server;
use crate::config::{PricesConfig, load};
use crate::estimate::Measured;
use crate::fault::Fault;
use crate::output;
use clap::Args;
use mediaflow_core::Kind;
use mediaflow_engine::Recipes;
use need::{Need, Terms};
use serde_json::{Value, json};
use typical::{PerAsset, Typical};

#[derive(Debug, Clone, Args)]
pub(crate) struct Capacity {
    /// Uploads in a day
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..=10_000_000_000))]
    uploads_per_day: u64,
    /// Parts of each kind, for example image=90,video=9,audio=1
    #[arg(long, value_name = "KIND=PARTS,...", default_value = "image=1", value_parser = mix)]
    mix: Mix,
    /// How many times the average comes in the busiest hours
    #[arg(long, value_name = "FACTOR", default_value_t = 3.0, value_parser = within::<1, 1000>)]
    peak_factor: f64,
    /// Share of their time that slots may be busy at the peak, in percent; what is left takes in what nobody foresaw
    #[arg(long, value_name = "PERCENT", default_value_t = 70.0, value_parser = within::<1, 100>)]
    busy: f64,
    /// Slots of one worker
    #[arg(long, value_name = "NUMBER", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1024))]
    slots_per_worker: u32,
    /// Days that everything is kept
    #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    keep_days: u32,
    /// How often each upload is looked at, all in all
    #[arg(long, value_name = "NUMBER", default_value_t = 20.0, value_parser = within::<0, 1_000_000>)]
    views: f64,
    #[command(flatten)]
    typical: Typical,
    #[command(flatten)]
    server: Server,
    /// Ask no server: use stated costs alone
    #[arg(long)]
    offline: bool,
    /// One JSON document
    #[arg(long)]
    json: bool,
}

/// Parts of each kind.
#[derive(Debug, Clone)]
struct Mix(Vec<(Kind, f64)>);

fn mix(text: &str) -> Result<Mix, String> {
    let wrong =
        || "give parts of image, video and audio, for example image=90,video=9,audio=1".to_owned();
    let mut parts: Vec<(Kind, f64)> = Vec::new();
    for part in text.split(',') {
        let (kind, number) = part.split_once('=').ok_or_else(wrong)?;
        let kind = Kind::parse(kind.trim()).ok_or_else(wrong)?;
        let number: f64 = number.trim().parse().map_err(|_| wrong())?;
        if !(0.0..=1e9).contains(&number) || parts.iter().any(|(k, _)| *k == kind) {
            return Err(wrong());
        }
        parts.push((kind, number));
    }
    match parts.iter().map(|(_, n)| n).sum::<f64>() > 0.0 {
        true => Ok(Mix(parts)),
        false => Err(wrong()),
    }
}

fn within<const LEAST: u32, const MOST: u32>(text: &str) -> Result<f64, String> {
    let number: Option<f64> = text.parse().ok();
    let range = f64::from(LEAST)..=f64::from(MOST);
    let number = number.filter(|number| range.contains(number));
    number.ok_or_else(|| format!("give a number from {LEAST} to {MOST}"))
}

pub(crate) async fn run(place: &Place, capacity: Capacity) -> Result<(), Fault> {
    let config = load(place)?;
    let recipes = Recipes::load(config.recipes.folder.as_deref()).map_err(Fault::unusable)?;
    let parts: f64 = capacity.mix.0.iter().map(|(_, part)| part).sum();
    let mut kinds = Vec::new();
    let mut unasked = None;
    for &(kind, part) in &capacity.mix.0 {
        let recipe = recipes
            .find(None, kind)
            .ok_or_else(|| Fault::unusable(format!("there is no recipe `{}`", kind.as_str())))?;
        let measured = match capacity.offline {
            true => Measured::default(),
            false => match Measured::ask(&capacity.server.client()?, &recipe).await {
                Ok(measured) => measured,
                Err(trouble) => {
                    unasked = Some(trouble.to_string());
                    Measured::default()
                }
            },
        };
        let each = PerAsset::of(&recipe, &capacity.typical, &measured);
        kinds.push((kind, part / parts * capacity.uploads_per_day as f64, each));
    }
    let terms = Terms {
        peak_factor: capacity.peak_factor,
        busy: capacity.busy / 100.0,
        slots_per_worker: capacity.slots_per_worker,
        keep_days: capacity.keep_days,
        views: capacity.views,
    };
    let need = Need::of(&kinds, &terms);
    match capacity.json {
        true => output::print_json(&document(&capacity, &kinds, &need, &config.prices)),
        false => output::print(&words(&capacity, &kinds, &need, &config.prices, unasked)),
    }
}

type Kinds = [(Kind, f64, PerAsset)];

fn words(
    capacity: &Capacity,
    kinds: &Kinds,
    need: &Need,
    prices: &PricesConfig,
    unasked: Option<String>,
) -> String {
    let said = kinds
        .iter()
        .map(|(kind, a_day, _)| format!("{} {}", number(*a_day), several(*kind)));
    let mut text = format!(
        "{} uploads a day: {}; at the peak {} times as many\n\n",
        number(capacity.uploads_per_day as f64),
        said.collect::<Vec<_>>().join(", "),
        capacity.peak_factor
    );
    let row = |name: &str, day: String, peak: String| vec![name.to_owned(), day, peak];
    let each =
        |per_day: f64, peak: f64, unit: &str| (number(per_day), format!("{} {unit}", number(peak)));
    let (requests, requests_peak) = each(need.requests_day, need.requests_peak, "a second");
    let (tasks, tasks_peak) = each(need.tasks_day, need.tasks_peak, "a second");
    let rows = vec![
        row("requests", requests, requests_peak),
        row("tasks", tasks, tasks_peak),
        row(
            "media work",
            format!("{} processor hours", number(need.cpu_seconds_day / 3600.0)),
            format!("{} processors busy", number(need.cpu_peak)),
        ),
        row(
            "API and store",
            format!(
                "{} processor hours",
                number(need.api_cpu_seconds_day / 3600.0)
            ),
            format!("{} processors busy", number(need.api_cpu_peak)),
        ),
        row(
            "received",
            cells::bytes(need.received_day as u64),
            bits(need.received_peak),
        ),
        row(
            "stored",
            cells::bytes(need.stored_day as u64),
            String::new(),
        ),
        row(
            "egress",
            cells::bytes(need.egress_day as u64),
            bits(need.egress_peak),
        ),
    ];
    text.push_str(&output::headed(["", "A DAY", "AT THE PEAK"], rows));
    text.push_str(&format!(
        "\nworkers   {} of {} slots: {} slots, {} % busy at the peak\nstorage   {} after {} days\n",
        need.workers,
        capacity.slots_per_worker,
        need.workers * u64::from(capacity.slots_per_worker),
        capacity.busy,
        cells::bytes(need.stored_all as u64),
        capacity.keep_days
    ));
    text.push_str(&need.store_advice());
    for (name, cost) in need.costs(prices) {
        text.push_str(&format!("{name:<9} {} a month\n", prices.amount(cost)));
    }
    text.push_str("\nAssumed\n");
    for line in assumed(capacity, kinds, unasked, need.costs(prices).is_empty()) {
        text.push_str(&format!("- {line}\n"));
    }
    text
}

/// Everything that the figures stand on and that may be otherwise.
fn assumed(
    capacity: &Capacity,
    kinds: &Kinds,
    unasked: Option<String>,
    has_no_prices: bool,
) -> Vec<String> {
    let mut lines: Vec<String> = kinds
        .iter()
        .map(|(kind, _, each)| {
            format!(
                "{}: {}; {} tasks, {:.1} s of processor time, {} made ({}); {} and {} for each view",
                kind.as_str(),
                each.what,
                number(each.tasks),
                each.cpu_seconds,
                cells::bytes(each.made_bytes as u64),
                each.basis.words(),
                cells::many(each.requests_view as u64, "request"),
                cells::bytes(each.bytes_view as u64)
            )
        })
        .collect();
    lines.extend([
        format!(
            "each upload is one request, and is looked at {} times; all readers come as uploads do, {} times the average at the peak",
            capacity.views, capacity.peak_factor
        ),
        "no cache stands before the server: a CDN takes most requests and egress away from it".to_owned(),
        "no bytes come twice, nothing fails, nothing is processed again".to_owned(),
        format!(
            "beside media work an asset costs {} ms, a delivery {} ms of processor time (bench/README.md)",
            crate::estimate::CPU_MS_AROUND_ASSET,
            crate::estimate::CPU_MS_PER_DELIVERY
        ),
        "measured processor time is how long tasks held a slot: on a busy machine that is more".to_owned(),
    ]);
    lines.extend(unasked.map(|why| format!("nothing is measured, no server was asked: {why}")));
    if has_no_prices {
        lines.push("for costs, set [prices] in the configuration".to_owned());
    }
    lines
}

fn document(capacity: &Capacity, kinds: &Kinds, need: &Need, prices: &PricesConfig) -> Value {
    let kinds = kinds.iter().map(|(kind, a_day, each)| {
        json!({
            "kind": kind.as_str(), "uploads_day": a_day, "assumed": each.what, "from": each.basis.words(),
            "tasks": each.tasks, "cpu_seconds": each.cpu_seconds, "original_bytes": each.original_bytes,
            "made_bytes": each.made_bytes, "requests_view": each.requests_view, "bytes_view": each.bytes_view,
        })
    });
    let costs = need.costs(prices);
    let costs: serde_json::Map<String, Value> = costs
        .into_iter()
        .map(|(name, cost)| (name.to_owned(), cost.into()))
        .collect();
    json!({
        "uploads_day": capacity.uploads_per_day,
        "kinds": kinds.collect::<Vec<_>>(),
        "assumed": {
            "peak_factor": capacity.peak_factor, "busy_percent": capacity.busy, "keep_days": capacity.keep_days,
            "views": capacity.views, "slots_per_worker": capacity.slots_per_worker,
        },
        "day": {
            "requests": need.requests_day, "tasks": need.tasks_day, "cpu_seconds": need.cpu_seconds_day,
            "api_cpu_seconds": need.api_cpu_seconds_day, "received_bytes": need.received_day,
            "stored_bytes": need.stored_day, "egress_bytes": need.egress_day,
        },
        "peak": {
            "requests_per_second": need.requests_peak, "tasks_per_second": need.tasks_peak,
            "processors": need.cpu_peak, "api_processors": need.api_cpu_peak,
            "received_bytes_per_second": need.received_peak, "egress_bytes_per_second": need.egress_peak,
        },
        "workers": need.workers,
        "stored_bytes": need.stored_all,
        "currency": prices.currency,
        "costs_month": costs,
    })
}

fn several(kind: Kind) -> &'static str {
    match kind {
        Kind::Image => "images",
        Kind::Video => "videos",
        Kind::Audio => "recordings",
    }
}

/// A count as people read it: with commas, and digits behind the point only where there are few before it. Little is not nothing.
fn number(value: f64) -> String {
    if 0.0 < value && value < 0.01 {
        return "under 0.01".to_owned();
    }
    if value < 9.995 {
        let text = format!("{value:.2}");
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    let digits = format!("{:.0}", value.ceil());
    let mut text = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn bits(bytes_per_second: f64) -> String {
    let bits = bytes_per_second * 8.0;
    match bits {
        _ if bits < 1e6 => format!("{:.0} kbit/s", bits / 1e3),
        _ if bits < 1e9 => format!("{:.1} Mbit/s", bits / 1e6),
        _ => format!("{:.1} Gbit/s", bits / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::{bits, mix, number};

    #[test]
    fn mixes_are_read_or_explained() {
        assert_eq!(mix("image=90, video=9,audio=1").map(|m| m.0.len()), Ok(3));
        for bad in [
            "",
            "image",
            "image=x",
            "book=1",
            "image=-1",
            "image=0",
            "image=1,image=2",
        ] {
            assert!(mix(bad).is_err_and(|e| e.contains("image=90")), "{bad}");
        }
    }

    #[test]
    fn numbers_are_readable() {
        assert_eq!(
            [1_234_567.0, 999.2, 34.7, 0.25, 8.0, 3.004, 9.998].map(number),
            ["1,234,567", "1,000", "35", "0.25", "8", "3", "10"]
        );
        assert_eq!(
            [0.0, 0.000_03, 0.01].map(number),
            ["0", "under 0.01", "0.01"]
        );
        assert_eq!(bits(125_000.0), "1.0 Mbit/s");
    }
}
