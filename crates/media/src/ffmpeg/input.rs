//! One file or stream that ffmpeg reads, with everything that keeps it from reading another.

use std::ffi::OsString;
use std::fs::File;
use std::io::PipeReader;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Container, codecs};

/// An input and the options that stand before its `-i`.
#[derive(Debug, Clone)]
pub(crate) struct Input {
    from: From,
    container: Container,
    options: Vec<OsString>,
}

#[derive(Debug, Clone)]
enum From {
    File(PathBuf),
    /// Somebody feeds it while it is read. Whoever runs first takes it, so that nobody else keeps it open.
    Pipe(Arc<Mutex<Option<PipeReader>>>),
}

impl Input {
    /// `path`, opened as `container` whatever it looks like to ffmpeg.
    pub(crate) fn new(path: &Path, container: Container) -> Self {
        Self {
            from: From::File(path.to_owned()),
            container,
            options: Vec::new(),
        }
    }

    /// What comes through `pipe`, for one run alone. The program can open no file at all.
    pub(crate) fn fed(pipe: PipeReader, container: Container) -> Self {
        Self {
            from: From::Pipe(Arc::new(Mutex::new(Some(pipe)))),
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

    /// The file, where it is one.
    pub(super) fn path(&self) -> Option<&Path> {
        match &self.from {
            From::File(path) => Some(path),
            From::Pipe(_) => None,
        }
    }

    /// What the program is given as standard input.
    pub(super) fn stdin(&self) -> Option<File> {
        let From::Pipe(pipe) = &self.from else {
            return None;
        };
        let taken = pipe.lock().unwrap_or_else(PoisonError::into_inner).take();
        taken.map(|pipe| File::from(OwnedFd::from(pipe)))
    }

    /// Everything from the format to `-i` and the file.
    pub(super) fn args(&self, pixels_max: u64) -> Vec<OsString> {
        let demuxer = self.container.demuxer();
        let (protocol, url) = match &self.from {
            From::File(path) => {
                // The prefix keeps a name from being taken for a protocol.
                let mut url = OsString::from("file:");
                url.push(path);
                ("file", url)
            }
            From::Pipe(_) => ("pipe", "pipe:0".into()),
        };
        let mut args: Vec<OsString> = [
            "-protocol_whitelist",
            protocol,
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
        args.push(url);
        args
    }
}
