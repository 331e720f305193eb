//! What becomes of a file that is an asset: it stays, goes elsewhere, or is deleted. Only ever the very file that was taken.

use super::walk::{Shape, beside};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// Whether the file that was taken is there still.
fn is_there(path: &Path, shape: Shape) -> bool {
    fs::symlink_metadata(path).is_ok_and(|about| about.is_file() && Shape::of(&about) == shape)
}

/// Deletes it, and its marker. Blocks.
pub(super) fn delete(path: &Path, shape: Shape, marker: Option<&str>) -> io::Result<()> {
    if is_there(path, shape) {
        fs::remove_file(path)?;
    }
    remove_marker(path, marker)
}

/// Moves it under the same name to another folder, and deletes its marker. What has that name already stays: then the asset's id
/// becomes a part of the name. Blocks.
pub(super) fn relocate(
    path: &Path,
    to: &Path,
    shape: Shape,
    marker: Option<&str>,
    id: Uuid,
) -> io::Result<()> {
    if is_there(path, shape) {
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder)?;
        }
        match rename(path, to) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                rename(path, &other_name(to, id))?
            }
            done => done?,
        }
    }
    remove_marker(path, marker)
}

fn remove_marker(path: &Path, marker: Option<&str>) -> io::Result<()> {
    let Some(marker) = marker else { return Ok(()) };
    match fs::remove_file(beside(path, marker)) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

fn rename(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        Err(Errno::XDEV) => copy(from, to),
        // Not every file system can do that in one step.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => match fs::symlink_metadata(to) {
            Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
            Err(_) => fs::rename(from, to),
        },
        Err(e) => Err(e.into()),
    }
}

/// To another file system: whole there before it is gone here.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    if fs::symlink_metadata(to).is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    let partial = beside(to, ".part");
    fs::copy(from, &partial)?;
    File::open(&partial)?.sync_all()?;
    fs::rename(&partial, to)?;
    if let Some(folder) = to.parent() {
        File::open(folder)?.sync_all()?;
    }
    fs::remove_file(from)
}

fn other_name(path: &Path, id: Uuid) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let name = match path.extension() {
        Some(ending) => format!("{stem}-{id}.{}", ending.to_string_lossy()),
        None => format!("{stem}-{id}"),
    };
    path.with_file_name(name)
}
