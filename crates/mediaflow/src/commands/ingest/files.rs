//! What the user named, as files: folders are walked lazily, small ones in order; hidden entries are skipped.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// Something to upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Input {
    File(PathBuf),
    StandardInput,
}

/// A path that cannot be read.
#[derive(Debug)]
pub(super) struct Unreadable {
    pub(super) name: String,
    pub(super) reason: String,
}

impl Input {
    /// For people.
    pub(super) fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::StandardInput => "-".to_owned(),
        }
    }
}

/// Names of one folder that are in memory together. Larger folders are in order only within so many.
const TOGETHER: usize = 4096;

/// All files, some names of a folder at a time.
pub(super) struct Files {
    /// The folders that are open, the innermost last; the first are the user's own words.
    open: Vec<Listing>,
}

/// What is left of a folder.
struct Listing {
    folder: PathBuf,
    /// Those that were read, in order.
    names: std::vec::IntoIter<PathBuf>,
    /// Those that were not, where there are any.
    rest: Option<fs::ReadDir>,
}

impl Listing {
    fn of(folder: PathBuf) -> io::Result<Self> {
        let rest = Some(fs::read_dir(&folder)?);
        let names = Vec::new().into_iter();
        Ok(Self {
            folder,
            names,
            rest,
        })
    }

    fn next(&mut self) -> io::Result<Option<PathBuf>> {
        if let Some(path) = self.names.next() {
            return Ok(Some(path));
        }
        let Some(mut rest) = self.rest.take() else {
            return Ok(None);
        };
        let mut names = Vec::new();
        while names.len() < TOGETHER
            && let Some(entry) = rest.next()
        {
            let entry = entry?;
            if !entry.file_name().as_bytes().starts_with(b".") {
                names.push(entry.path());
            }
        }
        if names.len() == TOGETHER {
            self.rest = Some(rest);
        }
        names.sort();
        self.names = names.into_iter();
        Ok(self.names.next())
    }
}

impl Files {
    pub(super) fn new(inputs: Vec<PathBuf>) -> Self {
        Self {
            open: vec![Listing {
                folder: PathBuf::new(),
                names: inputs.into_iter(),
                rest: None,
            }],
        }
    }

    fn look_at(&mut self, path: &Path) -> io::Result<Option<Input>> {
        let is_named = self.open.len() == 1;
        if is_named && path.as_os_str() == OsStr::new("-") {
            return Ok(Some(Input::StandardInput));
        }
        let about = fs::metadata(path)?;
        // A link inside a folder could lead back to where we are.
        let is_link = || fs::symlink_metadata(path).is_ok_and(|m| m.is_symlink());
        if about.is_dir() {
            if is_named || !is_link() {
                self.open.push(Listing::of(path.to_owned())?);
            }
            return Ok(None);
        }
        if about.is_file() || is_named {
            return Ok(Some(Input::File(path.to_owned())));
        }
        Ok(None)
    }
}

impl Iterator for Files {
    type Item = Result<Input, Unreadable>;

    fn next(&mut self) -> Option<Self::Item> {
        let unreadable = |path: &Path, error: io::Error| {
            let name = path.display().to_string();
            let reason = error.to_string();
            Some(Err(Unreadable { name, reason }))
        };
        loop {
            let listing = self.open.last_mut()?;
            let path = match listing.next() {
                Ok(Some(path)) => path,
                Ok(None) => {
                    self.open.pop();
                    continue;
                }
                Err(error) => return unreadable(&listing.folder, error),
            };
            match self.look_at(&path) {
                Ok(Some(input)) => return Some(Ok(input)),
                Ok(None) => {}
                Err(error) => return unreadable(&path, error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn folders_are_walked_in_order_without_hidden_files() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("b/inner")).unwrap();
        for name in ["c.jpg", "a.jpg", ".hidden", "b/2.png", "b/inner/1.png"] {
            fs::write(at(name), b"x").unwrap();
        }
        std::os::unix::fs::symlink(folder.path(), at("b/loop")).unwrap();
        let inputs = vec![folder.path().to_owned(), "-".into(), at("missing")];
        let names: Vec<_> = Files::new(inputs)
            .map(|input| match input {
                Ok(Input::File(path)) => path
                    .strip_prefix(folder.path())
                    .unwrap()
                    .display()
                    .to_string(),
                Ok(Input::StandardInput) => "-".to_owned(),
                Err(e) => format!("? {}", e.reason),
            })
            .collect();
        assert_eq!(
            names[..5],
            ["a.jpg", "b/2.png", "b/inner/1.png", "c.jpg", "-"]
        );
        assert!(names[5].starts_with("? No such file"), "{names:?}");
        assert_eq!(names.len(), 6);
    }

    #[test]
    fn of_a_large_folder_some_names_are_known_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let all = 2 * TOGETHER + 7;
        for n in 0..all {
            fs::write(folder.path().join(format!("{n}.jpg")), b"").unwrap();
        }
        let mut files = Files::new(vec![folder.path().to_owned()]);
        let mut found = HashSet::new();
        while let Some(file) = files.next() {
            found.insert(file.unwrap().name());
            assert!(files.open.iter().all(|open| open.names.len() < TOGETHER));
        }
        assert_eq!(found.len(), all);
    }
}
