//! The data folder: what lies where in it. One server owns it at a time; the store's lock sees to that.

use crate::fault::Fault;
use std::fs;
use std::path::{Path, PathBuf};

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
            Fault::failed(format!(
                "the data folder {} cannot be written: {e}; give --data a folder that this user may write",
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
        self.root.join("mediaflow.db")
    }

    /// Originals and renditions.
    pub(crate) fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    /// An empty folder for files of work that runs: what a killed server left is removed.
    ///
    /// # Errors
    /// One sentence for the operator.
    pub(crate) fn scratch(&self) -> Result<PathBuf, Fault> {
        let path = self.root.join("scratch");
        let emptied = match fs::remove_dir_all(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e),
            _ => fs::create_dir(&path),
        };
        let fault = |e| Fault::failed(format!("the scratch folder {}: {e}", path.display()));
        emptied.map_err(fault)?;
        Ok(path)
    }

    /// The keys that sign URLs, where the configuration has none.
    pub(crate) fn signing_keys(&self) -> PathBuf {
        self.root.join("signing-keys.toml")
    }
}
