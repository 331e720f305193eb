//! Reading and changing assets, tasks, renditions and events.

use crate::{BlobRow, MediaFacts, StoreError};
use async_trait::async_trait;
use mediaflow_core::operation::{Facts, Format};
use mediaflow_core::{
    AssetId, AssetOptions, AssetState, EventId, EventType, Focus, Kind, Queue, Recipe, RunState,
    Sha256, TaskId, TaskState, TenantId, Timestamp, Visibility,
};
use serde_json::Value;

/// The bytes as uploaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Original {
    /// Length.
    pub bytes: u64,
    /// Identity.
    pub sha256: Sha256,
    /// Found from the bytes.
    pub media_type: String,
    /// As the client named it.
    pub filename: Option<String>,
    /// Upright size, once known.
    pub dimensions: Option<(u32, u32)>,
}

/// One generation, for display.
#[derive(Debug, Clone)]
pub struct RunRecord {
    /// Counts from 1.
    pub generation: u32,
    /// Where it stands.
    pub state: RunState,
    /// Ended over all tasks, between 0 and 1.
    pub progress: f64,
    /// The recipe's name, version and hash.
    pub recipe: (String, u32, Sha256),
}

/// Everything known of an asset but its tasks and renditions.
#[derive(Debug, Clone)]
pub struct AssetRecord {
    /// Its id.
    pub id: AssetId,
    /// The owner.
    pub tenant: TenantId,
    /// The published generation's state, or else the newest run's; `deleted` and `rejected` win.
    pub state: AssetState,
    /// Whether something can be shown already.
    pub viewable: bool,
    /// What sort of media.
    pub kind: Kind,
    /// The bytes as uploaded.
    pub original: Original,
    /// For cost estimates of a later run.
    pub facts: Facts,
    /// What the user says.
    pub options: AssetOptions,
    /// The published generation, 0 before there is one.
    pub published: u32,
    /// The newest run.
    pub run: RunRecord,
    /// What films and recordings are searched by, once inspected.
    pub media: Option<MediaFacts>,
    /// What `image.inspect`, `video.inspect` or `audio.inspect` found, in the newest run that has it.
    pub inspected: Option<Value>,
    /// What `audio.loudness` measured, likewise.
    pub loudness: Option<Value>,
    /// What `image.placeholder` made, likewise.
    pub placeholder: Option<Value>,
    /// What moderation said: `{policy, verdict, scores, decided_by, reason}`.
    pub moderation: Option<Value>,
    /// The reason of a failed or rejected asset.
    pub error: Option<(String, String)>,
    /// Follows it everywhere.
    pub correlation_id: String,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When anything last changed.
    pub updated_at: Timestamp,
    /// The number of its last event.
    pub last_sequence: u64,
}

/// A rendition that readers may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenditionRecord {
    /// The run that made it.
    pub generation: u32,
    /// `thumbnail`, `small`, ...
    pub profile: String,
    /// The encoding.
    pub format: Format,
    /// Width and height in pixels, of what can be seen.
    pub dimensions: Option<(u32, u32)>,
    /// Whether it moves.
    pub animated: bool,
    /// What made it.
    pub derivation: Sha256,
    /// Length.
    pub bytes: u64,
    /// Of its bytes.
    pub sha256: Sha256,
}

/// A rendition with the place of its bytes, for delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Servable {
    /// What it is.
    pub rendition: RenditionRecord,
    /// Where its bytes are.
    pub key: String,
    /// Who may fetch it.
    pub visibility: Visibility,
}

/// One try of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRecord {
    /// Counted from 1.
    pub number: u32,
    /// Who tried.
    pub worker: String,
    /// When it was claimed.
    pub started_at: Timestamp,
    /// When it ended, unless it runs.
    pub ended_at: Option<Timestamp>,
    /// Why it failed, if it did.
    pub error: Option<(String, String)>,
}

