//! Names for writes under way: a folder of its own for each process, so that processes which share the blobs, on one
//! machine or through a network file system, never remove each other's.

use super::write::sync_folder;
use crate::BlobError;
use sha2::{Digest as _, Sha256};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// What other machines have left behind goes when nothing in it was written for so long. No write pauses that long.
const STALE: Duration = Duration::from_secs(24 * 3600);

/// The folder for this process's temporary files below `root`, made.
///
/// # Errors
/// When it cannot be made.
pub(super) fn make(root: &Path) -> Result<PathBuf, BlobError> {
    let own = root.join("tmp").join(own_name());
    fs::create_dir_all(&own).map_err(BlobError::io("opening the blob folder", ""))?;
    sync_folder(root)?;
    Ok(own)
}

/// Removes what processes that ended have left: those of this machine at once, those of others when it is old.
///
/// # Errors
/// When the folder cannot be read.
pub(super) fn clean(root: &Path) -> Result<(), BlobError> {
    let fail = || BlobError::io("looking for what interrupted writes have left", "");
    for entry in fs::read_dir(root.join("tmp")).map_err(fail())? {
        let entry = entry.map_err(fail())?;
        let name = entry.file_name();
        let is_left = match name.to_string_lossy().split_once('.') {
            Some((machine, process)) if machine == this_machine() => !is_running(process),
            _ => is_stale(&entry.path()),
        };
        if is_left {
            // Another process may do the same at this moment, and the rest is found the next time.
            let _ = match entry.path().is_dir() {
                true => fs::remove_dir_all(entry.path()),
                false => fs::remove_file(entry.path()),
            };
        }
    }
    Ok(())
}

fn is_stale(path: &Path) -> bool {
    let limit = SystemTime::now() - STALE;
    let is_old = |path: &Path| -> io::Result<bool> { Ok(fs::metadata(path)?.modified()? < limit) };
    let inside = fs::read_dir(path).into_iter().flatten().flatten();
    is_old(path).unwrap_or(false)
        && inside
            .into_iter()
            .all(|f| is_old(&f.path()).unwrap_or(false))
}

/// `machine.process-start`: a process number is used again, but never with the same start.
fn own_name() -> String {
    let process = std::process::id().to_string();
    let start = start_of(&process).unwrap_or_default();
    format!("{}.{process}-{start}", this_machine())
}

fn is_running(process: &str) -> bool {
    let Some((number, start)) = process.split_once('-') else {
        return false;
    };
    start_of(number).is_some_and(|found| found == start)
}

/// Clock ticks from the machine's start to the process's, as the kernel counts them.
fn start_of(process: &str) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The program's name is in parentheses and may hold anything, even parentheses.
    let after = stat.rsplit_once(") ")?.1;
    after.split(' ').nth(19).map(str::to_owned)
}

/// Those processes that can see each other by number: of one boot of one kernel, in one container.
fn this_machine() -> String {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let numbers = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    let digest = Sha256::digest(format!("{boot} {}", numbers.display()));
    hex::encode(&digest[..8])
}
