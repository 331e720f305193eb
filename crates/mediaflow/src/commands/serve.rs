//! `mediaflow serve`: everything in one process. The wiring reads top to bottom and stops in reverse.

use super::outpost;
use super::stopping::{DRAIN, Signals, until_stopped};
use crate::admin;
use crate::config::Config;
use crate::data::DataFolder;
use crate::fault::Fault;
use crate::http;
use crate::output;
use crate::roles::Role;
use crate::stores::{open_blobs, open_store};
use mediaflow_api::{ApiParts, Metrics, Setting, probes, router};
use mediaflow_core::TenantId;
use mediaflow_engine::services::{Services, announce};
use mediaflow_engine::{
    Cdn, Engine, Fetcher, Hook, Parts, Recipes, Stills, StorageSource, SystemEnvironment,
    WebhookSender,
};
use mediaflow_media::image::heif::HeifHelper;
use mediaflow_media::sandbox::{Posture, SandboxMode};
use mediaflow_media::video::{Ffmpeg, FfmpegLimits};
use mediaflow_store::{Environment, Store};
use mediaflow_worker::{MediaRecogniser, MediaStills, Toolbox, VideoTools, Worker};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket};
use tokio_util::sync::CancellationToken;

/// Connections and files that may be open, where the system allows as many.
const OPEN_FILES: u64 = 65_536;
/// Connections that may wait until they are taken in. Of a burst what is beyond is dropped and comes back a second later, or three;
/// the kernel's own limit (`net.core.somaxconn`, 4096) may be lower.
const BACKLOG: u32 = 16_384;
/// Time for one picture in the decoding process.
const DECODE_MAX: Duration = Duration::from_secs(120);

pub(crate) fn run(config: Config, settings: Vec<Setting>) -> Result<ExitCode, Fault> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("mediaflow")
        .build()
        .map_err(|e| Fault::failed(format!("no threads: {e}")))?;
    let inside = runtime.enter();
    let traces = config.telemetry.start(&worker_name())?;
    config.log.start(traces.clone())?;
    drop(inside);
    let done = runtime.block_on(async {
        match config.via.options()? {
            Some(via) => outpost::serve(config, via).await,
            None => serve(config, settings).await,
        }
    });
    if let Some(traces) = traces {
        traces.flush();
    }
    // Nothing that matters is left; a thread that hangs in a system call must not keep us.
    runtime.shutdown_timeout(Duration::from_secs(1));
    done.map(|()| ExitCode::SUCCESS)
}

