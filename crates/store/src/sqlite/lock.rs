//! One process per database: a lock beside it that ends with its holder.

use crate::StoreError;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

/// Takes `<database>.lock`. Held until the file is dropped, or its process dies.
pub(super) fn take(database: &Path) -> Result<File, StoreError> {
    let mut path = database.as_os_str().to_owned();
    path.push(".lock");
    let cannot = |e: std::io::Error| {
        StoreError::Full(format!(
            "{} cannot be opened: {e}",
            Path::new(&path).display()
        ))
    };
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(cannot)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let who = match file.read_to_string(&mut holder) {
                Ok(_) if !holder.trim().is_empty() => format!(" (pid {})", holder.trim()),
                _ => String::new(),
            };
            return Err(StoreError::Locked(format!(
                "another MediaFlow{who} uses this data folder"
            )));
        }
        Err(TryLockError::Error(e)) => return Err(cannot(e)),
    }
    // The pid only helps people; on a full disk the lock holds without it.
    let written = file
        .set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| write!(file, "{}", std::process::id()));
    if let Err(e) = written {
        tracing::warn!(error = %e, "the lock file does not say who holds it");
    }
    Ok(file)
}
