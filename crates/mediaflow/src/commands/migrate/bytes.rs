//! Bytes from one place to another, several files at a time, each held against the digest that its row has. What has arrived
//! is noted in the new database, so that no later pass copies it again.

use super::end::End;
use crate::fault::Fault;
use futures_util::{StreamExt as _, stream};
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use mediaflow_blob::{BlobError, BlobKey, Blobs};
use mediaflow_store::BlobRow;
use sha2::{Digest as _, Sha256};
use std::fmt;
use uuid::Uuid;

/// Rows that are looked at together.
const PAGE: u32 = 1000;
/// Files that are noted together, at most.
const NOTED: usize = 64;

/// Copies what has not arrived.
pub(super) struct Copying<'a> {
    from: &'a End,
    to: &'a End,
    together: usize,
    /// Bytes of all files, what arrived in earlier passes and runs included.
    bar: ProgressBar,
}

/// What one pass did.
#[derive(Default)]
pub(super) struct Pass {
    pub(super) files: u64,
    bytes: u64,
    /// What cannot be copied.
    pub(super) bad: Vec<Bad>,
}

impl fmt::Display for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} files copied and verified, {}",
            self.files,
            HumanBytes(self.bytes)
        )
    }
}

/// A file that is not what its row says.
pub(super) struct Bad {
    row: BlobRow,
    what: What,
    assets: Vec<Uuid>,
}

impl fmt::Display for Bad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.what {
            What::Missing => "missing",
            _ => "corrupt",
        };
        write!(f, "{what}: {} (sha256 {})", self.row.key, self.row.sha256)?;
        for (n, asset) in self.assets.iter().enumerate() {
            write!(f, "{} {asset}", if n == 0 { " of asset" } else { "," })?;
        }
        Ok(())
    }
}

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Copied,
    Missing,
    Corrupt,
}

impl<'a> Copying<'a> {
    pub(super) fn new(from: &'a End, to: &'a End, together: usize) -> Self {
        let style = ProgressStyle::with_template(
            "{bar:24} {bytes}/{total_bytes} {bytes_per_sec} {eta} left {msg}",
        );
        let bar = ProgressBar::no_length();
        bar.set_style(style.expect("the template is tested by every run"));
        Self {
            from,
            to,
            together,
            bar,
        }
    }

    /// Copies every file that has not arrived. What goes wrong with a file is only told in the `last` pass: in those before the
    /// source may be collecting it.
    pub(super) async fn pass(&self, last: bool) -> Result<Pass, Fault> {
        let mut pass = Pass::default();
        if self.from.shares_bytes(self.to) {
            return Ok(pass);
        }
        let totals = self.from.premises.blob_totals().await;
        let (files, bytes) = totals.map_err(|e| self.from.failed(e))?;
        self.bar.set_length(bytes);
        self.bar.set_position(0);
        self.bar.set_message(format!("of {files} files"));
        let mut after = Uuid::nil();
        loop {
            let rows = self.from.premises.blobs_after(after, PAGE).await;
            let rows = rows.map_err(|e| self.from.failed(e))?;
            let Some(newest) = rows.last() else { break };
            after = newest.id.0;
            self.page(rows, last, &mut pass).await?;
        }
        self.bar.finish_and_clear();
        Ok(pass)
    }

    async fn page(&self, rows: Vec<BlobRow>, last: bool, pass: &mut Pass) -> Result<(), Fault> {
        let ids: Vec<Uuid> = rows.iter().map(|row| row.id.0).collect();
        let arrived = self.to.premises.arrived(&ids).await;
        let arrived = arrived.map_err(|e| self.to.failed(e))?;
        let (known, new): (Vec<_>, Vec<_>) = rows
            .into_iter()
            .partition(|row| arrived.contains(&row.id.0));
        self.bar.inc(known.iter().map(|row| row.bytes).sum());
        let copies = new.into_iter().map(|row| async move {
            let what = self.copy(&row).await?;
            Ok::<_, Fault>((row, what))
        });
        let mut copies = stream::iter(copies)
            .buffer_unordered(self.together)
            .ready_chunks(NOTED);
        while let Some(done) = copies.next().await {
            let mut noted = Vec::new();
            for done in done {
                let (row, what) = done?;
                match what {
                    What::Copied => {
                        pass.files += 1;
                        pass.bytes += row.bytes;
                        noted.push(row.id.0);
                    }
                    what if last => {
                        let assets = self.from.premises.assets_with(row.id.0).await;
                        let assets = assets.map_err(|e| self.from.failed(e))?;
                        pass.bad.push(Bad { row, what, assets });
                    }
                    _ => {}
                }
            }
            let noted = self.to.premises.note_arrived(&noted).await;
            noted.map_err(|e| self.to.failed(e))?;
        }
        Ok(())
    }

