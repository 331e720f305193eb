//! Bytes that a client brings to where blobs are by itself, with addresses that it was given. Where it can write nothing is ever
//! read for work: when it says that it is done, the bytes become ours under another name, or under one that nobody can write
//! any more, and are looked at only there.
//!
//! What was agreed is a plain value ([`Incoming`]) that the caller records.

use crate::folder::FolderReceiver;
use crate::{BlobError, BlobKey, Blobs, Signed};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::time::Duration;
use uuid::Uuid;

/// The least and the most that S3 takes as a part which is not the last.
pub(crate) const PART_BYTES: Range<u64> = 5 << 20..5 << 30;
/// Fewer than the 10,000 that stores allow: their addresses are one answer.
const PARTS_MAX: u64 = 1000;
const MIB: u64 = 1 << 20;

/// What a client says of its bytes before it sends them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announced {
    /// How many.
    pub bytes: u64,
    /// Their digest, where it knows.
    pub sha256: Option<[u8; 32]>,
    /// What it calls their type; it sends them under this name.
    pub media_type: Option<String>,
}

/// Bytes that are expected, and how they come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incoming {
    /// How many, in all.
    pub bytes: u64,
    /// In hexadecimal.
    pub(crate) sha256: Option<String>,
    pub(crate) media_type: Option<String>,
    /// The size of all parts but the last; without it they come in one request.
    pub(crate) part_bytes: Option<u64>,
    /// What a bucket calls the upload of these parts.
    pub(crate) upload: Option<String>,
    /// What was answered for each part, once the client has told.
    pub(crate) tags: Vec<String>,
}

/// One request of several, or the only one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Counts from 1; nothing where there is only one.
    pub part: Option<u32>,
    /// Where its bytes begin in the whole.
    pub start: u64,
    /// How many.
    pub bytes: u64,
}

impl Incoming {
    pub(crate) fn new(announced: &Announced, part_bytes: u64) -> Self {
        Self {
            bytes: announced.bytes,
            sha256: announced.sha256.map(hex::encode),
            media_type: announced.media_type.clone(),
            part_bytes: (announced.bytes > part_bytes).then(|| size(announced.bytes, part_bytes)),
            upload: None,
            tags: Vec::new(),
        }
    }

    /// From the text of [`Self::to_text`].
    ///
    /// # Errors
    /// When it is something else.
    pub fn from_text(text: &str) -> Result<Self, BlobError> {
        serde_json::from_str(text).map_err(|e| BlobError::Io {
            action: "reading what an upload is",
            source: std::io::Error::other(e),
        })
    }

    /// For the caller's records.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).expect("plain data with text keys is always JSON")
    }

    /// The digest that the whole must have.
    pub fn sha256(&self) -> Option<[u8; 32]> {
        hex::decode(self.sha256.as_ref()?).ok()?.try_into().ok()
    }

    /// What the client calls their type.
    pub fn media_type(&self) -> Option<&str> {
        self.media_type.as_deref()
    }

    /// The requests that bring them.
    pub fn pieces(&self) -> Vec<Piece> {
        let Some(size) = self.part_bytes else {
            return vec![Piece {
                part: None,
                start: 0,
                bytes: self.bytes,
            }];
        };
        let starts = (0..self.bytes).step_by(usize::try_from(size).unwrap_or(usize::MAX));
        let pieces = starts.zip(1..).map(|(start, part)| Piece {
            part: Some(part),
            start,
            bytes: size.min(self.bytes - start),
        });
        pieces.collect()
    }

    /// What was answered for each part, in order; nothing where they come in one request.
    ///
    /// # Errors
    /// A sentence for the client when it is not one for each.
    pub fn tagged(mut self, tags: Vec<String>) -> Result<Self, String> {
        let wanted = match self.part_bytes {
            Some(_) => self.pieces().len(),
            None => 0,
        };
        if tags.len() != wanted {
            return Err(format!(
                "the upload has {wanted} parts, and {} were named",
                tags.len()
            ));
        }
        let is_plain = |tag: &str| {
            let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
            (1..=128).contains(&tag.len()) && tag.bytes().all(fits)
        };
        let tags = tags.iter().map(|tag| tag.trim_matches('"').to_owned());
        self.tags = tags.collect();
        match self.tags.iter().find(|tag| !is_plain(tag)) {
            Some(_) => Err("an `etag` is not one that was answered".into()),
            None => Ok(self),
        }
    }
}

/// The size of parts: as wished, or whole mebibytes that make few enough.
fn size(bytes: u64, wished: u64) -> u64 {
    let least = bytes.div_ceil(PARTS_MAX).next_multiple_of(MIB);
    wished.max(least).clamp(PART_BYTES.start, PART_BYTES.end)
}

impl Blobs {
    /// The most bytes that can come in this way.
    pub fn incoming_bytes_max(&self) -> u64 {
        match self {
            Self::Folder(_) => PARTS_MAX * PART_BYTES.end,
            Self::Objects(objects) => objects.incoming_bytes_max(),
        }
    }

