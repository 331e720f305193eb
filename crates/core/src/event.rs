//! The facts of an asset's history. On the wire each is a CloudEvent of one of these types.

use serde_json::Value;

macro_rules! events {
    ($($variant:ident $text:literal $meaning:literal;)*) => {
        /// What happened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum EventType {
            $(#[doc = $meaning] $variant,)*
        }

        impl EventType {
            /// Every type, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The CloudEvents `type`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// What it says, for the documentation.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }

            /// The type of that text.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

events! {
    AssetAccepted "asset.accepted" "The original is stored and the tasks exist; the upload was answered 202.";
    AssetUpdated "asset.updated" "Title, tags, metadata, visibility or focus changed.";
    AssetReprocessing "asset.reprocessing" "A new generation began.";
    AssetInReview "asset.in_review" "A person must decide.";
    AssetViewable "asset.viewable" "The baseline renditions can be shown, though the rest is still being made.";
    AssetReady "asset.ready" "Everything is made and published.";
    AssetFailed "asset.failed" "A required step failed for good.";
    AssetRejected "asset.rejected" "Moderation refused it; what was made has been removed.";
    AssetDeleted "asset.deleted" "Deleted on request.";
    TaskSucceeded "task.succeeded" "A step finished.";
    TaskSkipped "task.skipped" "A step was not needed.";
    TaskRetrying "task.retrying" "An attempt failed and another will follow.";
    TaskDead "task.dead" "A task failed for good and waits to be replayed.";
    TaskCancelled "task.cancelled" "A step is not wanted any more.";
    TaskReplayed "task.replayed" "A dead task was made ready again.";
    ModerationDecided "moderation.decided" "The gate has a verdict.";
    CaptionsGiven "captions.given" "Somebody gave the asset captions, or others in their place.";
    CaptionsRemoved "captions.removed" "Captions that somebody gave were taken away.";
    RenditionImproved "rendition.improved" "A rendition was replaced by a smaller one of the same quality.";
}

/// A fact that the core wants recorded; the store gives it id, number and time.
#[derive(Debug, Clone, PartialEq)]
pub struct EventDraft {
    /// What happened.
    pub kind: EventType,
    /// Details, a JSON object.
    pub data: Value,
}

impl EventDraft {
    /// An event with these details.
    pub fn new(kind: EventType, data: Value) -> Self {
        Self { kind, data }
    }
}