async fn serve(config: Config, settings: Vec<Setting>) -> Result<(), Fault> {
    // What can be wrong is found before anything is touched; ports are bound before work starts.
    let recipes = Recipes::load(config.recipes.folder.as_deref()).map_err(Fault::unusable)?;
    recipes
        .check_gate(config.moderation.policy)
        .map_err(Fault::unusable)?;
    let cors = config.delivery.cors().map_err(Fault::unusable)?;
    let cdn = Cdn::new(&config.cdn).map_err(Fault::unusable)?;
    let own_blobs = config.blobs.as_deref();
    let storage_sources = config.ingest.events.iter();
    let storage_sources = storage_sources.map(|events| StorageSource::open(events, own_blobs));
    let storage_sources = storage_sources.collect::<Result<_, _>>();
    let storage_sources = storage_sources.map_err(Fault::unusable)?;
    let hook = Hook::new(&config.ingest.hook).map_err(Fault::unusable)?;
    let fetcher = Fetcher::new(&config.ingest.import).map_err(Fault::unusable)?;
    let webhooks = WebhookSender::new(&config.webhooks).map_err(Fault::unusable)?;
    let broker = config.open_broker().map_err(Fault::unusable)?;
    let outlet = config.events.open().map_err(Fault::unusable)?;
    let heif = decoder(config.sandbox)?;
    raise_open_files();
    let ffmpeg = ffmpeg(config.sandbox);
    let data = DataFolder::open(&config.data)?;
    let listener = bind(config.listen)?;
    let address = listener.local_addr().map_err(Fault::failed)?;

    let metrics = Arc::new(Metrics::new(env!("CARGO_PKG_VERSION")));
    metrics.observe();
    let environment: Arc<dyn Environment> = Arc::new(SystemEnvironment);
    let store = open_store(&config, &data, Arc::clone(&environment)).await?;
    let blobs = open_blobs(&config, &data).await?;
    let (serves, works) = (config.has(Role::Api), config.has(Role::Worker));
    // What tells whether a worker lives needs no key.
    let is_open = serves && is_open(&*store, address).await?;
    let signer = config.delivery.open(&data)?;
    let watermark = Engine::pin_watermark(&store, &blobs, &config.watermark)
        .await
        .map_err(Fault::failed)?;

    let engine = Arc::new(Engine::new(Parts {
        store: Arc::clone(&store),
        blobs,
        is_shared: config.store.is_some(),
        broker,
        outlet,
        environment,
        recipes,
        recognise: Arc::new(MediaRecogniser::new(config.limits.image, ffmpeg.is_some())),
        cdn,
        limits: config.limits.upload,
        moderation: config.moderation.clone(),
        metadata: config.metadata,
        retention: config.retention,
        watermark,
        fetcher,
        watches: config.ingest.watch,
        storage_sources,
        hook,
        webhooks,
        metrics: Arc::clone(&metrics),
    }));
    let scratch = data.scratch()?;
    let video = VideoTools {
        limits: config.limits.video,
        ffmpeg,
        scratch: scratch.path().to_path_buf(),
    };
    let stills = video.ffmpeg.as_ref().map(|ffmpeg| {
        let made = MediaStills::new(ffmpeg, video.limits, video.scratch.clone());
        Arc::new(made) as Arc<dyn Stills>
    });
    let toolbox = Toolbox::new(config.limits.image, heif, &config.moderation, video)
        .map_err(Fault::unusable)?;
    let (stopping, ending) = (CancellationToken::new(), CancellationToken::new());
    let worker = works.then(|| {
        Worker::new(
            Arc::<Engine>::clone(&engine),
            toolbox,
            config.worker.clone(),
            worker_name(),
            Arc::clone(&metrics),
            stopping.clone(),
        )
    });
    let worker = worker
        .transpose()
        .map_err(|e| Fault::failed(format!("no threads for the worker: {e}")))?;
    let signals = Signals::listen()?;
    // With a database that many may open, commands open it themselves.
    let admin = config.store.is_none().then(|| admin::bind(&data));
    let admin = admin.transpose().map_err(|e| {
        Fault::failed(format!(
            "the administration socket in {}: {e}",
            data.path().display()
        ))
    })?;

    let head_max = Duration::from_secs(config.api.head_s_max);
    let services = serves.then(|| Services::start(&engine, &ending));
    let board = services.as_ref().map(Services::board).unwrap_or_default();
    let announcer = announce(Arc::clone(&engine), ending.clone());
    let announcer = tokio::spawn(announcer);
    let parts = ApiParts {
        engine,
        config: config.api,
        is_open,
        signer,
        cors,
        stills,
        services: board,
        settings,
        process: worker_name(),
        metrics,
        stopping: stopping.clone(),
    };
    let routes = if serves { router(parts) } else { probes(parts) };
    let worker = worker.map(|worker| tokio::spawn(worker.run(DRAIN)));
    let admin = admin.map(|socket| tokio::spawn(admin::serve(socket, store)));
    let http = tokio::spawn(http::serve(listener, routes, head_max, stopping.clone()));
    match serves {
        true => greet(address, &data, is_open, config.sandbox),
        false => greet_worker(address, &data),
    }

    until_stopped(signals, &stopping, http).await;
    if let Some(worker) = worker
        && let Err(e) = worker.await
    {
        tracing::error!(error = %e, "the worker ended badly; its tasks are taken up by the next start");
    }
    if let Some(admin) = admin {
        admin.abort();
    }
    ending.cancel();
    // It only ever ends by the token.
    let _ = announcer.await;
    if let Some(services) = services {
        services.join().await;
    }
    tracing::info!("stopped");
    Ok(())
}

