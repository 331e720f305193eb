//! The facts of an asset's history. On the wire each is a CloudEvent of one of these types.

use serde_json::Value;

/// What systems outside subscribe to: each type of event is in one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Topic {
    /// What people give and say.
    Ingest,
    /// What may be shown and what may not.
    Moderation,
    /// How the work goes.
    Processing,
    /// What can be shown, and what cannot any more.
    Delivery,
    /// What failed for good, and what was tried again after that.
    DeadLetter,
}

impl Topic {
    /// Every topic.
    pub const ALL: [Self; 5] = [
        Self::Ingest,
        Self::Moderation,
        Self::Processing,
        Self::Delivery,
        Self::DeadLetter,
    ];

    /// The last part of its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Moderation => "moderation",
            Self::Processing => "processing",
            Self::Delivery => "delivery",
            Self::DeadLetter => "deadletter",
        }
    }
}

macro_rules! events {
    ($($variant:ident $topic:ident $text:literal $meaning:literal;)*) => {
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

            /// Where systems outside are told of it.
            pub const fn topic(self) -> Topic {
                match self { $(Self::$variant => Topic::$topic,)* }
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
    AssetAccepted Ingest "asset.accepted" "The original is stored and the tasks exist; the upload was answered 202.";
    AssetUpdated Ingest "asset.updated" "Title, tags, metadata, visibility or focus changed.";
    AssetReprocessing Processing "asset.reprocessing" "A new generation began.";
    AssetInReview Moderation "asset.in_review" "A person must decide.";
    AssetViewable Delivery "asset.viewable" "The baseline renditions can be shown, though the rest is still being made.";
    AssetReady Delivery "asset.ready" "Everything is made and published.";
    AssetFailed Processing "asset.failed" "A required step failed for good.";
    AssetRejected Moderation "asset.rejected" "Moderation refused it; what was made has been removed.";
    AssetDeleted Delivery "asset.deleted" "Deleted on request.";
    TaskSucceeded Processing "task.succeeded" "A step finished.";
    TaskSkipped Processing "task.skipped" "A step was not needed.";
    TaskRetrying Processing "task.retrying" "An attempt failed and another will follow.";
    TaskDead DeadLetter "task.dead" "A task failed for good and waits to be replayed.";
    TaskCancelled Processing "task.cancelled" "A step is not wanted any more.";
    TaskReplayed DeadLetter "task.replayed" "A dead task was made ready again.";
    ModerationDecided Moderation "moderation.decided" "The gate has a verdict.";
    CaptionsGiven Ingest "captions.given" "Somebody gave the asset captions, or others in their place.";
    CaptionsRemoved Ingest "captions.removed" "Captions that somebody gave were taken away.";
    RenditionImproved Delivery "rendition.improved" "A rendition was replaced by a smaller one of the same quality.";
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
