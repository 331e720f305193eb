//! Use cases (accept an upload, change an asset, start a generation) and the background services.
//!
//! The engine joins store, blobs and core. It knows no HTTP, no codec and no command line: what recognises a
//! file's type is handed in as a [`Recognise`], so that this crate builds without any codec.

#![forbid(unsafe_code)]

mod accept;
mod bounds;
mod captions;
mod cdn;
mod change;
mod cloud_event;
mod config;
mod depot;
mod disposition;
mod engine;
mod environment;
mod error;
mod hook;
mod idempotency;
mod imports;
pub mod metrics;
mod options;
mod recipes;
mod recognise;
pub mod services;
mod signature;
mod stills;
mod stock;
mod storage_events;
mod uploads;
mod watch;
mod watermark;
mod webhooks;

pub use accept::{Receipt, Upload};
pub use bounds::{Bounds, DayBounds, is_type};
pub use cdn::{Cdn, CdnError, CdnStats};
pub use cloud_event::CloudEvent;
pub use config::{
    CdnConfig, CdnDriver, ClassifierConfig, EventsConfig, MetadataConfig, ModerationConfig,
    Position, RetentionConfig, UploadLimits, WatermarkConfig,
};
pub use depot::Depot;
pub use disposition::disposition_filename;
pub use engine::{Engine, Parts};
pub use environment::SystemEnvironment;
pub use error::EngineError;
pub use hook::{Hook, HookConfig, OnError, RefusedAs};
pub use imports::{Fetcher, ImportConfig, ImportCounts, IngestConfig, Lookup, Network, is_public};
pub use recipes::{RecipeFileError, Recipes};
pub use recognise::{Recognise, Recognised};
pub use stills::{Moment, StillSource, Stills};
pub use stock::{Counted, Stock};
pub use storage_events::{
    Created, NoEvent, StorageEventsConfig, StorageSource, read as read_storage_events,
};
pub use uploads::{Append, Appended, Completion, EndsAt, Opening, Verify};
pub use watch::{After, WatchConfig};
pub use webhooks::{WebhookSender, WebhookTried, WebhooksConfig};

pub use mediaflow_blob as blob;
pub use mediaflow_broker as broker;
pub use mediaflow_store as store;
