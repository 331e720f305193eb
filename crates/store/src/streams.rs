//! Streams: what tasks record of them, and what players read.

use crate::{BlobRow, CaptionsRecord, NewBlob, StoreError};
use async_trait::async_trait;
use mediaflow_core::operation::Packaging;
use mediaflow_core::{AssetId, Sha256, Visibility};
use serde_json::Value;

/// What a stream carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrackKind {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
}

impl TrackKind {
    /// The name in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Video => "video",
            Self::Audio => "audio",
        }
    }

    /// The kind of that name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Video, Self::Audio]
            .into_iter()
            .find(|k| k.as_str() == name)
    }
}

/// A file of a stream that players fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamFile {
    /// The initialisation segment of CMAF.
    Init,
    /// The segment of that number, from 0, wrapped in that.
    Segment(Packaging, u32),
}

/// A stream as every task that makes a part of it describes it.
#[derive(Debug, Clone)]
pub struct NewTrack {
    /// In URLs: `720p`, `audio-128`.
    pub name: String,
    /// What it carries.
    pub kind: TrackKind,
    /// As in the attribute CODECS (RFC 6381).
    pub codecs: String,
    /// In pixels.
    pub width: Option<u32>,
    /// In pixels.
    pub height: Option<u32>,
    /// What else a playlist says: frame rate, group, language, ...
    pub said: Value,
    /// Units of time in a second.
    pub timescale: u32,
    /// How many segments it will have.
    pub segments: u32,
    /// What its segments are wrapped in.
    pub packaging: Packaging,
    /// The initialisation segment: the same bytes from every task, or its report is refused. Readers see that of CMAF only.
    pub init: NewBlob,
}

/// How near pictures came to their source.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quality {
    /// How many were compared.
    pub frames: u64,
    /// Mean structural similarity, 0 to 1.
    pub ssim_mean: f64,
    /// That of the worst picture.
    pub ssim_min: f64,
}

/// One segment, decoded and checked by the task that records it.
#[derive(Debug, Clone)]
pub struct NewSegment {
    /// Whose.
    pub track: String,
    /// Counts from 0.
    pub number: u32,
    /// In the track's units of time.
    pub duration: u64,
    /// How many of its first bytes show its first picture, for I-frame playlists; 0 in sound.
    pub key_bytes: u64,
    /// What was compared of the chunk that begins with it.
    pub quality: Option<Quality>,
    /// The bytes.
    pub blob: NewBlob,
}

/// A stream with the segments that can be listed: those from the first on without a gap.
#[derive(Debug, Clone)]
pub struct Track {
    /// In URLs.
    pub name: String,
    /// What it carries.
    pub kind: TrackKind,
    /// As in the attribute CODECS.
    pub codecs: String,
    /// In pixels.
    pub width: Option<u32>,
    /// In pixels.
    pub height: Option<u32>,
    /// What else a playlist says.
    pub said: Value,
    /// Units of time in a second.
    pub timescale: u32,
    /// What its segments are wrapped in.
    pub packaging: Packaging,
    /// The initialisation segment.
    pub init: Sha256,
    /// In their order.
    pub segments: Vec<Segment>,
    /// Whether these are all.
    pub whole: bool,
}

/// A segment that can be listed.
#[derive(Debug, Clone)]
pub struct Segment {
    /// In the track's units of time.
    pub duration: u64,
    /// How many of its first bytes show its first picture.
    pub key_bytes: u64,
    /// Of its bytes.
    pub sha256: Sha256,
    /// Length.
    pub bytes: u64,
}

/// What readers may see of an asset's streams.
#[derive(Debug, Clone)]
pub struct Streams {
    /// Who may.
    pub visibility: Visibility,
    /// Whether the generation is published: nothing changes any more.
    pub published: bool,
    /// In the addresses of the generation's finished playlists: another generation has others.
    pub edition: Sha256,
    /// Of one generation, by name.
    pub tracks: Vec<Track>,
}

/// The edition of a generation's playlists. Its number rises where they are written in another way, so that caches do not
/// go on with the old ones.
pub(crate) fn edition(asset: AssetId, generation: u32) -> Sha256 {
    Sha256::of(format!("playlists 1 {asset} {generation}").as_bytes())
}

/// The edition of what names all streams and captions: it changes with the captions.
pub fn master_edition(edition: Sha256, captions: &[CaptionsRecord]) -> Sha256 {
    let mut text = edition.to_string();
    for one in captions {
        text += &format!(
            "\n{} {} {} {}",
            one.name, one.sha256, one.language, one.label
        );
    }
    Sha256::of(text.as_bytes())
}

/// What an asset's JSON tells of its streams, found without reading their segments.
#[derive(Debug, Clone)]
pub struct StreamsStatus {
    /// As in [`Streams`].
    pub published: bool,
    /// As in [`Streams`].
    pub edition: Sha256,
    /// Of one generation, by name.
    pub tracks: Vec<TrackStatus>,
}

/// A stream without its segments.
#[derive(Debug, Clone)]
pub struct TrackStatus {
    /// In URLs.
    pub name: String,
    /// What it carries.
    pub kind: TrackKind,
    /// In pixels.
    pub width: Option<u32>,
    /// In pixels.
    pub height: Option<u32>,
    /// What else a playlist says.
    pub said: Value,
    /// What its segments are wrapped in.
    pub packaging: Packaging,
    /// The initialisation segment.
    pub init: Sha256,
    /// Whether its first segment is there, so that it can be played from its beginning.
    pub begun: bool,
    /// Of all its segments.
    pub bytes: u64,
    /// What was compared of its pictures.
    pub quality: Option<Quality>,
}

/// Verbs of streams.
#[async_trait]
pub trait Playback: Send + Sync {
    /// What readers may see at this moment; no track of an asset that shows nothing, or has no streams.
    async fn streams(&self, asset: AssetId) -> Result<Streams, StoreError>;

    /// The same without segments; the cost does not grow with the film.
    async fn streams_status(&self, asset: AssetId) -> Result<StreamsStatus, StoreError>;

    /// A file that readers may see.
    async fn segment(
        &self,
        asset: AssetId,
        track: &str,
        file: StreamFile,
    ) -> Result<Option<(BlobRow, Visibility)>, StoreError>;

    /// All that a generation has recorded, shown or not, for the tasks that check it: each track with its
    /// initialisation segment and its segments.
    async fn made(
        &self,
        asset: AssetId,
        generation: u32,
    ) -> Result<Vec<(Track, BlobRow, Vec<BlobRow>)>, StoreError>;

    /// What this generation has recorded as [`Output::pieces`](crate::Output::pieces), in its order.
    async fn pieces(&self, asset: AssetId, generation: u32) -> Result<Vec<BlobRow>, StoreError>;

    /// What a step of this generation found out; without one, of the newest that has it.
    async fn found(
        &self,
        asset: AssetId,
        generation: Option<u32>,
        operation: &str,
    ) -> Result<Option<Value>, StoreError>;
}
