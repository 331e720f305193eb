//! Bytes that arrive over several requests, perhaps at several processes, and become one blob in the end.
//!
//! How far they are is a plain value ([`Grown`]) that the caller records: what it does not record never counts. So a writer
//! that was overtaken can do no harm: whatever it still writes lies where no recorded value says that anything is.

use crate::folder::FolderGrowth;
use crate::objects::ObjectGrowth;
use crate::observe::timed;
use crate::{BlobError, BlobKey, Blobs, Written};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use sha2::digest::common::hazmat::SerializableState as _;
use uuid::Uuid;

/// How far bytes are durable, and where they lie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grown {
    /// How many, from the first on.
    pub bytes: u64,
    /// The state of SHA-256 over all of them but the tail, in hexadecimal.
    pub(crate) hash: String,
    #[serde(flatten)]
    pub(crate) place: Place,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Place {
    /// In files, one after the other.
    Segments(Vec<Segment>),
    /// In parts of an object to come.
    Parts(Parts),
}

/// A file of which the first `bytes` count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Segment {
    pub(crate) fence: u64,
    pub(crate) bytes: u64,
    /// Which process writes it; no other ever does.
    pub(crate) holder: Uuid,
}

/// Parts of one size, and what is too short for one in an object of its own.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Parts {
    pub(crate) upload: Option<String>,
    pub(crate) sent: Vec<String>,
    pub(crate) tail: Option<Tail>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tail {
    pub(crate) fence: u64,
    pub(crate) number: u64,
    pub(crate) bytes: u64,
}

impl Grown {
    /// From the text of [`Self::to_text`]; an empty one is the beginning.
    ///
    /// # Errors
    /// When it is something else.
    pub fn from_text(text: &str) -> Result<Option<Self>, BlobError> {
        if text.is_empty() {
            return Ok(None);
        }
        let unreadable = |e| BlobError::Io {
            action: "reading how far an upload is",
            source: std::io::Error::other::<serde_json::Error>(e),
        };
        serde_json::from_str(text).map(Some).map_err(unreadable)
    }

    /// For the caller's records.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).expect("plain data with text keys is always JSON")
    }

    pub(crate) fn misplaced(&self) -> BlobError {
        BlobError::Io {
            action: "going on with an upload",
            source: std::io::Error::other("it was begun in another sort of blob store"),
        }
    }
}

/// The hash as it was when its state was written.
pub(crate) fn thaw(state: &str) -> Result<Sha256, BlobError> {
    let unreadable = || BlobError::Io {
        action: "going on with an upload",
        source: std::io::Error::other("the state of its hash cannot be read"),
    };
    let bytes = hex::decode(state).map_err(|_| unreadable())?;
    let bytes = bytes.as_slice().try_into().map_err(|_| unreadable())?;
    Sha256::deserialize(bytes).map_err(|_| unreadable())
}

pub(crate) fn freeze(hash: &Sha256) -> String {
    hex::encode(hash.serialize())
}

/// A writer of bytes that others go on with later. It must be ended with [`Growth::close`]: until then it may still write.
#[derive(Debug)]
pub enum Growth {
    /// Into a folder.
    Folder(FolderGrowth),
    /// Into a bucket.
    Objects(Box<ObjectGrowth>),
}

impl Growth {
    /// Adds bytes.
    ///
    /// # Errors
    /// When they are not taken; what was recorded before still counts.
    pub async fn write(&mut self, piece: Bytes) -> Result<(), BlobError> {
        match self {
            Self::Folder(growth) => growth.write(piece).await,
            Self::Objects(growth) => growth.write(piece).await,
        }
    }

    /// Makes durable what was added, or what of it can be made so cheaply while more is coming.
    ///
    /// # Errors
    /// When it is not taken.
    pub async fn checkpoint(&mut self) -> Result<Grown, BlobError> {
        match self {
            Self::Folder(growth) => growth.checkpoint().await,
            Self::Objects(growth) => growth.checkpoint().await,
        }
    }

    /// Makes durable all that was added, at the end of a request.
    ///
    /// # Errors
    /// When it is not taken.
    pub async fn pause(&mut self) -> Result<Grown, BlobError> {
        match self {
            Self::Folder(growth) => growth.checkpoint().await,
            Self::Objects(growth) => growth.pause().await,
        }
    }

    /// Makes durable all that was added, after which nothing follows.
    ///
    /// # Errors
    /// When it is not taken.
    pub async fn seal(&mut self) -> Result<Grown, BlobError> {
        match self {
            Self::Folder(growth) => growth.checkpoint().await,
            Self::Objects(growth) => growth.seal().await,
        }
    }

    /// Ends what is still under way. When it is back, this writer writes nothing more. Once the last value was recorded,
    /// `is_recorded`, what only an earlier one needs is removed.
    pub async fn close(self, is_recorded: bool) {
        match self {
            Self::Folder(growth) => growth.close().await,
            Self::Objects(growth) => growth.close(is_recorded).await,
        }
    }
}

impl Blobs {
    /// Goes on with bytes that are `grown` so far. Nobody else of this process may do so at the same time; another process
    /// may, with another `fence`.
    ///
    /// # Errors
    /// When what there is cannot be read.
    pub async fn grow(
        &self,
        id: Uuid,
        fence: u64,
        grown: Option<Grown>,
    ) -> Result<Growth, BlobError> {
        match self {
            Self::Folder(folder) => folder.grow(id, fence, grown).map(Growth::Folder),
            Self::Objects(objects) => objects
                .grow(id, fence, grown)
                .await
                .map(|g| Growth::Objects(Box::new(g))),
        }
    }

    /// Makes a blob of sealed bytes. Doing it again is no error.
    ///
    /// # Errors
    /// When the bytes are not there, or the store refuses.
    pub async fn complete(&self, id: Uuid, grown: &Grown) -> Result<Written, BlobError> {
        let request = async {
            match self {
                Self::Folder(folder) => folder.complete(id, grown).await,
                Self::Objects(objects) => objects.complete(id, grown).await,
            }
        };
        timed("complete", request).await
    }

    /// Removes whatever there is of bytes that nobody will go on with, `but` what they became. In a folder also what takers up to
    /// `fence` wrote and nobody recorded; in a bucket the collector finds that.
    ///
    /// # Errors
    /// When the file system or the store refuses; the collector finds what is left.
    pub async fn abandon(
        &self,
        id: Uuid,
        fence: u64,
        grown: Option<&Grown>,
        but: Option<&BlobKey>,
    ) -> Result<(), BlobError> {
        match self {
            Self::Folder(folder) => folder.abandon(id, fence, grown, but).await,
            Self::Objects(objects) => objects.abandon(id, grown, but).await,
        }
    }
}
