//! Verbs of workers: claim, stay alive, report.

use crate::{BlobRow, NewBlob, NewCaptions, NewSegment, NewTrack, StoreError};
use async_trait::async_trait;
use mediaflow_core::operation::{Facts, Format};
use mediaflow_core::transition::Expansion;
use mediaflow_core::{
    AssetId, AssetOptions, BlobId, Cost, Failure, Queue, Recipe, RunSettings, Sha256, TaskId,
    TenantId, Timestamp, Verdict, WorkerId,
};
use std::sync::Arc;
use std::time::Duration;

/// What a worker can take on at this moment.
#[derive(Debug, Clone)]
pub struct Capacity {
    /// Who claims.
    pub worker: WorkerId,
    /// A name for people (`host:pid`), recorded with each attempt.
    pub worker_name: String,
    /// Most tasks to give from these queues together; a queue that is absent is not served.
    pub slots: Vec<(&'static [Queue], u32)>,
    /// Memory that is free for tasks, in bytes.
    pub memory_free: u64,
    /// Memory that the worker has for tasks when it is idle. A task that costs more is handed out all
    /// the same, for the worker to refuse, so that it does not wait for ever.
    pub memory_total: u64,
    /// Whether nothing runs on the worker: tasks that must run alone are given only then, and then as the only one.
    pub idle: bool,
    /// How long the lease lasts without a heartbeat.
    pub lease: Duration,
    /// Whether lane 9 (squeeze) may be given: only when nothing else waits.
    pub idle_lane: bool,
    /// What the worker can do: a task that needs anything else is not given.
    pub capabilities: Vec<String>,
}

/// A worker's time-limited right to a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lease {
    /// The task.
    pub task: TaskId,
    /// Rises with each claim and whenever a lease is taken away.
    pub fence: u64,
}

/// A claimed task with all that its operation is a function of.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// The right to it.
    pub lease: Lease,
    /// The owner.
    pub tenant: TenantId,
    /// The asset.
    pub asset: AssetId,
    /// Which run.
    pub generation: u32,
    /// Which step of the recipe.
    pub step: usize,
    /// Which of the step's tasks, from 0.
    pub number: u32,
    /// Frozen with the generation.
    pub recipe: Arc<Recipe>,
    /// Frozen with the generation.
    pub settings: Arc<RunSettings>,
    /// The user's options that the result depends on (watermark, focus), as they were when the run began.
    pub options: AssetOptions,
    /// The original.
    pub original: BlobRow,
    /// Found from the bytes.
    pub media_type: String,
    /// What was known at the upload.
    pub facts: Facts,
    /// What it was estimated to need.
    pub cost: Cost,
    /// Which try this is, counted from 1.
    pub attempt: u32,
    /// Whether it must be the only one running on this worker.
    pub alone: bool,
    /// Follows the asset everywhere.
    pub correlation_id: String,
    /// When it became ready; for latency figures.
    pub ready_at: Timestamp,
}

/// A rendition that a task made or found.
#[derive(Debug, Clone)]
pub struct NewRendition {
    /// `thumbnail`, `small`, ...
    pub profile: String,
    /// The encoding.
    pub format: Format,
    /// Width and height in pixels, of what can be seen.
    pub dimensions: Option<(u32, u32)>,
    /// Whether it moves.
    pub animated: bool,
    /// Identifies what made it: original, variant, encoding, mark, focus. Equal digests mean interchangeable pictures.
    pub derivation: Sha256,
    /// The bytes, either new in the blob store or those of an earlier rendition with the same derivation.
    pub blob: RenditionBlob,
}

/// Where a rendition's bytes come from.
#[derive(Debug, Clone)]
pub enum RenditionBlob {
    /// Written by this attempt under a key of its own.
    New(NewBlob),
    /// Recorded before.
    Existing(BlobId),
}

