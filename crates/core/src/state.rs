//! The states of assets, runs and tasks, and which changes are legal.

use serde::{Deserialize, Serialize};

macro_rules! states {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name in API and database.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The state of that name.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

states! {
    /// What an asset as a whole is doing.
    AssetState {
        /// Accepted; nothing has reported yet.
        Uploaded = "uploaded",
        /// Its recipe is at work.
        Processing = "processing",
        /// Waits for a person's decision.
        InReview = "in_review",
        /// Everything the recipe makes is there.
        Ready = "ready",
        /// A required step failed for good.
        Failed = "failed",
        /// Moderation refused it.
        Rejected = "rejected",
        /// Deleted on request.
        Deleted = "deleted",
    }
}

states! {
    /// One generation's state.
    RunState {
        /// Accepted; nothing has reported yet.
        Uploaded = "uploaded",
        /// Tasks are at work.
        Processing = "processing",
        /// Waits for a person's decision.
        InReview = "in_review",
        /// Published.
        Ready = "ready",
        /// A required step is dead and nothing else is at work.
        Failed = "failed",
        /// Moderation refused it.
        Rejected = "rejected",
        /// A newer generation or a deletion ended it.
        Cancelled = "cancelled",
    }
}

states! {
    /// One task's state.
    TaskState {
        /// Waits for the steps it needs.
        Pending = "pending",
        /// May be claimed.
        Ready = "ready",
        /// Claimed; a lease is held.
        Running = "running",
        /// No lease: waits for a person's decision or a retry time.
        Waiting = "waiting",
        /// Done.
        Succeeded = "succeeded",
        /// Its `when` did not hold.
        Skipped = "skipped",
        /// Failed for good; kept until it is replayed.
        Dead = "dead",
        /// Not wanted any more.
        Cancelled = "cancelled",
    }
}

impl TaskState {
    /// Whether nothing more happens without a replay.
    pub const fn is_ended(self) -> bool {
        matches!(
            self,
            Self::Succeeded | Self::Skipped | Self::Dead | Self::Cancelled
        )
    }

    /// Whether a task may go from this state to `next`.
    pub const fn allows(self, next: Self) -> bool {
        use TaskState::{Cancelled, Dead, Pending, Ready, Running, Skipped, Succeeded, Waiting};
        matches!(
            (self, next),
            (Pending, Ready | Succeeded | Skipped | Cancelled)
                | (Ready, Running | Cancelled)
                | (Running, Succeeded | Waiting | Ready | Dead | Cancelled)
                | (Waiting, Ready | Succeeded | Cancelled)
                | (Dead, Ready)
                | (Cancelled, Pending)
        )
    }
}

impl RunState {
    /// Whether tasks may still be claimed and replayed.
    pub const fn is_open(self) -> bool {
        !matches!(self, Self::Rejected | Self::Cancelled)
    }

    /// What an asset shows while this is its newest run and nothing older is published.
    pub const fn asset_state(self) -> AssetState {
        match self {
            Self::Uploaded => AssetState::Uploaded,
            Self::Processing => AssetState::Processing,
            Self::InReview => AssetState::InReview,
            Self::Ready => AssetState::Ready,
            Self::Failed => AssetState::Failed,
            Self::Rejected => AssetState::Rejected,
            Self::Cancelled => AssetState::Deleted,
        }
    }
}
