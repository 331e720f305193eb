//! The configuration: each crate owns its section, with defaults, documentation and checks; the root only
//! nests them.

mod load;
mod prices;
mod reference;
mod settings;
mod via;

pub(crate) use load::{load, read};
pub(crate) use prices::PricesConfig;
pub(crate) use reference::reference;
pub(crate) use settings::{settings, without_secrets};
pub(crate) use via::ViaConfig;

use crate::logging::LogConfig;
use crate::roles::{self, Role};
use crate::signing::DeliveryConfig;
use crate::telemetry::TelemetryConfig;
use mediaflow_api::ApiConfig;
use mediaflow_blob::ObjectStoreConfig;
use mediaflow_engine::broker::Broker;
use mediaflow_engine::{
    CdnConfig, EventsConfig, IngestConfig, MetadataConfig, ModerationConfig, RetentionConfig,
    UploadLimits, WatermarkConfig, WebhooksConfig,
};
use mediaflow_media::image::ImageLimits;
use mediaflow_media::sandbox::SandboxMode;
use mediaflow_media::video::MediaLimits;
use mediaflow_store::{Clock, PostgresOptions};
use mediaflow_worker::WorkerConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// `mediaflow.toml`. Every setting has a default; an empty file is a valid one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// Address and port of the HTTP API. Any address but a loopback one needs an API key first
    /// (`mediaflow keys create`). `--listen` and `MEDIAFLOW_LISTEN` win over it.
    #[serde(deserialize_with = "address")]
    #[schemars(with = "String")]
    pub(crate) listen: SocketAddr,
    /// The folder for the database, originals and renditions, keys and work under way. A relative path begins at the configuration
    /// file's folder. `--data` and `MEDIAFLOW_DATA` win over it.
    pub(crate) data: PathBuf,
    /// What happens where the kernel or a container withholds the means to sandbox decoders: `prefer` uses
    /// what there is and says what is missing, `require` refuses to start, `off` uses none.
    #[schemars(with = "String")]
    pub(crate) sandbox: SandboxMode,
    /// Where assets, tasks and events are: `postgres://user:password@host/database`, which many processes may share.
    /// Without it they are in SQLite in the data folder, which belongs to one process.
    pub(crate) store: Option<String>,
    pub(crate) postgres: PostgresConfig,
    /// What wakes workers of other processes, with `store`: `kafka://host:9092`, `sqs://region`, `redis://host`, `amqp://host`, or
    /// `postgres://...` for another database; `docs/brokers.md` has their parameters. Without it, or with `postgres`, the store's own
    /// database does. Workers poll as well, so that nothing depends on it. `--broker` and `MEDIAFLOW_BROKER` win over it.
    pub(crate) broker: Option<String>,
    pub(crate) events: EventsConfig,
    pub(crate) webhooks: WebhooksConfig,
    /// Where originals and renditions are: `s3://bucket/prefix` (Amazon's or any other S3 server), `gs://bucket/prefix`
    /// or `az://container/prefix`. Without it they are in the folder `blobs` of the data folder.
    pub(crate) blobs: Option<String>,
    pub(crate) object_store: ObjectStoreConfig,
    /// What this process does: `api` takes uploads, answers requests and runs the background services, `worker` does the
    /// work. Without `store` one process does both, or is `api` alone and leaves the work to others that have `via.url`. `--role` and `MEDIAFLOW_ROLE` win over it.
    #[schemars(with = "Vec<String>")]
    pub(crate) roles: Vec<Role>,
    pub(crate) via: ViaConfig,
    pub(crate) log: LogConfig,
    pub(crate) telemetry: TelemetryConfig,
    pub(crate) api: ApiConfig,
    pub(crate) worker: WorkerConfig,
    pub(crate) limits: Limits,
    pub(crate) ingest: IngestConfig,
    pub(crate) recipes: RecipesConfig,
    pub(crate) moderation: ModerationConfig,
    pub(crate) watermark: WatermarkConfig,
    pub(crate) metadata: MetadataConfig,
    pub(crate) delivery: DeliveryConfig,
    pub(crate) cdn: CdnConfig,
    pub(crate) retention: RetentionConfig,
    pub(crate) prices: PricesConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            data: PathBuf::from("mediaflow-data"),
            sandbox: SandboxMode::Prefer,
            store: None,
            postgres: PostgresConfig::default(),
            broker: None,
            events: EventsConfig::default(),
            webhooks: WebhooksConfig::default(),
            blobs: None,
            object_store: ObjectStoreConfig::default(),
            roles: roles::all(),
            via: ViaConfig::default(),
            log: LogConfig::default(),
            telemetry: TelemetryConfig::default(),
            api: ApiConfig::default(),
            worker: WorkerConfig::default(),
            limits: Limits::default(),
            ingest: IngestConfig::default(),
            recipes: RecipesConfig::default(),
            moderation: ModerationConfig::default(),
            watermark: WatermarkConfig::default(),
            metadata: MetadataConfig::default(),
            delivery: DeliveryConfig::default(),
            cdn: CdnConfig::default(),
            retention: RetentionConfig::default(),
            prices: PricesConfig::default(),
        }
    }
}

