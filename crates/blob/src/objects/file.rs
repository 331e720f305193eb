//! An object that is read like a file, for code that jumps between headers.

use super::{ObjectVersion, read};
use bytes::Bytes;
use std::io::{self, Read, Seek, SeekFrom};

/// Read at once around where reading begins.
const WINDOW_BYTES: u64 = 256 << 10;

/// Objects as a file. Each read that leaves the window is a request that blocks.
#[derive(Debug)]
pub(crate) struct RangeFile {
    object: ObjectVersion,
    position: u64,
    window: Bytes,
    window_start: u64,
}

impl RangeFile {
    pub(super) fn new(object: ObjectVersion) -> Self {
        Self {
            object,
            position: 0,
            window: Bytes::new(),
            window_start: 0,
        }
    }
}

impl Read for RangeFile {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.position >= self.object.bytes || into.is_empty() {
            return Ok(0);
        }
        let window = self.window_start..self.window_start + self.window.len() as u64;
        if !window.contains(&self.position) {
            let wanted = WINDOW_BYTES.max(into.len() as u64);
            let range = self.position..self.object.bytes.min(self.position + wanted);
            let Some((piece, part)) = self.object.part(&range) else {
                return Err(io::ErrorKind::UnexpectedEof.into());
            };
            let blobs = &self.object.blobs;
            let fetched = read::range(blobs, &piece.key, part, piece.e_tag.clone());
            let fetched = blobs.inner.runtime.block_on(fetched);
            self.window = fetched.map_err(io::Error::other)?;
            self.window_start = self.position;
        }
        let offset =
            usize::try_from(self.position - self.window_start).map_err(io::Error::other)?;
        let available = &self.window[offset..];
        let count = available.len().min(into.len());
        into[..count].copy_from_slice(&available[..count]);
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for RangeFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => self.object.bytes.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
