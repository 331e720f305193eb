//! What was seen, as metrics: at an address of its own, or as a file that another exporter reads.

use super::{Media, Round};
use crate::fault::Fault;
use axum::Router;
use axum::routing::get;
use mediaflow_engine::SystemEnvironment;
use mediaflow_store::Environment as _;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Shared with whoever scrapes.
#[derive(Debug, Clone)]
pub(super) struct Export(Arc<Mutex<Vec<Told>>>);

/// What is told of one kind of media.
#[derive(Debug)]
struct Told {
    media: Media,
    succeeded: u64,
    failed: u64,
    is_up: bool,
    last_success_ms: i64,
    accepted: Option<Duration>,
    viewable: Option<Duration>,
    ready: Option<Duration>,
}

impl Export {
    pub(super) fn new(media: &[Media]) -> Self {
        let told = media.iter().map(|media| Told {
            media: *media,
            succeeded: 0,
            failed: 0,
            is_up: false,
            last_success_ms: 0,
            accepted: None,
            viewable: None,
            ready: None,
        });
        Self(Arc::new(Mutex::new(told.collect())))
    }

    /// The newest round of its kind.
    pub(super) fn note(&self, round: &Round) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for told in all.iter_mut().filter(|told| told.media == round.media) {
            told.is_up = round.trouble.is_none();
            match told.is_up {
                true => {
                    told.succeeded += 1;
                    told.last_success_ms = SystemEnvironment.now().0;
                }
                false => told.failed += 1,
            }
            (told.accepted, told.viewable, told.ready) =
                (round.accepted, round.viewable, round.ready);
        }
    }

    /// Serves them from now on; answers where.
    pub(super) async fn serve(&self, listen: SocketAddr) -> Result<SocketAddr, Fault> {
        let listener = tokio::net::TcpListener::bind(listen).await;
        let listener =
            listener.map_err(|e| Fault::failed(format!("cannot listen on {listen}: {e}")))?;
        let address = listener.local_addr().map_err(Fault::failed)?;
        let told = self.clone();
        let metrics = move || std::future::ready(told.text());
        let routes = Router::new().route("/metrics", get(metrics));
        let forever = tokio_util::sync::CancellationToken::new();
        tokio::spawn(crate::http::serve(
            listener,
            routes,
            Duration::from_secs(10),
            forever,
        ));
        Ok(address)
    }

    /// Writes them so that a reader sees the old or the new file, and never half of one.
    pub(super) fn write(&self, file: &Path) -> Result<(), Fault> {
        let wrong = |e| Fault::failed(format!("{}: {e}", file.display()));
        let beside = file.with_extension("new");
        std::fs::write(&beside, self.text()).map_err(wrong)?;
        std::fs::rename(&beside, file).map_err(wrong)
    }

    fn text(&self) -> String {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        let mut family =
            |name: &str, kind: &str, help: &str, samples: &dyn Fn(&Told) -> Vec<(String, f64)>| {
                let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
                for told in all.iter() {
                    for (labels, value) in samples(told) {
                        let media = told.media.as_str();
                        let _ = writeln!(text, "{name}{{media=\"{media}\"{labels}}} {value}");
                    }
                }
            };
        let alone = |value: f64| vec![(String::new(), value)];
        family(
            "mediaflow_synthetic_up",
            "gauge",
            "1 when the last one came through, in time and whole.",
            &|told| alone(f64::from(u8::from(told.is_up))),
        );
        family(
            "mediaflow_synthetic_rounds_total",
            "counter",
            "Known media that was sent, by what became of it.",
            &|told| {
                let outcome = |name, times: u64| (format!(",outcome=\"{name}\""), times as f64);
                vec![
                    outcome("succeeded", told.succeeded),
                    outcome("failed", told.failed),
                ]
            },
        );
        family(
            "mediaflow_synthetic_last_success_timestamp_seconds",
            "gauge",
            "When one came through last, in seconds since 1970; 0 before the first.",
            &|told| alone(told.last_success_ms as f64 / 1000.0),
        );
        family(
            "mediaflow_synthetic_duration_seconds",
            "gauge",
            "What the last one took: until it was accepted, and from then on until it was viewable and ready.",
            &|told| {
                let phases = [
                    ("accepted", told.accepted),
                    ("viewable", told.viewable),
                    ("ready", told.ready),
                ];
                let known = phases
                    .into_iter()
                    .filter_map(|(name, time)| Some((name, time?)));
                let sample = |(name, time): (&str, Duration)| {
                    (format!(",phase=\"{name}\""), time.as_secs_f64())
                };
                known.map(sample).collect()
            },
        );
        text
    }
}