/// `[limits]`: what one upload or one picture may ask.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Limits {
    pub(crate) upload: UploadLimits,
    pub(crate) image: ImageLimits,
    pub(crate) video: MediaLimits,
}

/// `[postgres]`: how the database of `store` is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct PostgresConfig {
    /// Most connections of this process, 2 to 1000. All processes together must stay below the database's own limit.
    pub(crate) connections: usize,
    /// A statement that takes longer is given up, in seconds, 1 to 600.
    pub(crate) statement_s: u64,
}

impl Default for PostgresConfig {
    fn default() -> Self {
        Self {
            connections: 10,
            statement_s: 30,
        }
    }
}

impl PostgresConfig {
    /// `tells_ready` unless a broker does.
    pub(crate) fn options(&self, tells_ready: bool) -> PostgresOptions {
        PostgresOptions {
            connections: self.connections,
            statement_timeout: Duration::from_secs(self.statement_s),
            clock: Clock::Database,
            tells_ready,
        }
    }

    fn check(&self) -> Result<(), String> {
        if !(2..=1000).contains(&self.connections) {
            return Err("postgres.connections must be 2 to 1000".into());
        }
        if !(1..=600).contains(&self.statement_s) {
            return Err("postgres.statement_s must be 1 to 600".into());
        }
        Ok(())
    }
}

/// `[recipes]`: recipes of your own.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RecipesConfig {
    /// A folder whose `*.toml` files are recipes; one with the name of a built-in recipe replaces it. A
    /// relative path begins at the configuration file's folder.
    pub(crate) folder: Option<PathBuf>,
}

impl Config {
    /// Whether this process does that.
    pub(crate) fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// Whether the database tells workers what became ready, because no broker does.
    pub(crate) fn store_wakes(&self) -> bool {
        matches!(self.broker.as_deref(), None | Some("postgres"))
    }

    /// The broker that is configured, where it is not the store itself. Asks the network nothing.
    ///
    /// # Errors
    /// Begins with the setting's name, and never contains what is secret in it.
    pub(crate) fn open_broker(&self) -> Result<Option<Broker>, String> {
        match self.broker.as_deref() {
            None => Ok(None),
            Some(_) if self.store.is_none() => Err(
                "broker needs `store = \"postgres://...\"`: SQLite belongs to one process, which wakes itself".into(),
            ),
            Some(_) if self.store_wakes() => Ok(None),
            Some(address) => match Broker::open(address) {
                Ok(broker) => Ok(Some(broker)),
                Err(error) => Err(format!("broker: {error}")),
            },
        }
    }

    /// What serde cannot know: whether values make sense, alone and together.
    ///
    /// # Errors
    /// Begins with the setting's name and says what it should be.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.roles.is_empty() {
            return Err("roles must be api, worker or both".into());
        }
        if self.via.url.is_some() {
            return self.check_outpost();
        }
        match &self.store {
            None if !self.has(Role::Api) => {
                return Err(
                    "roles must be api and worker, or api alone: SQLite belongs to one process. Give `store = \"postgres://...\"` to share the work, or `via.url` where it is to be asked for"
                        .into(),
                );
            }
            Some(url)
                if !["postgres://", "postgresql://"]
                    .iter()
                    .any(|s| url.starts_with(s)) =>
            {
                return Err("store must be postgres://user:password@host/database; without it SQLite is used".into());
            }
            Some(_) if self.has(Role::Api) && self.delivery.signing_keys.is_empty() => {
                return Err(
                    "delivery.signing_keys: with `store` all processes must sign URLs with the same keys; give one here"
                        .into(),
                );
            }
            _ => {}
        }
        self.open_broker()?;
        self.events.check()?;
        self.webhooks.check()?;
        self.retention.check()?;
        self.postgres.check()?;
        self.object_store.check()?;
        self.log.check()?;
        self.telemetry.check()?;
        self.api.check()?;
        self.limits.upload.check()?;
        self.worker.check()?;
        self.ingest.check()?;
        self.moderation.check()?;
        self.watermark.check()?;
        self.delivery.check()?;
        self.prices.check()?;
        self.cdn.check()
    }

    /// A worker on a network of its own has nothing but its work.
    fn check_outpost(&self) -> Result<(), String> {
        if self.roles != [Role::Worker] {
            return Err(
                "via.url is for a process whose one role is worker: give `roles = [\"worker\"]` or --role worker"
                    .into(),
            );
        }
        if self.store.is_some() || self.blobs.is_some() {
            return Err(
                "via.url stands for `store` and `blobs`: a worker that has them needs no API"
                    .into(),
            );
        }
        self.log.check()?;
        self.telemetry.check()?;
        self.worker.check()?;
        self.moderation.check()
    }
}

fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| {
        serde::de::Error::custom(format!(
            "`{text}` must be an address and a port, for example \"127.0.0.1:8080\""
        ))
    })
}