/// A task, for display.
#[derive(Debug, Clone)]
pub struct TaskRecord {
    /// Its id.
    pub id: TaskId,
    /// Whose.
    pub asset: AssetId,
    /// Which run.
    pub generation: u32,
    /// The step's name.
    pub step: String,
    /// The operation's name.
    pub operation: String,
    /// Where it waits.
    pub queue: Queue,
    /// Where it is.
    pub state: TaskState,
    /// Tries so far, over all replays.
    pub attempts: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it became ready.
    pub queued_at: Option<Timestamp>,
    /// When its last attempt began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// When it is tried again, while it waits for that.
    pub retry_at: Option<Timestamp>,
    /// Who tried last.
    pub worker: Option<String>,
    /// Why the last try failed, or why it was cancelled.
    pub error: Option<(String, String)>,
    /// Every try, oldest first.
    pub tries: Vec<AttemptRecord>,
    /// Capabilities that a worker must have for it.
    pub needs: Vec<String>,
    /// Memory that a worker must have for it, in bytes.
    pub memory_bytes: u64,
}

/// A recorded fact.
#[derive(Debug, Clone, PartialEq)]
pub struct EventRecord {
    /// Stable over all deliveries.
    pub id: EventId,
    /// Its place in the feed of everything: rises, and nothing commits below a number already read.
    pub position: u64,
    /// Whose history.
    pub asset: AssetId,
    /// The owner.
    pub tenant: TenantId,
    /// Its place in the asset's history, from 1 without gaps.
    pub sequence: u64,
    /// What happened.
    pub kind: EventType,
    /// When.
    pub at: Timestamp,
    /// Details.
    pub data: Value,
    /// Follows the asset everywhere.
    pub correlation_id: String,
}

/// What a film or recording must be. Empty fields do not restrict; what was not inspected yet fits none that do.
#[derive(Debug, Clone, Default)]
pub struct MediaFilter {
    /// Of the pictures, or of the sound where there are none.
    pub codec: Option<String>,
    /// As inspection names it.
    pub container: Option<String>,
    /// `hdr10`, `hlg` or `dolby_vision`.
    pub hdr: Option<String>,
    /// Whether anything can be heard.
    pub has_sound: Option<bool>,
    /// At least and at most as long, in milliseconds.
    pub duration_ms: (Option<u64>, Option<u64>),
    /// At least and at most as wide, in pixels; pictures too.
    pub width: (Option<u64>, Option<u64>),
    /// At least and at most as high, in pixels; pictures too.
    pub height: (Option<u64>, Option<u64>),
    /// At least and at most as many pictures in a second.
    pub frame_rate: (Option<f64>, Option<f64>),
}

/// What to look for. Empty fields do not restrict.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// In this state. `in_review` also finds published assets whose newest run waits for a person.
    pub state: Option<AssetState>,
    /// Of this kind.
    pub kind: Option<Kind>,
    /// Of this media type.
    pub media_type: Option<String>,
    /// With this tag.
    pub tag: Option<String>,
    /// What a film or recording is.
    pub media: MediaFilter,
    /// Whose newest run has a task that failed for good with this code.
    pub code: Option<String>,
    /// With all of these words in title, filename, tags or what inspection found.
    pub text: Option<String>,
    /// Created at or after.
    pub since: Option<Timestamp>,
    /// Created before.
    pub until: Option<Timestamp>,
    /// From an earlier page.
    pub cursor: Option<String>,
    /// Most items, 1 to 200.
    pub limit: u32,
}

/// A page of assets, newest first.
#[derive(Debug, Clone)]
pub struct AssetPage {
    /// Up to `limit`.
    pub items: Vec<AssetRecord>,
    /// Opaque; `None` at the end.
    pub next_cursor: Option<String>,
}

/// Which tasks to list.
#[derive(Debug, Clone, Default)]
pub struct TaskFilter {
    /// Of this asset's newest run.
    pub asset: Option<AssetId>,
    /// In this state.
    pub state: Option<TaskState>,
    /// Whose last error has this code.
    pub code: Option<String>,
    /// Of this operation.
    pub operation: Option<String>,
    /// From an earlier page.
    pub cursor: Option<String>,
    /// Most items, 1 to 200.
    pub limit: u32,
}

/// A page of tasks: an asset's in recipe order, otherwise newest first.
#[derive(Debug, Clone)]
pub struct TaskPage {
    /// Up to `limit`.
    pub items: Vec<TaskRecord>,
    /// Opaque; `None` at the end.
    pub next_cursor: Option<String>,
}

