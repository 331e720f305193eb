//! What the user named, as files: folders are walked lazily and in order, hidden entries are skipped.

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

/// All files, one folder's listing at a time.
pub(super) struct Files {
    /// The folders that are open, the innermost last; the first are the user's own words.
    open: Vec<std::vec::IntoIter<PathBuf>>,
}

impl Files {
    pub(super) fn new(inputs: Vec<PathBuf>) -> Self {
        Self {
            open: vec![inputs.into_iter()],
        }
    }

    fn look_at(&mut self, path: PathBuf) -> io::Result<Option<Input>> {
        let is_named = self.open.len() == 1;
        if is_named && path.as_os_str() == OsStr::new("-") {
            return Ok(Some(Input::StandardInput));
        }
        let about = fs::metadata(&path)?;
        // A link inside a folder could lead back to where we are.
        let is_link = || fs::symlink_metadata(&path).is_ok_and(|m| m.is_symlink());
        if about.is_dir() {
            if is_named || !is_link() {
                self.open.push(listing(&path)?.into_iter());
            }
            return Ok(None);
        }
        if about.is_file() || is_named {
            return Ok(Some(Input::File(path)));
        }
        Ok(None)
    }
}

impl Iterator for Files {
    type Item = Result<Input, Unreadable>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some(path) = self.open.last_mut()?.next() else {
                self.open.pop();
                continue;
            };
            let name = path.display().to_string();
            match self.look_at(path) {
                Ok(Some(input)) => return Some(Ok(input)),
                Ok(None) => {}
                Err(e) => {
                    let reason = e.to_string();
                    return Some(Err(Unreadable { name, reason }));
                }
            }
        }
    }
}

fn listing(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_name().as_bytes().starts_with(b".") {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
