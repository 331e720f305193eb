//! Reading and writing boxes, nothing about what is in them.

use std::ops::Range;

use crate::MediaError;

/// Most boxes beside each other: of the smallest, a file of a few megabytes could have a million.
const BESIDE_MAX: usize = 100_000;

/// One box inside a buffer.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) kind: [u8; 4],
    /// The whole box.
    pub(super) whole: Range<usize>,
    /// What is in it, after its header.
    pub(super) body: Range<usize>,
}

/// The boxes that lie beside each other in `range` of `data`.
pub(super) fn list(data: &[u8], range: Range<usize>) -> Result<Vec<Found>, MediaError> {
    let mut found = Vec::new();
    let mut at = range.start;
    while at + 8 <= range.end {
        let small = u32_at(data, at)? as u64;
        let kind = bytes_at::<4>(data, at + 4)?;
        let (size, header) = match small {
            0 => ((range.end - at) as u64, 8),
            1 => (u64::from_be_bytes(bytes_at(data, at + 8)?), 16),
            size => (size, 8),
        };
        let size = usize::try_from(size).map_err(|_| broken("a box is too large"))?;
        if size < header || size > range.end - at {
            return Err(broken("a box is longer than what holds it"));
        }
        if found.len() == BESIDE_MAX {
            return Err(broken("there are too many boxes"));
        }
        found.push(Found {
            kind,
            whole: at..at + size,
            body: at + header..at + size,
        });
        at += size;
    }
    Ok(found)
}

/// The first box of a path of kinds, each inside the one before.
pub(super) fn find(
    data: &[u8],
    range: Range<usize>,
    path: &[&[u8; 4]],
) -> Result<Option<Range<usize>>, MediaError> {
    let mut range = range;
    for kind in path {
        let inside = list(data, range)?;
        match inside.into_iter().find(|b| b.kind == **kind) {
            Some(found) => range = found.body,
            None => return Ok(None),
        }
    }
    Ok(Some(range))
}

pub(super) fn u32_at(data: &[u8], at: usize) -> Result<u32, MediaError> {
    bytes_at(data, at).map(u32::from_be_bytes)
}

pub(super) fn u64_at(data: &[u8], at: usize) -> Result<u64, MediaError> {
    bytes_at(data, at).map(u64::from_be_bytes)
}

fn bytes_at<const N: usize>(data: &[u8], at: usize) -> Result<[u8; N], MediaError> {
    at.checked_add(N)
        .and_then(|end| data.get(at..end))
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| broken("a box ends early"))
}

pub(super) fn broken(what: &str) -> MediaError {
    MediaError::encoder(format!("what ffmpeg wrote cannot be read: {what}"))
}

/// A buffer that boxes are written into.
#[derive(Debug, Default)]
pub(super) struct Writer(pub(super) Vec<u8>);

impl Writer {
    /// A box whose body `fill` writes.
    pub(super) fn boxed(&mut self, kind: &[u8; 4], fill: impl FnOnce(&mut Self)) {
        let start = self.0.len();
        self.u32(0);
        self.0.extend_from_slice(kind);
        fill(self);
        let size = (self.0.len() - start) as u32;
        self.0[start..start + 4].copy_from_slice(&size.to_be_bytes());
    }

    /// A box that begins with a version and flags.
    pub(super) fn full(
        &mut self,
        kind: &[u8; 4],
        version: u8,
        flags: u32,
        fill: impl FnOnce(&mut Self),
    ) {
        self.boxed(kind, |w| {
            w.u32(u32::from(version) << 24 | flags);
            fill(w);
        });
    }

    pub(super) fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(super) fn u16(&mut self, value: u16) {
        self.bytes(&value.to_be_bytes());
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.bytes(&value.to_be_bytes());
    }

    pub(super) fn u64(&mut self, value: u64) {
        self.bytes(&value.to_be_bytes());
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn zeros(&mut self, count: usize) {
        self.0.resize(self.0.len() + count, 0);
    }
}