    /// Copies a file, or finds that it is there already because an earlier run was killed before it was noted.
    async fn copy(&self, row: &BlobRow) -> Result<What, Fault> {
        let key: BlobKey = row.key.parse().map_err(Fault::failed)?;
        let here = |error: BlobError| Fault::failed(format!("{}: {error}", self.to.name));
        let mut tries = 0;
        loop {
            tries += 1;
            let written = match self.send(&key, row.bytes).await? {
                Sent::Written(written) => written,
                Sent::Missing => return Ok(What::Missing),
                Sent::Torn => return Ok(What::Corrupt),
                Sent::Exists => match digest(&self.to.blobs, &key, row.bytes).await {
                    Ok(found) if found == row.sha256.0 => return Ok(What::Copied),
                    Ok(_) | Err(BlobError::Torn { .. } | BlobError::NotFound(_)) if tries < 3 => {
                        self.to.blobs.delete(&key).await.map_err(here)?;
                        continue;
                    }
                    Ok(_) => return Ok(What::Corrupt),
                    Err(error) => return Err(here(error)),
                },
            };
            if written == row.sha256.0 {
                return Ok(What::Copied);
            }
            self.to.blobs.delete(&key).await.map_err(here)?;
            return Ok(What::Corrupt);
        }
    }

    async fn send(&self, key: &BlobKey, bytes: u64) -> Result<Sent, Fault> {
        let there = |error: BlobError| Fault::failed(format!("{}: {error}", self.from.name));
        let here = |error: BlobError| Fault::failed(format!("{}: {error}", self.to.name));
        let reader = match self.from.blobs.open(key, 0, bytes).await {
            Ok(reader) if reader.bytes() != bytes => return Ok(Sent::Torn),
            Ok(reader) => reader,
            Err(BlobError::NotFound(_)) => return Ok(Sent::Missing),
            Err(BlobError::Torn { .. }) => return Ok(Sent::Torn),
            Err(error) => return Err(there(error)),
        };
        let mut pieces = reader.stream();
        let mut writer = self.to.blobs.writer(key.clone());
        let sent = self.bar.clone();
        while let Some(piece) = pieces.next().await {
            let piece = match piece {
                Ok(piece) => piece,
                Err(BlobError::Torn { .. }) => return Ok(Sent::Torn),
                Err(error) => return Err(there(error)),
            };
            sent.inc(piece.len() as u64);
            match writer.write(piece).await {
                Err(BlobError::AlreadyExists(_)) => return Ok(Sent::Exists),
                written => written.map_err(here)?,
            }
        }
        match writer.finish().await {
            Ok(written) => Ok(Sent::Written(written.sha256)),
            Err(BlobError::AlreadyExists(_)) => Ok(Sent::Exists),
            Err(error) => Err(here(error)),
        }
    }
}

/// What became of a write.
enum Sent {
    /// It is there, with this digest.
    Written([u8; 32]),
    /// Something was there.
    Exists,
    /// The source has nothing.
    Missing,
    /// The source has another length.
    Torn,
}

async fn digest(blobs: &Blobs, key: &BlobKey, bytes: u64) -> Result<[u8; 32], BlobError> {
    let mut pieces = blobs.open(key, 0, bytes).await?.stream();
    let mut digest = Sha256::new();
    while let Some(piece) = pieces.next().await {
        digest.update(&piece?);
    }
    Ok(digest.finalize().into())
}
