//! `mediaflow serve --role worker --via ...`: a worker on a network of its own. It has no store, no blobs and no secrets but
//! its key; what it needs it asks the API for.

use super::serve::{bind, decoder, ffmpeg, raise_open_files, worker_name};
use super::stopping::{DRAIN, Signals, until_stopped};
use crate::config::Config;
use crate::data::DataFolder;
use crate::fault::Fault;
use crate::{http, output};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use mediaflow_api::Metrics;
use mediaflow_engine::metrics::{Exposition, Scrape};
use mediaflow_via::{Via, ViaError, ViaOptions};
use mediaflow_worker::{Toolbox, VideoTools, Worker};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A probe waits no longer for the API.
const PROBE_MAX: Duration = Duration::from_secs(3);

pub(super) async fn serve(config: Config, options: ViaOptions) -> Result<(), Fault> {
    let heif = decoder(config.sandbox)?;
    raise_open_files();
    let ffmpeg = ffmpeg(config.sandbox);
    let data = DataFolder::open(&config.data)?;
    let listener = bind(config.listen)?;
    let address = listener.local_addr().map_err(Fault::failed)?;
    let via = Arc::new(connect(&options).await?);

    let metrics = Arc::new(Metrics::new(env!("CARGO_PKG_VERSION")));
    metrics.observe();
    let scratch = data.scratch()?;
    let video = VideoTools {
        limits: config.limits.video,
        ffmpeg,
        scratch: scratch.path().to_path_buf(),
    };
    let toolbox = Toolbox::new(config.limits.image, heif, &config.moderation, video)
        .map_err(Fault::unusable)?;
    let stopping = CancellationToken::new();
    let worker = Worker::new(
        Arc::<Via>::clone(&via),
        toolbox,
        config.worker,
        worker_name(),
        Arc::clone(&metrics),
        stopping.clone(),
    )
    .map_err(|e| Fault::failed(format!("no threads for the worker: {e}")))?;
    let signals = Signals::listen()?;

    let head_max = Duration::from_secs(config.api.head_s_max);
    let probes = probes(Probed {
        via,
        metrics,
        stopping: stopping.clone(),
    });
    let worker = tokio::spawn(worker.run(DRAIN));
    let http = tokio::spawn(http::serve(listener, probes, head_max, stopping.clone()));
    greet(address, &options.url, &data);

    until_stopped(signals, &stopping, http).await;
    if let Err(e) = worker.await {
        tracing::error!(error = %e, "the worker ended badly; the leases of its tasks run out");
    }
    tracing::info!("stopped");
    Ok(())
}

/// An API that says no ends the start; one that says nothing is waited for.
async fn connect(options: &ViaOptions) -> Result<Via, Fault> {
    let via = Via::new(options).map_err(Fault::unusable)?;
    match via.hello().await {
        Ok(api) => {
            tracing::info!(url = %options.url, version = %api.version, key = %api.key_name, "the API takes this worker")
        }
        Err(error @ ViaError::Unreachable { .. }) => {
            tracing::warn!(%error, "it is asked again until it does");
        }
        Err(error) => return Err(Fault::failed(error)),
    }
    Ok(via)
}

/// Whether the API takes this worker, in words; for `mediaflow doctor`.
///
/// # Errors
/// Why it does not.
pub(super) async fn hello(options: &ViaOptions) -> Result<String, ViaError> {
    let api = Via::new(options)?.hello().await?;
    Ok(format!(
        "{} (mediaflow {}) takes the key `{}`",
        options.url, api.version, api.key_name
    ))
}

#[derive(Clone)]
struct Probed {
    via: Arc<Via>,
    metrics: Arc<Metrics>,
    stopping: CancellationToken,
}

fn probes(probed: Probed) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(probed)
}

/// Whether the API takes what this worker does.
async fn ready(State(probed): State<Probed>) -> (StatusCode, String) {
    let away = StatusCode::SERVICE_UNAVAILABLE;
    if probed.stopping.is_cancelled() {
        return (away, "stopping\n".to_owned());
    }
    match tokio::time::timeout(PROBE_MAX, probed.via.hello()).await {
        Ok(Ok(_)) => (StatusCode::OK, "ready\n".to_owned()),
        Ok(Err(error)) => (away, format!("{error}\n")),
        Err(_) => (away, "the API does not answer in time\n".to_owned()),
    }
}

async fn metrics(State(probed): State<Probed>) -> String {
    let scrape = Scrape {
        store: None,
        free_bytes: None,
        broker: None,
        outlet: None,
        imports: None,
        webhooks: None,
        services: &[],
    };
    probed.metrics.expose(&scrape, Exposition::Prometheus)
}

fn greet(address: SocketAddr, url: &str, data: &DataFolder) {
    let text = format!(
        "MediaFlow {} works; http://{address} answers probes only\n  via      {url}\n  data     {}\n  try      curl http://{address}/readyz\n",
        env!("CARGO_PKG_VERSION"),
        data.path().display(),
    );
    // A worker whose output nobody reads works all the same.
    let _ = output::print(&text);
}
