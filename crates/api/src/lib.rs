//! MediaFlow over HTTP: uploads, assets, tasks, events, moderation, delivery, health and metrics.
//!
//! Everything here translates between HTTP and the engine's use cases. It knows no database, no codec and no
//! command line; it opens no socket: the binary serves the [`router`].

#![forbid(unsafe_code)]

mod access;
mod arriving;
mod body;
mod config;
mod cors;
mod form;
#[doc(hidden)]
pub mod fuzzing;
mod hot;
mod lookups;
mod media_path;
pub mod minting;
mod negotiate;
mod observe;
mod openapi;
mod origin;
mod params;
mod problem;
mod range;
mod resumable;
mod routes;
mod send;
mod session;
mod settings;
pub mod signing;
mod sse;
mod tokens;
mod tus;
mod view;
mod wanted;
mod worker;

pub use config::ApiConfig;
pub use cors::CorsOrigins;
pub use mediaflow_engine::metrics::Metrics;
pub use openapi::openapi;
pub use settings::{Origin, Setting};

use mediaflow_engine::{Engine, Stills, services::Board};
use signing::Signer;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// What the API is made of.
pub struct ApiParts {
    /// The use cases.
    pub engine: Arc<Engine>,
    /// `[api]`.
    pub config: ApiConfig,
    /// No keys are needed: the server listens on loopback only and no key exists.
    pub is_open: bool,
    /// Makes and checks signed URLs.
    pub signer: Signer,
    /// Whose pages may read `/media/`.
    pub cors: CorsOrigins,
    /// Makes pictures of moments of videos, where there is what decodes them.
    pub stills: Option<Arc<dyn Stills>>,
    /// Where background services leave their status.
    pub services: Board,
    /// The configuration in effect, without secrets.
    pub settings: Vec<Setting>,
    /// What this process is called among others: its machine and process.
    pub process: String,
    /// Shared with the worker.
    pub metrics: Arc<Metrics>,
    /// Event streams end when it is cancelled.
    pub stopping: CancellationToken,
}

/// What every route shares.
pub(crate) struct Context {
    engine: Arc<Engine>,
    config: ApiConfig,
    access: access::Access,
    signer: Signer,
    cors: CorsOrigins,
    upload_cors: CorsOrigins,
    stills: Option<Arc<dyn Stills>>,
    services: Board,
    settings: Vec<Setting>,
    process: String,
    metrics: Arc<Metrics>,
    stopping: CancellationToken,
    lookups: lookups::Lookups,
    hot: hot::Hot,
    unwell: routes::health::Unwell,
    streams: Arc<Semaphore>,
}

pub(crate) type Shared = Arc<Context>;

/// All routes, ready to be served.
///
/// # Panics
/// When the configuration was not checked.
pub fn router(parts: ApiParts) -> axum::Router {
    routes::router(shared(parts))
}

/// What tells of a process that serves nothing else: whether it lives, is ready, and how it does.
///
/// # Panics
/// As [`router`].
pub fn probes(parts: ApiParts) -> axum::Router {
    routes::probes(shared(parts))
}

fn shared(parts: ApiParts) -> Shared {
    Arc::new(Context {
        access: access::Access::new(
            Arc::clone(&parts.engine),
            parts.is_open,
            parts.config.public_host(),
        ),
        lookups: lookups::Lookups::new(parts.engine.store().on_event(), parts.engine.is_shared()),
        hot: hot::Hot::default(),
        unwell: routes::health::Unwell::default(),
        streams: Arc::new(Semaphore::new(parts.config.event_streams_max)),
        engine: parts.engine,
        upload_cors: CorsOrigins::new(&parts.config.upload_origins)
            .expect("the configuration was checked"),
        config: parts.config,
        signer: parts.signer,
        cors: parts.cors,
        stills: parts.stills,
        services: parts.services,
        settings: parts.settings,
        process: parts.process,
        metrics: parts.metrics,
        stopping: parts.stopping,
    })
}
