//! The durable truth: assets, tasks, leases, renditions, events and keys in one transactional database.
//!
//! A store's functions are the domain's verbs. Each is one transaction, and the verb calls the core
//! inside it. The interface is split by who uses it: [`Intake`] and [`Uploading`] take uploads in, [`Importing`] what is fetched, [`Work`] is for workers,
//! [`Catalog`] reads and changes assets, [`Playback`] is for players, [`Captioning`] for captions, [`Review`] is for people who decide and replay, [`Upkeep`] for the
//! background services and [`Pruning`] for what they keep short, [`Relaying`] for telling others what happened, [`Webhooks`] and [`Deliveries`] for those whom tenants have told, [`Keys`], [`Limiting`] and [`Tokens`] for access, [`Cluster`] for processes that share a
//! store, [`Control`] for operators, [`Measuring`] for who counts what is kept, [`Overview`] for people who look, and [`Signals`] for whoever waits for any of it.

#![forbid(unsafe_code)]

mod blob;
mod captions;
mod catalog;
mod cluster;
mod control;
mod deliveries;
mod error;
mod fairness;
mod frozen;
mod giving;
mod imports;
mod intake;
mod keys;
mod limits;
mod load;
mod measuring;
pub mod moving;
mod observe;
mod overview;
mod paths;
mod postgres;
mod pruning;
mod query;
mod record;
mod relaying;
mod review;
mod schema;
mod signals;
mod sqlite;
mod standing;
mod streams;
mod tokens;
mod upkeep;
mod uploads;
mod verdict;
mod webhooks;
mod work;

pub use blob::{BlobRow, NewBlob};
pub use captions::{Captioning, CaptionsRecord, NewCaptions};
pub use catalog::{
    AssetPage, AssetPatch, AssetRecord, AttemptRecord, Catalog, EventPage, EventRecord,
    MediaFilter, Original, RenditionRecord, RunRecord, Search, Servable, TaskFilter, TaskPage,
    TaskRecord,
};
pub use cluster::{Cluster, Presence, RunningTask, Wish, WorkerRecord};
pub use control::{
    Admission, Change, Control, Limit, Switch, SwitchRecord, TenantChange, TenantRecord,
};
pub use deliveries::{
    Attempted, Deliveries, DeliveryDetails, DeliveryFilter, DeliveryNext, DeliveryPage,
    DeliveryRecord, DeliveryState, DeliveryTry, DueDelivery, NewDelivery,
};
pub use error::StoreError;
pub use imports::{
    ImportChange, ImportFilter, ImportNext, ImportRecord, Importing, Mark, NewImport,
};
pub use intake::{Accept, Accepted, Idempotency, Intake};
pub use keys::{KeyFilter, KeyPage, KeyRecord, Keys, NewKey, Scope};
pub use limits::{KeyLimits, Limiting, Usage};
pub use load::{Obstacle, QueueLoad, Recent, Stuck, obstacle};
pub use measuring::{Amount, Aside, Held, Measuring, Shelved, Sort};
pub use observe::{Observe, Recorded, observe};
pub use overview::{FAILED_MAX, FailureGroup, Overview, QueueMinute};
pub use postgres::{Clock, PostgresOptions, PostgresStore};
pub use pruning::{Pruning, Walked};
pub use relaying::{Backlog, Relaying};
pub use review::{Generation, ReplayFilter, Review};
pub use schema::{MigrationRecord, MigrationState};
pub use signals::{Signals, Waiting};
pub use sqlite::SqliteStore;
pub use streams::{
    NewSegment, NewTrack, Playback, Quality, Segment, StreamFile, Streams, StreamsStatus, Track,
    TrackKind, TrackStatus, master_edition,
};
pub use tokens::{NewToken, TokenRecord, Tokens};
pub use upkeep::{COUNTED_MAX, Condemned, Purge, PurgeLoad, StoreHealth, Swept, Upkeep};
pub use uploads::{
    Advance, FinishedUpload, NewUpload, Refusal, UploadRecord, UploadState, Uploading, Way,
};
pub use webhooks::{
    DELIVERIES_COUNTED_MAX, NewWebhook, OffBecause, SigningKeys, Subscription, WebhookChange,
    WebhookRecord, Webhooks,
};
pub use work::{
    Capacity, Claimed, Lease, MediaFacts, NewRendition, Output, RenditionBlob, Report, Reusable,
    Work,
};

use mediaflow_core::Timestamp;

/// Everything a database must do for MediaFlow.
pub trait Store:
    Intake
    + Uploading
    + Importing
    + Work
    + Catalog
    + Playback
    + Captioning
    + Review
    + Upkeep
    + Pruning
    + Relaying
    + Webhooks
    + Deliveries
    + Keys
    + Limiting
    + Tokens
    + Cluster
    + Control
    + Measuring
    + Overview
    + Signals
{
}

impl<
    T: Intake
        + Uploading
        + Importing
        + Work
        + Catalog
        + Playback
        + Captioning
        + Review
        + Upkeep
        + Pruning
        + Relaying
        + Webhooks
        + Deliveries
        + Keys
        + Limiting
        + Tokens
        + Cluster
        + Control
        + Measuring
        + Overview
        + Signals,
> Store for T
{
}

/// What a verb needs from the outside world: stores own neither clock nor randomness.
pub trait Environment: Send + Sync + 'static {
    /// The present.
    fn now(&self) -> Timestamp;
    /// A new UUIDv7.
    fn id(&self) -> uuid::Uuid;
    /// Uniform over `u32`, for retry jitter.
    fn jitter(&self) -> u32;
}