/// What a finished task leaves behind.
#[derive(Debug, Clone, Default)]
pub struct Output {
    /// Renditions, recorded in the same transaction.
    pub renditions: Vec<NewRendition>,
    /// Facts for other steps and for the API: inspect's document, the placeholder, moderation scores.
    /// Stored with the task; for `image.inspect`, `moderate` and `image.placeholder` shown in the asset.
    pub facts: serde_json::Value,
    /// The gate's verdict, for a moderation task.
    pub verdict: Option<Verdict>,
    /// The upright size, when the task found it out (inspect).
    pub dimensions: Option<(u32, u32)>,
    /// What films and recordings are searched by, when the task found it out.
    pub media: Option<Box<MediaFacts>>,
    /// Text that search should find the asset by (camera, lens, copyright, ...).
    pub search_text: Option<String>,
    /// How many tasks later steps have.
    pub expansions: Vec<Expansion>,
    /// The streams that the segments belong to.
    pub tracks: Vec<NewTrack>,
    /// Segments, recorded in the same transaction.
    pub segments: Vec<NewSegment>,
    /// Captions that were found.
    pub captions: Vec<NewCaptions>,
    /// What was made of the original for this generation's own tasks, in its order, in the place of what was there. Nobody
    /// else sees it, and it goes when the last task has ended.
    pub pieces: Vec<NewBlob>,
}

/// What people sort films and recordings by.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MediaFacts {
    /// Measured.
    pub duration_ms: u64,
    /// As ffprobe's and our own names have it: `mov`, `matroska`, ...
    pub container: String,
    /// Of the pictures, or of the sound where there are none: `h264`, `aac`, ...
    pub codec: Option<String>,
    /// Pictures in a second.
    pub frame_rate: Option<f64>,
    /// Whether anything can be heard.
    pub has_sound: bool,
    /// `hdr10`, `hlg` or `dolby_vision`.
    pub hdr: Option<String>,
}

/// How an attempt ended.
#[derive(Debug, Clone)]
pub enum Report {
    /// It is done.
    Succeeded(Output),
    /// It failed.
    Failed(Failure),
    /// It was not begun or is given back unharmed.
    HandedBack,
}

/// Verbs of workers.
#[async_trait]
pub trait Work: Send + Sync {
    /// Claims ready tasks, as many as fit: of each tenant and urgency those that make assets viewable first, and between
    /// them by weighted fair shares of processor time. Nothing is given of queues whose claims are switched off, nor
    /// beyond a tenant's limit.
    ///
    /// Repeated with the same `request` id it gives the same tasks again while they are still held.
    /// A task that has waited over five seconds and would fit an idle worker stops smaller ones behind it.
    async fn claim(
        &self,
        request: uuid::Uuid,
        capacity: &Capacity,
    ) -> Result<Vec<Claimed>, StoreError>;

    /// Extends the leases and answers those that are lost: stop their work.
    async fn heartbeat(&self, leases: &[Lease], lease: Duration) -> Result<Vec<Lease>, StoreError>;

    /// Ends an attempt. Repeated with the same fence it gives the first answer again.
    /// With `offer`, ready tasks of the same asset are claimed in the same transaction and returned.
    ///
    /// # Errors
    /// [`StoreError::StaleFence`] when the attempt was overtaken, [`StoreError::BlobCondemned`] when
    /// an existing blob cannot be used any more.
    async fn report(
        &self,
        lease: Lease,
        report: Report,
        offer: Option<&Capacity>,
    ) -> Result<Vec<Claimed>, StoreError>;

    /// Renditions of this tenant, of any asset, that were made by one of these derivations and whose
    /// blobs are live. An asset that was rejected shares nothing.
    async fn reusable(
        &self,
        tenant: TenantId,
        derivations: &[Sha256],
    ) -> Result<Vec<(Sha256, Reusable)>, StoreError>;

    /// Renditions that the asset's generation has recorded so far, and their blobs.
    async fn recorded(
        &self,
        asset: AssetId,
        generation: u32,
    ) -> Result<Vec<(crate::RenditionRecord, BlobRow)>, StoreError>;
}

/// A rendition that can be recorded again for another asset.
#[derive(Debug, Clone)]
pub struct Reusable {
    /// Its bytes.
    pub blob: BlobRow,
    /// Width and height in pixels, of what can be seen.
    pub dimensions: Option<(u32, u32)>,
    /// Whether it moves.
    pub animated: bool,
    /// Its encoding.
    pub format: Format,
}
