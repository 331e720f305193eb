//! Keys: where bytes are, in a form that can never leave its folder.

use crate::BlobError;
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// The name of stored bytes: `area/shard/name`. Generated, never reused, never a user's text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlobKey(String);

impl BlobKey {
    /// The first parts of all keys.
    pub(crate) const AREAS: [&str; 2] = ["originals", "renditions"];

    /// Where an upload's bytes go.
    pub fn original(upload: Uuid) -> Self {
        Self(format!("originals/{}/{}", shard(upload), upload.simple()))
    }

    /// Where what one taker of a growing upload writes goes, in a folder.
    pub(crate) fn segment(upload: Uuid, fence: u64) -> Self {
        Self(format!("{}-{fence}", Self::original(upload)))
    }

    /// Where one taker of a growing upload keeps what is too short for a part, in a bucket.
    pub(crate) fn tail(upload: Uuid, fence: u64, number: u64) -> Self {
        Self(format!("{}-{fence}-{number}", Self::original(upload)))
    }

    /// Where a client brings an upload's bytes in one request.
    pub(crate) fn incoming(upload: Uuid) -> Self {
        Self(format!("{}-in", Self::original(upload)))
    }

    /// Where a part of them lies that a client sent to the API, named by its digest as well.
    pub(crate) fn incoming_part(upload: Uuid, part: u32, tag: &str) -> Self {
        Self(format!("{}-in-{part}-{tag}", Self::original(upload)))
    }

    /// The upload that an original's key was made for.
    pub fn upload(&self) -> Option<Uuid> {
        let name = self.0.strip_prefix("originals/")?.split_once('/')?.1;
        Uuid::try_parse(name.split('-').next()?).ok()
    }

    /// Where one attempt of a task writes its `index`-th output. Another attempt has another fence.
    pub fn output(task: Uuid, fence: u64, index: usize) -> Self {
        Self(format!(
            "renditions/{}/{}-{fence}-{index}",
            shard(task),
            task.simple()
        ))
    }

    /// The task and fence of an output's key, if it is one.
    pub fn attempt(&self) -> Option<(Uuid, u64)> {
        let name = self.0.strip_prefix("renditions/")?.split_once('/')?.1;
        let mut parts = name.split('-');
        let task = Uuid::try_parse(parts.next()?).ok()?;
        Some((task, parts.next()?.parse().ok()?))
    }

    /// The text, as stored in a database.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The last byte is random also in a UUIDv7, so that folders fill evenly.
fn shard(id: Uuid) -> String {
    hex::encode(&id.as_bytes()[15..])
}

impl FromStr for BlobKey {
    type Err = BlobError;

    fn from_str(text: &str) -> Result<Self, BlobError> {
        let parts: Vec<&str> = text.split('/').collect();
        let plain = |part: &&str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        let known = parts.first().is_some_and(|area| Self::AREAS.contains(area));
        if known && parts.len() == 3 && parts.iter().all(plain) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BlobError::InvalidKey(text.to_owned()))
        }
    }
}

impl fmt::Display for BlobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
