//! Identifiers. All are UUIDs of version 7, so that they sort by the time they were made.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// Where new identifiers come from: a random source in production, a counter in simulation.
pub trait Ids: Send {
    /// The next UUIDv7.
    fn next(&mut self) -> Uuid;
}

/// Said of text that is no identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("ids are like 0195f3c2-7a10-7c32-9c07-3d4b7d9c3a10")]
pub struct NotAnId;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// The sixteen bytes as stored in a database.
            pub fn as_bytes(&self) -> &[u8] {
                self.0.as_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::from_str(text).map(Self).map_err(|_| NotAnId)
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }
    };
}

id!(
    /// The owner of assets, keys and limits.
    TenantId
);
id!(
    /// One thing a user gave us.
    AssetId
);
id!(
    /// A step at work for one asset.
    TaskId
);
id!(
    /// A row that maps a verified SHA-256 to a key in the blob store.
    BlobId
);
id!(
    /// One fact in an asset's history; stable over every delivery.
    EventId
);
id!(
    /// An API key (its public part).
    KeyId
);
id!(
    /// A process that claims tasks.
    WorkerId
);
id!(
    /// One upload on its way in, before an asset exists.
    UploadId
);

id!(
    /// Lets somebody without a key make one upload (its public part).
    TokenId
);
id!(
    /// An address that is told what happens.
    WebhookId
);

impl TenantId {
    /// The tenant that owns everything until there are several: the nil UUID.
    pub const DEFAULT: Self = Self(Uuid::nil());
}