/// What encodes video. Without it there are none, and the rest works.
pub(super) fn ffmpeg(mode: SandboxMode) -> Option<Ffmpeg> {
    match Ffmpeg::find(None, mode, FfmpegLimits::default()) {
        Ok(found) => Some(found),
        Err(error) => {
            tracing::warn!(%error, "videos and sounds are refused");
            None
        }
    }
}

/// The process that decodes what has no memory-safe decoder: this program again, in a sandbox.
pub(super) fn decoder(mode: SandboxMode) -> Result<HeifHelper, Fault> {
    let posture = Posture::probe();
    if mode == SandboxMode::Require && !posture.complete() {
        return Err(Fault::failed(format!(
            "sandbox = \"require\" is set, but {posture}: allow both in the container, use Linux 5.13 or newer, or set sandbox = \"prefer\""
        )));
    }
    let program: PathBuf = std::env::current_exe()
        .map_err(|e| Fault::failed(format!("this program does not know where it is: {e}")))?;
    Ok(HeifHelper {
        program,
        args_prefix: vec!["decode-helper".into()],
        mode,
        wall: DECODE_MAX,
    })
}

/// The usual soft limit of 1,024 open files and connections is for programs of the past.
pub(super) fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: Some(maximum.map_or(OPEN_FILES, |most| most.min(OPEN_FILES))),
        maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, wanted) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

pub(super) fn bind(listen: SocketAddr) -> Result<TcpListener, Fault> {
    let socket = || {
        let socket = match listen {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        // A restarted server must not wait for connections of the one before.
        socket.set_reuseaddr(true)?;
        socket.bind(listen)?;
        socket.listen(BACKLOG)
    };
    socket().map_err(|e: std::io::Error| {
        Fault::failed(match e.kind() {
            std::io::ErrorKind::AddrInUse => format!(
                "{listen} is in use: another program, or another MediaFlow, listens there; give --listen another port"
            ),
            _ => format!("cannot listen on {listen}: {e}"),
        })
    })
}

/// Whether callers need no key: on loopback, until the first key is made. Elsewhere there must be one.
async fn is_open(store: &dyn Store, address: SocketAddr) -> Result<bool, Fault> {
    let keys = store.keys(TenantId::DEFAULT).await.map_err(Fault::failed)?;
    if address.ip().is_loopback() {
        return Ok(keys.is_empty());
    }
    match keys.iter().any(|key| key.revoked_at.is_none()) {
        true => Ok(false),
        false => Err(Fault::failed(format!(
            "{address} can be reached from other machines and there is no API key yet; make one with `mediaflow keys create --name me --scopes admin` (and the same --data), or listen on 127.0.0.1"
        ))),
    }
}

pub(super) fn worker_name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}:{}", host.trim(), std::process::id())
}

fn greet(address: SocketAddr, data: &DataFolder, is_open: bool, sandbox: SandboxMode) {
    let posture = Posture::probe();
    let access = match is_open {
        true => {
            "open to every program on this machine, for there is no API key (`mediaflow keys create` and a restart close it)"
        }
        false => "with an API key (`mediaflow keys`)",
    };
    let sandbox = match (sandbox, posture.complete()) {
        (SandboxMode::Off, _) => "\n  sandbox  off, as configured".to_owned(),
        (_, false) => format!("\n  sandbox  incomplete: {posture}; see `mediaflow doctor`"),
        (_, true) => String::new(),
    };
    let server = match address.port() {
        8080 => String::new(),
        _ => format!(" --server http://{address}"),
    };
    let text = format!(
        "MediaFlow {} listens on http://{address}\n  data     {}\n  access   {access}{sandbox}\n  try      mediaflow ingest{server} photo.jpg\n           curl --data-binary @photo.jpg 'http://{address}/v1/assets?filename=photo.jpg'\n",
        env!("CARGO_PKG_VERSION"),
        data.path().display(),
    );
    // A server whose output nobody reads works all the same.
    let _ = output::print(&text);
}

fn greet_worker(address: SocketAddr, data: &DataFolder) {
    let text = format!(
        "MediaFlow {} works; http://{address} answers probes only\n  data     {}\n  try      curl http://{address}/readyz\n",
        env!("CARGO_PKG_VERSION"),
        data.path().display(),
    );
    let _ = output::print(&text);
}
