//! How much is kept and of what, counted in steps. Each step is a statement over so many rows: a count of a million assets that was one
//! statement would take a minute, in which a database keeps everything that was deleted since.

use crate::StoreError;
use async_trait::async_trait;
use mediaflow_core::{AssetId, BlobId, Kind};
use std::ops::AddAssign;

/// Files, and their bytes together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    /// How many.
    pub files: u64,
    /// Of all of them.
    pub bytes: u64,
}

impl AddAssign for Amount {
    fn add_assign(&mut self, other: Self) {
        self.files += other.files;
        self.bytes += other.bytes;
    }
}

/// What a file is to its asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sort {
    /// As uploaded.
    Original,
    /// A picture, or a file to download.
    Rendition,
    /// Segments of films and sounds, with what begins a stream.
    Stream,
    /// Captions, found or given.
    Captions,
    /// What a generation's tasks made of the original for each other.
    Piece,
}

impl Sort {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::Original,
        Self::Rendition,
        Self::Stream,
        Self::Captions,
        Self::Piece,
    ];

    /// The name in the API and in statements.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Original => "original",
            Self::Rendition => "rendition",
            Self::Stream => "stream",
            Self::Captions => "captions",
            Self::Piece => "piece",
        }
    }

    /// The sort of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|sort| sort.as_str() == name)
    }
}

/// What assets of one kind refer to, of one sort and format. A blob counts as often as it is referred to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Of the assets.
    pub kind: Kind,
    /// What the files are to them.
    pub sort: Sort,
    /// `avif`, `cmaf`, ...; of originals the media type.
    pub format: String,
    /// How much. A stream under way counts the segments that are planned, with the bytes of those that are there.
    pub amount: Amount,
}

/// Blobs, each once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shelved {
    /// Those that can be used.
    pub live: Amount,
    /// Those that the collector is about to delete.
    pub condemned: Amount,
}

/// What belongs to no asset.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Aside {
    /// Of uploads that are not whole yet.
    pub arriving: Amount,
    /// What this installation holds for itself, such as the watermark.
    pub pinned: Amount,
    /// Of the database itself.
    pub database_bytes: u64,
}

/// Verbs of who counts what is kept. A count begins after the nil id and goes on after the id that a step answers, until it answers
/// none. Steps see what there is when they are taken, so that a count over all of them is near the truth and not a moment of it.
#[async_trait]
pub trait Measuring: Send + Sync {
    /// What the next `limit` assets refer to.
    async fn held(
        &self,
        after: AssetId,
        limit: u32,
    ) -> Result<(Vec<Held>, Option<AssetId>), StoreError>;

    /// The next `limit` blobs.
    async fn shelved(
        &self,
        after: BlobId,
        limit: u32,
    ) -> Result<(Shelved, Option<BlobId>), StoreError>;

    /// Those of the next `limit` blobs that lost a reference to which nothing refers any more. The collector takes them after their
    /// grace time.
    async fn unreferenced(
        &self,
        after: BlobId,
        limit: u32,
    ) -> Result<(Amount, Option<BlobId>), StoreError>;

    /// What belongs to no asset.
    async fn aside(&self) -> Result<Aside, StoreError>;
}
