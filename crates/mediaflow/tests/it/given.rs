//! Folders to start from.

use std::path::Path;
use tempfile::TempDir;

/// An empty folder with this configuration.
pub(crate) fn config(toml: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    if !toml.is_empty() {
        write(folder.path(), "mediaflow.toml", toml.as_bytes());
    }
    folder
}

pub(crate) fn write(folder: &Path, name: &str, bytes: &[u8]) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}
