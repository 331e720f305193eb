//! Small files that were asked for lately, in memory. A key is never used again for other bytes, so nothing here can
//! be out of date; whether somebody may have it is decided before.

use bytes::Bytes;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Two halves of this size: the older one goes as a whole when the younger one is full.
const HALF_BYTES: usize = 16 << 20;
/// Larger files are read from the disk, which the operating system caches as well.
pub(crate) const FILE_BYTES_MAX: u64 = 256 << 10;

#[derive(Default)]
pub(crate) struct Hot(Mutex<Halves>);

#[derive(Default)]
struct Halves {
    young: HashMap<String, Bytes>,
    young_bytes: usize,
    old: HashMap<String, Bytes>,
}

impl Hot {
    pub(crate) fn get(&self, key: &str) -> Option<Bytes> {
        let mut halves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bytes) = halves.young.get(key) {
            return Some(bytes.clone());
        }
        let (key, bytes) = halves.old.remove_entry(key)?;
        halves.add(key, bytes.clone());
        Some(bytes)
    }

    pub(crate) fn put(&self, key: &str, bytes: Bytes) {
        let mut halves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        halves.add(key.to_owned(), bytes);
    }
}

impl Halves {
    fn add(&mut self, key: String, bytes: Bytes) {
        if self.young_bytes + bytes.len() > HALF_BYTES {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
        self.young_bytes += bytes.len();
        if let Some(before) = self.young.insert(key, bytes) {
            self.young_bytes -= before.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_stays_and_the_rest_goes() {
        let hot = Hot::default();
        let file = Bytes::from(vec![0; 1 << 20]);
        hot.put("wanted", file.clone());
        for i in 0..100 {
            hot.put(&format!("once {i}"), file.clone());
            assert!(hot.get("wanted").is_some(), "after {i}");
        }
        assert!(hot.get("once 0").is_none());
        let halves = hot.0.lock().unwrap();
        assert!(halves.young.len() + halves.old.len() <= 32);
    }
}
