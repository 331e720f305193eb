//! The configuration: each crate owns its section, with defaults, documentation and checks; the root only
//! nests them.

mod load;
mod reference;

pub(crate) use load::load;
pub(crate) use reference::reference;

use crate::logging::LogConfig;
use crate::signing::DeliveryConfig;
use mediaflow_api::ApiConfig;
use mediaflow_blob::ObjectStoreConfig;
use mediaflow_engine::{
    CdnConfig, MetadataConfig, ModerationConfig, RetentionConfig, UploadLimits, WatermarkConfig,
};
use mediaflow_media::image::ImageLimits;
use mediaflow_media::sandbox::SandboxMode;
use mediaflow_media::video::MediaLimits;
use mediaflow_worker::WorkerConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

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
    /// Where originals and renditions are: `s3://bucket/prefix` (Amazon's or any other S3 server), `gs://bucket/prefix`
    /// or `az://container/prefix`. Without it they are in the folder `blobs` of the data folder.
    pub(crate) blobs: Option<String>,
    pub(crate) object_store: ObjectStoreConfig,
    pub(crate) log: LogConfig,
    pub(crate) api: ApiConfig,
    pub(crate) worker: WorkerConfig,
    pub(crate) limits: Limits,
    pub(crate) recipes: RecipesConfig,
    pub(crate) moderation: ModerationConfig,
    pub(crate) watermark: WatermarkConfig,
    pub(crate) metadata: MetadataConfig,
    pub(crate) delivery: DeliveryConfig,
    pub(crate) cdn: CdnConfig,
    pub(crate) retention: RetentionConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            data: PathBuf::from("mediaflow-data"),
            sandbox: SandboxMode::Prefer,
            blobs: None,
            object_store: ObjectStoreConfig::default(),
            log: LogConfig::default(),
            api: ApiConfig::default(),
            worker: WorkerConfig::default(),
            limits: Limits::default(),
            recipes: RecipesConfig::default(),
            moderation: ModerationConfig::default(),
            watermark: WatermarkConfig::default(),
            metadata: MetadataConfig::default(),
            delivery: DeliveryConfig::default(),
            cdn: CdnConfig::default(),
            retention: RetentionConfig::default(),
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

/// `[recipes]`: recipes of your own.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RecipesConfig {
    /// A folder whose `*.toml` files are recipes; one with the name of a built-in recipe replaces it. A
    /// relative path begins at the configuration file's folder.
    pub(crate) folder: Option<PathBuf>,
}

impl Config {
    /// What serde cannot know: whether values make sense, alone and together.
    ///
    /// # Errors
    /// Begins with the setting's name and says what it should be.
    fn check(&self) -> Result<(), String> {
        self.object_store.check()?;
        self.log.check()?;
        self.api.check()?;
        self.worker.check()?;
        self.moderation.check()?;
        self.watermark.check()?;
        self.delivery.check()?;
        self.cdn.check()
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
