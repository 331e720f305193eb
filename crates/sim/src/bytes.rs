//! The blob store's model: verified writes under keys that are never reused, with all that object stores do.

use crate::plan::Fault;
use crate::trouble::Trouble;
use async_trait::async_trait;
use mediaflow_blob::{BlobError, BlobKey};
use mediaflow_core::Sha256;
use mediaflow_engine::services::Shelf;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

struct Stored {
    content: Vec<u8>,
    written_at: i64,
}

#[derive(Default)]
struct Shelves {
    stored: BTreeMap<String, Stored>,
    /// Deleted lately: a stale listing still shows them.
    gone: Vec<String>,
}

/// All bytes of a world.
pub(crate) struct Bytes {
    trouble: Trouble,
    shelves: Mutex<Shelves>,
}

fn failed(action: &'static str) -> BlobError {
    BlobError::Io {
        action,
        source: std::io::Error::other("simulated"),
    }
}

impl Bytes {
    pub(crate) fn new(trouble: Trouble) -> Self {
        Self {
            trouble,
            shelves: Mutex::default(),
        }
    }

    fn with<T>(&self, what: impl FnOnce(&mut Shelves) -> T) -> T {
        what(
            &mut self
                .shelves
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner),
        )
    }

    /// Writes and verifies, as the real one does: what was flipped on the way is refused.
    pub(crate) fn put(&self, key: &BlobKey, content: &[u8]) -> Result<Sha256, BlobError> {
        if self.trouble.happens(Fault::BlobFails) {
            return Err(failed("writing a blob"));
        }
        let mut written = content.to_vec();
        let flipped = self.trouble.happens(Fault::BlobFlips);
        if flipped && let Some(byte) = written.first_mut() {
            *byte ^= 0x10;
        }
        let now = self.trouble.clock().true_now();
        let found = Sha256::of(&written);
        let taken = self.with(|s| {
            if s.stored.contains_key(key.as_str()) {
                return true;
            }
            s.stored.insert(
                key.as_str().to_owned(),
                Stored {
                    content: written,
                    written_at: now,
                },
            );
            false
        });
        if taken {
            return Err(failed("a key was used twice"));
        }
        if flipped || self.trouble.happens(Fault::BlobLate) {
            return Err(failed("verifying a blob"));
        }
        Ok(found)
    }

    /// Reads as a worker does, who compares the digest.
    pub(crate) fn read(&self, key: &str, sha256: Sha256) -> Result<(), BlobError> {
        if self.trouble.happens(Fault::BlobFlips) {
            return Err(failed("reading a blob"));
        }
        match self.holds(key, sha256) {
            true => Ok(()),
            false => Err(failed("there is no such blob")),
        }
    }

    /// Whether exactly these bytes are there, as only the simulator can know.
    pub(crate) fn holds(&self, key: &str, sha256: Sha256) -> bool {
        self.with(|s| {
            s.stored
                .get(key)
                .is_some_and(|b| Sha256::of(&b.content) == sha256)
        })
    }

    /// Every key.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.with(|s| s.stored.keys().cloned().collect())
    }

    /// Removes bytes without asking whether that may fail.
    pub(crate) fn discard(&self, key: &BlobKey) {
        self.with(|s| s.stored.remove(key.as_str()));
    }
}

#[async_trait]
impl Shelf for Bytes {
    async fn delete(&self, key: &BlobKey) -> Result<(), BlobError> {
        if self.trouble.happens(Fault::BlobFails) {
            return Err(failed("deleting a blob"));
        }
        self.with(|s| {
            if s.stored.remove(key.as_str()).is_some() {
                s.gone.push(key.as_str().to_owned());
            }
        });
        if self.trouble.happens(Fault::BlobLate) {
            return Err(failed("deleting a blob"));
        }
        Ok(())
    }

    async fn older_than(&self, _: u8, age: Duration) -> Result<Vec<BlobKey>, BlobError> {
        let limit =
            self.trouble.clock().true_now() - i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
        let stale = self.trouble.happens(Fault::ListStale);
        let mut keys: Vec<String> = self.with(|s| {
            let old = s.stored.iter().filter(|(_, b)| b.written_at < limit);
            let mut keys: Vec<String> = old.map(|(k, _)| k.clone()).collect();
            if stale {
                keys.extend(s.gone.iter().cloned());
            }
            keys
        });
        if stale {
            let (shown, missing) = (
                keys.len(),
                self.trouble.below(keys.len() as u64 + 1) as usize,
            );
            keys.rotate_left(missing);
            keys.truncate(shown - missing / 2);
        }
        keys.iter().map(|k| k.parse()).collect()
    }
}
