//! Looks through folders and tells of the files that are finished, in batches: a folder of a million files needs no more memory than
//! one of a thousand. Symbolic links are nothing to it.

use super::alarm::Alarm;
use super::names::Names;
use mediaflow_core::Sha256;
use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc::Sender;

const BATCH: usize = 200;

/// What tells one file from another one of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) bytes: u64,
    /// Last change of the content, in nanoseconds since 1970.
    mtime: i128,
    inode: u64,
}

impl Shape {
    pub(super) fn of(about: &Metadata) -> Self {
        Self {
            bytes: about.len(),
            mtime: nanoseconds(about.mtime(), about.mtime_nsec()),
            inode: about.ino(),
        }
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.bytes, self.mtime, self.inode)
    }
}

/// A finished file.
#[derive(Debug, Clone)]
pub(super) struct Found {
    /// In the watched folder.
    pub(super) path: PathBuf,
    pub(super) shape: Shape,
}

impl Found {
    /// What it is known by: never the same for other content, short of somebody who wants it to be. Numbers of files are not told
    /// reliably where `polls`.
    pub(super) fn mark(&self, watch: &str, polls: bool) -> String {
        let Shape {
            bytes,
            mtime,
            inode,
        } = self.shape;
        let inode = if polls { 0 } else { inode };
        let mut text = format!("{watch}\n{bytes}\n{mtime}\n{inode}\n").into_bytes();
        text.extend_from_slice(self.path.as_os_str().as_bytes());
        format!("{watch} {}", Sha256::of(&text))
    }
}

/// Where to look, and for what.
pub(super) struct Walk<'a> {
    pub(super) root: &'a Path,
    /// Where taken files go; it is not looked into.
    pub(super) but: Option<&'a Path>,
    pub(super) names: &'a Names,
    pub(super) settle: Duration,
    /// Files that came here by a rename: they are finished.
    pub(super) renamed: &'a HashSet<PathBuf>,
    pub(super) alarm: Option<&'a Alarm>,
}

/// What is left to do.
#[derive(Debug, Default)]
pub(super) struct Walked {
    /// The first moment when a file that is not finished may be.
    pub(super) again: Option<Duration>,
    /// Folders with such files.
    pub(super) unfinished: HashSet<PathBuf>,
    /// The first folder or file that cannot be read.
    pub(super) unreadable: Option<(PathBuf, io::Error)>,
}

impl Walk<'_> {
    /// Looks through these folders, with those in them if it goes `deep`. Blocks.
    pub(super) fn run(
        &self,
        folders: Vec<PathBuf>,
        deep: bool,
        found: &Sender<Vec<Found>>,
    ) -> Walked {
        let mut walked = Walked::default();
        let mut open = folders;
        let mut batch = Vec::new();
        while let Some(folder) = open.pop() {
            if let Some(alarm) = self.alarm {
                alarm.watch(self.root, &folder);
            }
            let entries = match fs::read_dir(self.root.join(&folder)) {
                Ok(entries) => entries,
                // Others may take folders away at any time, but not the watched one.
                Err(e) if e.kind() == io::ErrorKind::NotFound && !folder.as_os_str().is_empty() => {
                    continue;
                }
                Err(e) => {
                    walked.unreadable.get_or_insert((folder, e));
                    continue;
                }
            };
            for entry in entries {
                let entry = match entry {
                    Ok(entry) => entry,
                    Err(e) => {
                        walked.unreadable.get_or_insert((folder.clone(), e));
                        break;
                    }
                };
                let (name, path) = (entry.file_name(), folder.join(entry.file_name()));
                let shown = name.to_string_lossy();
                let Ok(kind) = entry.file_type() else {
                    continue;
                };
                if kind.is_dir() {
                    let is_ours = self.but.is_some_and(|but| but == self.root.join(&path));
                    if deep && self.names.enters(&shown) && !is_ours {
                        open.push(path);
                    }
                    continue;
                }
                if !kind.is_file() || !self.names.takes(&shown) {
                    continue;
                }
                // Without following links, as all of this.
                let Ok(about) = entry.metadata() else {
                    continue;
                };
                match self.is_finished(&path, &about) {
                    Ok(()) => batch.push(Found {
                        shape: Shape::of(&about),
                        path,
                    }),
                    Err(Some(wait)) => {
                        walked.again = Some(walked.again.map_or(wait, |w| w.min(wait)));
                        walked.unfinished.insert(folder.clone());
                    }
                    Err(None) => {}
                }
                if batch.len() == BATCH && found.blocking_send(std::mem::take(&mut batch)).is_err()
                {
                    return walked;
                }
            }
        }
        // Nobody wants them any more when this fails.
        let _ = found.blocking_send(batch);
        walked
    }

    /// Else when it may be.
    fn is_finished(&self, path: &Path, about: &Metadata) -> Result<(), Option<Duration>> {
        if let Some(marker) = self.names.marker() {
            return match fs::symlink_metadata(beside(&self.root.join(path), marker)) {
                Ok(_) => Ok(()),
                Err(_) => Err(None),
            };
        }
        if self.renamed.contains(path) {
            return Ok(());
        }
        // Whoever keeps times while copying still changes the second.
        let changed = nanoseconds(about.mtime(), about.mtime_nsec())
            .max(nanoseconds(about.ctime(), about.ctime_nsec()));
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let age = i128::try_from(now.as_nanos()).unwrap_or(i128::MAX) - changed;
        let age = Duration::from_nanos(u64::try_from(age.max(0)).unwrap_or(u64::MAX));
        match self.settle.checked_sub(age) {
            None | Some(Duration::ZERO) => Ok(()),
            Some(left) => Err(Some(left)),
        }
    }
}

/// The file of the same name with something behind it.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(OsStr::new(ending));
    PathBuf::from(name)
}

fn nanoseconds(seconds: i64, rest: i64) -> i128 {
    i128::from(seconds) * 1_000_000_000 + i128::from(rest)
}
