//! From what ffmpeg says before it gives up to the error that a task gets.

use std::path::Path;

use crate::{ErrorKind, MediaError};

/// How a run ended that did not succeed.
pub(super) struct Stage<'a> {
    /// The exit code.
    pub(super) code: i32,
    /// The end of standard error.
    pub(super) stderr: &'a str,
    /// Files of ours whose names must not be shown.
    pub(super) paths: &'a [&'a Path],
}

impl Stage<'_> {
    pub(super) fn error(&self) -> MediaError {
        let says = |words: &[&str]| words.iter().any(|words| self.stderr.contains(words));
        let message = self.message();
        if says(&["Cannot allocate memory", "malloc of size"]) {
            return MediaError::limit("limit.memory", message);
        }
        if says(&["No space left on device"]) {
            return MediaError::full();
        }
        if says(&["Too many open files"]) {
            return MediaError {
                code: "internal",
                message,
                kind: ErrorKind::Transient,
            };
        }
        if says(&["File too large"]) {
            return MediaError::limit("limit.output", message);
        }
        if says(&["Unknown encoder"]) {
            return MediaError {
                code: "encoder.missing",
                message: format!(
                    "this ffmpeg was built without what the recipe asks for: {message}"
                ),
                kind: ErrorKind::Permanent,
            };
        }
        if says(&["exceeds max_pixels", "Picture size"]) {
            return MediaError::limit("limit.pixels", message);
        }
        if says(&[
            "not on whitelist",
            "Decoder not found",
            "no decoder",
            "not supported",
            "Unsupported",
            "not implemented",
        ]) {
            return MediaError::unsupported(message);
        }
        if says(&[
            "Error while opening encoder",
            "Error initializing complex filters",
        ]) {
            return MediaError::encoder(message);
        }
        MediaError::corrupt(message)
    }

    /// The last two lines, which name the cause and what could not be done for it.
    fn message(&self) -> String {
        let mut lines: Vec<String> = self
            .stderr
            .lines()
            .rev()
            .map(|line| self.cleaned(line))
            .filter(|line| !line.is_empty() && line != "Conversion failed!")
            .take(2)
            .collect();
        lines.reverse();
        if lines.is_empty() {
            return format!("ffmpeg gave up with code {}", self.code);
        }
        lines.join("; ")
    }

    /// Without addresses of memory and names of our files, and not longer than a line.
    fn cleaned(&self, line: &str) -> String {
        let mut line = line.trim().to_owned();
        for path in self.paths {
            line = line.replace(&*path.to_string_lossy(), "input");
        }
        line = line.replace("file:input", "input");
        while let Some(at) = line.find(" @ 0x") {
            let end = line[at..].find(']').map_or(line.len(), |end| at + end);
            line.replace_range(at..end, "");
        }
        line.chars().filter(|c| !c.is_control()).take(240).collect()
    }
}

pub(super) fn not_ffmpeg(stderr: &str) -> MediaError {
    MediaError {
        code: "internal",
        message: format!("ffmpeg does not say its version: {}", stderr.trim()),
        kind: ErrorKind::Transient,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_no_fault_of_the_file() {
        let stderr = "Error closing file rung-0.mp4: No space left on device\nConversion failed!\n";
        let stage = Stage {
            code: 1,
            stderr,
            paths: &[],
        };
        let error = stage.error();
        assert_eq!(error.code, "limit.storage");
        assert_eq!(error.kind, ErrorKind::Transient);
    }
}
