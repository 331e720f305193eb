//! Which uploads of this user are under way, so that another run of the command goes on with them: a small file for each in
//! the user's state folder. Without such a folder a run goes on with its own uploads only.

use sha2::{Digest as _, Sha256};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// No server remembers an upload that long.
const OLD: Duration = Duration::from_secs(30 * 24 * 3600);

/// The place where one upload's address is noted.
pub(super) struct Journal(Option<PathBuf>);

impl Journal {
    /// Of this file as it is now, to this server, with all that is said of it.
    pub(super) fn of(server: &str, path: &Path, said: &[(&'static str, String)]) -> Self {
        Self(folder().and_then(|folder| place(&folder, server, path, said).ok()))
    }

    pub(super) fn read(&self) -> Option<String> {
        let text = fs::read_to_string(self.0.as_ref()?).ok()?;
        Some(text.trim().to_owned()).filter(|address| address.starts_with("v1/tus/"))
    }

    /// A note that cannot be written only costs sending bytes again.
    pub(super) fn write(&self, address: &str) {
        if let Some(place) = &self.0
            && let Err(error) = note(place, address)
        {
            tracing::debug!(%error, "an upload could not be noted");
        }
    }

    pub(super) fn end(&self) {
        if let Some(place) = &self.0 {
            // It may be gone.
            let _ = fs::remove_file(place);
        }
    }
}

fn folder() -> Option<PathBuf> {
    let state = std::env::var_os("XDG_STATE_HOME").filter(|path| Path::new(path).is_absolute());
    let state = state.map(PathBuf::from).or_else(|| {
        let home = std::env::var_os("HOME").filter(|home| !home.is_empty())?;
        Some(Path::new(&home).join(".local/state"))
    });
    Some(state?.join("mediaflow/uploads"))
}

fn place(
    folder: &Path,
    server: &str,
    path: &Path,
    said: &[(&'static str, String)],
) -> io::Result<PathBuf> {
    let about = fs::metadata(path)?;
    let path = fs::canonicalize(path)?;
    let mut name = Sha256::new();
    name.update(server);
    name.update(b"\0");
    name.update(path.as_os_str().as_encoded_bytes());
    let file = [about.dev(), about.ino(), about.len()];
    for number in file
        .into_iter()
        .chain([about.mtime() as u64, about.mtime_nsec() as u64])
    {
        name.update(number.to_be_bytes());
    }
    for (field, value) in said {
        name.update(format!("{field}\0{value}\0"));
    }
    Ok(folder.join(hex::encode(&name.finalize()[..16])))
}

fn note(place: &Path, address: &str) -> io::Result<()> {
    if let Some(folder) = place.parent() {
        fs::create_dir_all(folder)?;
        clean(folder)?;
    }
    let new = place.with_extension("new");
    fs::write(&new, address)?;
    fs::rename(new, place)
}

/// Notes of uploads that nobody went on with.
fn clean(folder: &Path) -> io::Result<()> {
    let limit = SystemTime::now() - OLD;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.metadata()?.modified()? < limit {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
