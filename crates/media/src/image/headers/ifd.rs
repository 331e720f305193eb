//! The first directory of a TIFF or BigTIFF, read in place: entries are slices of the file, so that a
//! count can never make anybody allocate more than the file is long.

use super::{be16, be32, le16, le32};

/// A directory whose entries have been found, not yet believed.
pub(super) struct Directory<'a> {
    bytes: &'a [u8],
    little: bool,
    big: bool,
    start: usize,
    entries: usize,
}

/// The value of an entry.
pub(super) struct Entry<'a> {
    kind: u16,
    pub(super) count: u64,
    /// Where the value is in the file.
    pub(super) at: usize,
    /// `None` when it reaches past the end of the file.
    pub(super) data: Option<&'a [u8]>,
}

impl<'a> Directory<'a> {
    pub(super) fn first(bytes: &'a [u8]) -> Option<Self> {
        let little = bytes.first()? == &b'I';
        let mut directory = Self {
            bytes,
            little,
            big: false,
            start: 0,
            entries: 0,
        };
        directory.big = directory.read16(2)? == 43;
        let at = usize::try_from(directory.offset(if directory.big { 8 } else { 4 })?).ok()?;
        directory.entries = if directory.big {
            usize::try_from(directory.read64(at)?)
                .ok()?
                .min(bytes.len() / 20)
        } else {
            directory.read16(at)?.into()
        };
        directory.start = at + if directory.big { 8 } else { 2 };
        Some(directory)
    }

    /// The last entry with this tag: the one that the decoder believes as well.
    pub(super) fn find(&self, tag: u16) -> Option<Entry<'a>> {
        let length = if self.big { 20 } else { 12 };
        let entry = (0..self.entries)
            .rev()
            .map(|n| self.start + n * length)
            .find(|&at| self.read16(at) == Some(tag))?;
        let kind = self.read16(entry + 2)?;
        let (count, inline, room) = if self.big {
            (self.read64(entry + 4)?, entry + 12, 8)
        } else {
            (self.read32(entry + 4)?.into(), entry + 8, 4)
        };
        let size = count.saturating_mul(size_of_kind(kind));
        let at = if size <= room {
            inline
        } else {
            usize::try_from(self.offset(inline)?).unwrap_or(usize::MAX)
        };
        let end = usize::try_from(size)
            .ok()
            .and_then(|size| at.checked_add(size));
        Some(Entry {
            kind,
            count,
            at,
            data: end.and_then(|end| self.bytes.get(at..end)),
        })
    }

    /// A single whole number.
    pub(super) fn number(&self, tag: u16) -> Option<u32> {
        let entry = self.find(tag)?;
        match (entry.kind, entry.count) {
            (_, 0) => None,
            (1, _) => Some((*self.bytes.get(entry.at)?).into()),
            (3, _) => self.read16(entry.at).map(u32::from),
            (4, _) => self.read32(entry.at),
            (16, _) => self
                .read64(entry.at)
                .and_then(|value| value.try_into().ok()),
            _ => None,
        }
    }

    fn offset(&self, at: usize) -> Option<u64> {
        if self.big {
            self.read64(at)
        } else {
            self.read32(at).map(u64::from)
        }
    }

    fn read16(&self, at: usize) -> Option<u16> {
        if self.little {
            le16(self.bytes, at)
        } else {
            be16(self.bytes, at)
        }
    }

    fn read32(&self, at: usize) -> Option<u32> {
        if self.little {
            le32(self.bytes, at)
        } else {
            be32(self.bytes, at)
        }
    }

    fn read64(&self, at: usize) -> Option<u64> {
        let (first, second) = (self.read32(at)?, self.read32(at.checked_add(4)?)?);
        let (high, low) = if self.little {
            (second, first)
        } else {
            (first, second)
        };
        Some(u64::from(high) << 32 | u64::from(low))
    }
}

fn size_of_kind(kind: u16) -> u64 {
    match kind {
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 | 16..=18 => 8,
        _ => 1,
    }
}
