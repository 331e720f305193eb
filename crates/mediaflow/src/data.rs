//! The data folder: what lies where in it. With the database in it one server owns it at a time; the store's lock sees to that.

use crate::fault::Fault;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// The file with SQLite's database.
pub(crate) const DATABASE: &str = "mediaflow.db";
/// The file with the keys that sign URLs, where the configuration has none.
pub(crate) const SIGNING_KEYS: &str = "signing-keys.toml";

/// A folder that exists and can be written.
#[derive(Debug, Clone)]
pub(crate) struct DataFolder {
    root: PathBuf,
}

impl DataFolder {
    /// Opens the folder, making it where it is missing.
    ///
    /// # Errors
    /// One sentence for the operator when it cannot be made or written.
    pub(crate) fn open(root: &Path) -> Result<Self, Fault> {
        fs::create_dir_all(root).map_err(|e| {
            Fault::failed(format!(
                "the data folder {} cannot be made: {e}",
                root.display()
            ))
        })?;
        // Permissions alone would not tell: the file system may be mounted read-only.
        let probe = root.join(format!(".write-test-{}", std::process::id()));
        let written = fs::write(&probe, b"MediaFlow can write here\n");
        let _ = fs::remove_file(&probe);
        written.map_err(|e| {
            let advice = match e.kind() {
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "free some space",
                _ => "give --data a folder that this user may write",
            };
            Fault::failed(format!(
                "the data folder {} cannot be written: {e}; {advice}",
                root.display()
            ))
        })?;
        let root = root
            .canonicalize()
            .map_err(|e| Fault::failed(format!("the data folder {}: {e}", root.display())))?;
        Ok(Self { root })
    }

    /// The folder itself.
    pub(crate) fn path(&self) -> &Path {
        &self.root
    }

    /// The database.
    pub(crate) fn database(&self) -> PathBuf {
        self.root.join(DATABASE)
    }

    /// Originals and renditions.
    pub(crate) fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    /// An empty folder for files of this process's work. What killed processes left is removed.
    ///
    /// # Errors
    /// One sentence for the operator.
    pub(crate) fn scratch(&self) -> Result<Scratch, Fault> {
        let all = self.root.join("scratch");
        Scratch::make(&all)
            .map_err(|e| Fault::failed(format!("the scratch folder {}: {e}", all.display())))
    }

    /// The keys that sign URLs, where the configuration has none.
    pub(crate) fn signing_keys(&self) -> PathBuf {
        self.root.join(SIGNING_KEYS)
    }
}

/// A folder that belongs to this process while it lives: its lock ends with it, however it ends.
#[derive(Debug)]
pub(crate) struct Scratch {
    path: PathBuf,
    _lock: File,
}

impl Scratch {
    fn make(all: &Path) -> io::Result<Self> {
        fs::create_dir_all(all)?;
        for entry in fs::read_dir(all)? {
            let path = entry?.path();
            if path.extension().is_some_and(|e| e == LOCK) {
                remove_if_left(&path)?;
            }
        }
        let path = all.join(uuid::Uuid::new_v4().simple().to_string());
        // The lock comes before the folder: whoever sees the folder finds it locked.
        let lock = File::create_new(path.with_extension(LOCK))?;
        lock.lock()?;
        fs::create_dir(&path)?;
        Ok(Self { path, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Of the file beside a process's folder.
const LOCK: &str = "lock";

/// Removes the folder beside this lock and the lock itself, unless a living process holds it.
fn remove_if_left(lock: &Path) -> io::Result<()> {
    let file = match File::open(lock) {
        // Another process is removing it at this moment.
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file?,
    };
    if file.try_lock().is_err() {
        return Ok(());
    }
    for removed in [
        fs::remove_dir_all(lock.with_extension("")),
        fs::remove_file(lock),
    ] {
        match removed {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Scratch;

    #[test]
    fn each_process_has_a_scratch_and_what_others_left_is_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = Scratch::make(folder.path()).expect("the first");
        let left = first.path().to_path_buf();
        let second = Scratch::make(folder.path()).expect("the second");
        assert!(left.exists(), "its process lives");
        drop(first);
        let third = Scratch::make(folder.path()).expect("the third");
        assert!(!left.exists() && second.path().exists() && third.path().exists());
    }
}