/// Events and where to go on.
#[derive(Debug, Clone)]
pub struct EventPage {
    /// In order.
    pub items: Vec<EventRecord>,
    /// The position or sequence to continue after.
    pub next: u64,
}

/// What a user changes about an asset. `None` leaves a field as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AssetPatch {
    /// `Some(None)` removes the title.
    pub title: Option<Option<String>>,
    /// Replaces all tags.
    pub tags: Option<Vec<String>>,
    /// Replaces the whole object.
    pub metadata: Option<serde_json::Map<String, Value>>,
    /// Who may fetch renditions.
    pub visibility: Option<Visibility>,
    /// Where crops look. The caller starts a new generation when it changed.
    pub focus: Option<Focus>,
}

impl AssetPatch {
    /// What the user says then, and the names of the fields that this changes.
    pub(crate) fn apply(self, old: &AssetOptions) -> (AssetOptions, Vec<&'static str>) {
        let mut new = old.clone();
        new.title = self.title.unwrap_or(new.title);
        new.tags = self.tags.unwrap_or(new.tags);
        new.metadata = self.metadata.unwrap_or(new.metadata);
        new.visibility = self.visibility.unwrap_or(new.visibility);
        new.focus = self.focus.or(new.focus);
        let fields = [
            ("title", old.title != new.title),
            ("tags", old.tags != new.tags),
            ("metadata", old.metadata != new.metadata),
            ("visibility", old.visibility != new.visibility),
            ("focus", old.focus != new.focus),
        ];
        let changed = fields.iter().filter(|(_, changed)| *changed);
        let changed = changed.map(|(name, _)| *name).collect();
        (new, changed)
    }
}

/// Variants as the recipe lists them, each with its baseline first and then the smaller formats.
pub(crate) fn in_recipe_order(found: &mut [Servable], recipe: &Recipe) {
    let variants = recipe.resize().map_or(&[][..], |r| &r.variants);
    found.sort_by_key(|s| {
        let place = variants.iter().position(|v| v.name == s.rendition.profile);
        (place.unwrap_or(usize::MAX), s.rendition.format)
    });
}

/// What is said of an original that only a rejected asset can lack.
pub(crate) fn original_gone() -> StoreError {
    let text = "the original of this rejected asset was removed after its retention time";
    StoreError::Conflict(text.into())
}

/// Verbs about assets.
#[async_trait]
pub trait Catalog: Send + Sync {
    /// One asset. Deleted ones are found too, with their state.
    async fn asset(&self, tenant: TenantId, asset: AssetId) -> Result<AssetRecord, StoreError>;

    /// What readers may see of it at this moment, in recipe order: the published generation's renditions, or the
    /// first generation's that show already. Nothing of a rejected or deleted asset.
    async fn renditions(&self, asset: AssetId) -> Result<Vec<Servable>, StoreError>;

    /// Newest first, by keyset.
    async fn search(&self, tenant: TenantId, search: &Search) -> Result<AssetPage, StoreError>;

    /// Changes what the user says; records `asset.updated` with the changed fields' names if anything changed.
    async fn update(
        &self,
        tenant: TenantId,
        asset: AssetId,
        patch: AssetPatch,
    ) -> Result<AssetRecord, StoreError>;

    /// Deletes: cancels the run, drops all references, keeps the row and the history. Repeating it changes nothing.
    async fn delete(&self, tenant: TenantId, asset: AssetId) -> Result<(), StoreError>;

    /// Tasks by filter.
    async fn tasks(&self, tenant: TenantId, filter: &TaskFilter) -> Result<TaskPage, StoreError>;

    /// The asset's history after `sequence`.
    async fn events(
        &self,
        tenant: TenantId,
        asset: AssetId,
        after: u64,
        limit: u32,
    ) -> Result<EventPage, StoreError>;

    /// Everybody's history after `position`; nothing commits later below a position that was given.
    async fn feed(&self, tenant: TenantId, after: u64, limit: u32)
    -> Result<EventPage, StoreError>;

    /// The position of the newest event.
    async fn feed_end(&self) -> Result<u64, StoreError>;

    /// The blob of an asset's original, for authorised download; not of deleted assets.
    async fn original(&self, tenant: TenantId, asset: AssetId) -> Result<BlobRow, StoreError>;
}
