//! One file that ffmpeg reads, with everything that keeps it from reading another.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::{Container, codecs};

/// An input and the options that stand before its `-i`.
#[derive(Debug, Clone)]
pub(crate) struct Input {
    path: PathBuf,
    container: Container,
    options: Vec<OsString>,
}

impl Input {
    /// `path`, opened as `container` whatever it looks like to ffmpeg.
    pub(crate) fn new(path: &Path, container: Container) -> Self {
        Self {
            path: path.to_owned(),
            container,
            options: Vec::new(),
        }
    }

    /// Adds an input option, with its value.
    pub(crate) fn option(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.options.push(name.into());
        self.options.push(value.into());
        self
    }

    /// Adds an input option that has no value.
    pub(crate) fn flag(mut self, name: &str) -> Self {
        self.options.push(name.into());
        self
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Everything from the format to `-i` and the file.
    pub(super) fn args(&self, pixels_max: u64) -> Vec<OsString> {
        let demuxer = self.container.demuxer();
        let mut args: Vec<OsString> = [
            "-protocol_whitelist",
            "file",
            "-format_whitelist",
            demuxer,
            "-codec_whitelist",
            &codecs::whitelist(),
            "-max_pixels",
            &pixels_max.to_string(),
            "-f",
            demuxer,
        ]
        .map(OsString::from)
        .to_vec();
        args.extend(self.options.iter().cloned());
        args.push("-i".into());
        // The prefix keeps a name from being taken for a protocol.
        let mut url = OsString::from("file:");
        url.push(&self.path);
        args.push(url);
        args
    }
}