    /// Prepares for bytes; those that are more than `part_bytes` come in parts, where there can be parts.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn expect(
        &self,
        id: Uuid,
        announced: &Announced,
        part_bytes: u64,
    ) -> Result<Incoming, BlobError> {
        match self {
            Self::Folder(_) => Ok(Incoming::new(announced, part_bytes)),
            Self::Objects(objects) => objects.expect(id, announced, part_bytes).await,
        }
    }

    /// The request for each of [`Incoming::pieces`]; none where no server but the caller takes them ([`Self::receiver`]).
    ///
    /// # Errors
    /// When there are no credentials to sign with.
    pub async fn signed_incoming(
        &self,
        id: Uuid,
        incoming: &Incoming,
        valid: Duration,
    ) -> Result<Option<Vec<Signed>>, BlobError> {
        match self {
            Self::Folder(_) => Ok(None),
            Self::Objects(objects) => objects.signed_incoming(id, incoming, valid).await.map(Some),
        }
    }

    /// Takes what a client sends to an address of the caller's; none where clients send to a bucket.
    pub fn receiver(&self, id: Uuid, part: Option<u32>) -> Option<Receiver> {
        match self {
            Self::Folder(folder) => Some(Receiver(folder.receiver(id, part))),
            Self::Objects(_) => None,
        }
    }

    /// Makes the bytes ours, which have come: from now on nobody can write them. Doing it again is no error. Two callers at
    /// once have different fences.
    ///
    /// # Errors
    /// `NotFound` when they have not come, or not all, or not as they were tagged; `Torn` when they are not as many as were
    /// announced.
    pub async fn take_in(
        &self,
        id: Uuid,
        fence: u64,
        incoming: &Incoming,
    ) -> Result<BlobKey, BlobError> {
        match self {
            Self::Folder(folder) => folder.take_in(id, incoming).await,
            Self::Objects(objects) => objects.take_in(id, fence, incoming).await,
        }
    }

    /// Removes whatever there is of them, `but` what they became.
    ///
    /// # Errors
    /// When the file system or the store refuses; the collector finds what is left.
    pub async fn turn_away(
        &self,
        id: Uuid,
        incoming: &Incoming,
        but: Option<&BlobKey>,
    ) -> Result<(), BlobError> {
        match self {
            Self::Folder(folder) => folder.turn_away(id, incoming, but).await,
            Self::Objects(objects) => objects.turn_away(id, incoming, but).await,
        }
    }
}

/// A request's bytes on their way in. Dropped without [`Self::finish`] it leaves nothing.
#[derive(Debug)]
pub struct Receiver(FolderReceiver);

impl Receiver {
    /// Whether these bytes have come before and are no part, so that nothing that is sent would be taken.
    pub async fn has_come(&self) -> bool {
        self.0.has_come().await
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// When they are not taken; the request is over then.
    pub async fn write(&mut self, piece: Bytes) -> Result<(), BlobError> {
        self.0.write(piece).await
    }

    /// Makes them durable, if they have this digest, and answers what the client names them by. Of a part the same bytes may come again.
    ///
    /// # Errors
    /// `Other` when they have another digest; `AlreadyExists` when they have come before, and are no part.
    pub async fn finish(self, sha256: Option<[u8; 32]>) -> Result<String, BlobError> {
        self.0.finish(sha256).await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn incoming(bytes: u64, part_bytes: u64) -> Incoming {
        let announced = Announced {
            bytes,
            sha256: None,
            media_type: None,
        };
        Incoming::new(&announced, part_bytes)
    }

    #[test]
    fn parts_keep_to_what_stores_take() {
        let wished = 64 * MIB;
        for bytes in [
            1,
            wished,
            wished + 1,
            10 << 30,
            (10 << 30) + 12_345,
            1000 * wished + 1,
            5 << 40,
        ] {
            let incoming = incoming(bytes, wished);
            let pieces = incoming.pieces();
            assert_eq!(pieces.iter().map(|p| p.bytes).sum::<u64>(), bytes);
            assert_eq!(pieces[0].part, (bytes > wished).then_some(1), "{bytes}");
            let mut end = 0;
            for piece in &pieces {
                assert_eq!(piece.start, end);
                end += piece.bytes;
            }
            if let [all @ .., last] = &*pieces
                && !all.is_empty()
            {
                assert!(pieces.len() <= 1024, "{bytes}: {}", pieces.len());
                assert!(last.bytes > 0);
                let size = all[0].bytes;
                assert!(all.iter().all(|p| p.bytes == size));
                assert!((5 * MIB..=5 << 30).contains(&size), "{bytes}: {size}");
            }
        }
    }

    #[test]
    fn each_part_is_named_as_it_was_answered() {
        let two = || incoming(12 * MIB, 6 * MIB);
        let tags = |tags: &[&str]| tags.iter().map(|&t| t.to_owned()).collect();
        let tagged = two().tagged(tags(&["\"a1\"", "b-2"])).unwrap();
        assert_eq!(tagged.tags, ["a1", "b-2"]);
        assert_eq!(Incoming::from_text(&tagged.to_text()).unwrap(), tagged);
        for wrong in [&["a"][..], &[], &["a", ""], &["a", "<b>"], &["a", "b", "c"]] {
            assert!(two().tagged(tags(wrong)).is_err(), "{wrong:?}");
        }
        assert!(incoming(1, MIB).tagged(Vec::new()).is_ok());
        assert!(incoming(1, MIB).tagged(tags(&["a"])).is_err());
    }
}
